"""Look-up tables on 8-bit pixels in whole numbers: all three channels in one word."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.image.lut import Lut
from jaxcolor.tree import pytree

# A word of 64 bits holds three lanes of 21. A weight is a whole number of 255ths, for an 8-bit
# level times (n - 1) is one: interpolation is exact, and a value has 2^21 / 255 steps
LANE = 21
TOP = 255 * 32  # 32 steps a level, where values are within [0, 1]
FEWEST = 4  # steps a level: tables whose values are wider are not packed


@pytree
class Packed:
    """A `Lut` for 8-bit pixels: tetrahedral, on [0, 1].

    Attributes:
        words: (n^3,) uint64, red, green and blue, each in its steps above `low`.
        size: (n,), of which the length alone counts: a shape, so that n is known when compiling.
        step: of a value times 255, in levels.
        zero: the level, <= 0, that no steps stand for, and half a one, for rounding.
    """

    words: Array
    size: Array
    step: Array
    zero: Array


def pack(lut: Lut) -> Packed | None:
    """The table for `look_up`, or None where it is of another kind.

    Example:
        >>> table = np.stack(np.meshgrid(*[np.float32([0, 1])] * 3, indexing="ij"), -1)
        >>> one = pack(Lut(jnp.asarray(table), jnp.array([[0.0] * 3, [1.0] * 3])))
        >>> int(one.words[1])  # blue: one in the last lane
        8160
    """
    if lut.interpolation != "tetrahedral" or not np.array_equal(lut.domain, [[0] * 3, [1] * 3]):
        return None
    levels = 255 * np.asarray(lut.table, np.float64).reshape(-1, 3)
    if not np.isfinite(levels).all():
        return None
    low, high = min(0, np.floor(levels.min())), max(255, np.ceil(levels.max()))
    steps = TOP // (high - low)
    if steps < FEWEST:
        return None
    value = np.rint((levels - low) * steps).astype(np.uint64)
    words = value[:, 0] << (2 * LANE) | value[:, 1] << LANE | value[:, 2]
    with jax.enable_x64(True):
        numbers = [jnp.asarray(x, jnp.float32) for x in (1 / (255 * steps), low + 0.5)]
        return Packed(jnp.asarray(words), jnp.zeros(lut.size, jnp.uint8), *numbers)


def look_up(packed: Packed, levels: np.ndarray) -> np.ndarray:
    """Colours (m, 4) uint8 of which the first three count, for 8-bit colours (m, 3).

    Within 1/64 of a level of the table's own interpolation (more where it holds values beyond
    [0, 1]) before it is rounded.
    """
    # words are of 64 bits; this holds for this thread alone
    with jax.enable_x64(True):
        return np.asarray(_look_up(packed, levels)).view(np.uint8).reshape(-1, 4)


@jax.jit
def _look_up(packed: Packed, levels: Array) -> Array:
    n = packed.size.shape[0]
    # channel by channel from the start: on (m, 3) at once XLA takes eight times as long
    whole = [levels[:, c].astype(jnp.uint32) * jnp.uint32(n - 1) for c in range(3)]
    cell = [jnp.minimum(one // 255, jnp.uint32(n - 2)) for one in whole]
    r, g, b = (one - 255 * at for one, at in zip(whole, cell, strict=True))  # 0 .. 255
    place = (cell[0] * n + cell[1]) * n + cell[2]
    # from a cell's black to its white, along the axis of the greatest rest first
    most, least = jnp.maximum(jnp.maximum(r, g), b), jnp.minimum(jnp.minimum(r, g), b)
    middle = r + g + b - most - least
    red, green, blue = (jnp.uint32(stride) for stride in (n * n, n, 1))
    first = jnp.where(r == most, red, jnp.where(g == most, green, blue))
    last = jnp.where(b == least, blue, jnp.where(g == least, green, red))
    white = red + green + blue
    corners = [place, place + first, place + white - last, place + white]
    weights = [255 - most, most - middle, middle - least, least]
    total = sum(
        packed.words.at[corner].get(mode="promise_in_bounds") * weight.astype(jnp.uint64)
        for corner, weight in zip(corners, weights, strict=True)
    )
    result = jnp.uint32(0)
    for lane, shift in ((2, 0), (1, 8), (0, 16)):
        steps = (total >> jnp.uint64(lane * LANE)).astype(jnp.int32) & ((1 << LANE) - 1)
        level = steps.astype(jnp.float32) * packed.step + packed.zero
        result = result | jnp.clip(level.astype(jnp.int32), 0, 255).astype(jnp.uint32) << shift
    return result
