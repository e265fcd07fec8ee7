"""From a fitted map to a finished picture: smoothed, matched again, within gamut, dithered."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import jax.numpy as jnp
import numpy as np

from jaxcolor import maps
from jaxcolor.image.apply import ToGrey, apply
from jaxcolor.image.keys import unpack
from jaxcolor.image.output import InGamut, finished
from jaxcolor.image.pixels import BLOCK, Pixels, as_pytree, each, evaluate, to_float
from jaxcolor.image.smooth import smooth
from jaxcolor.recipes.styles import PLAIN, Finish

ROWS = 64  # of a picture in one NumPy call


@dataclass(frozen=True, eq=False)
class Change:
    """What a fitted map makes of a picture, at any strength.

    Smoothed, v = T(u) becomes u + Y_u(v - u), T the map, Y_u a filter that follows u's edges. That
    moves the colours off the reference's, and a match of what smoothing left brings them back
    with little grain, for it is near the identity. The two in turn, like projections onto two
    sets, come near to a picture that has the reference's colours *and* changes u smoothly: no map
    of colours alone does both.

    Attributes:
        color_map: T, as fitted, at full strength.
        picture: `view` of the source, mask included.
        how: the steps that follow T.
        again: fits a recoloured picture to the reference once more, where `how` says so.
        spread: T draws by colour: it sees each pixel somewhere within its level, not at its middle.

    Example:
        >>> from jaxcolor.image.pixels import view
        >>> from jaxcolor.maps import Affine
        >>> half = Affine(jnp.eye(3) / 2, jnp.zeros(3))
        >>> change = Change(half, view(np.full((8, 8, 3), 80, np.uint8)), Finish(smooth="guided"))
        >>> change.at()[0, 0], change.at(0.5)[0, 0]
        (array([40, 40, 40], dtype=uint8), array([60, 60, 60], dtype=uint8))
    """

    color_map: maps.ColorMap
    picture: Pixels
    how: Finish = PLAIN
    again: Callable[[Pixels], maps.ColorMap] | None = None
    spread: bool = False

    def at(self, strength: float = 1.0) -> np.ndarray:
        """The picture, changed by a share 0 .. 1 of it all; the source's dtype, shape and alpha.

        Raises:
            ValueError: for another strength.
        """
        color_map = blend(self.color_map, strength)
        if self.how == PLAIN and not self.spread:
            return apply(color_map, self.picture)
        picture, color = self.picture, _colors(self.picture)
        channels = color.shape[2] + (picture.alpha is not None)
        result = np.empty((*color.shape[:2], channels), color.dtype)
        if picture.alpha is not None:
            result[..., -1] = picture.alpha.reshape(color.shape[:2])

        def strip(rows: slice) -> None:
            before, share = to_float(color[rows], self.after.dtype), np.float32(strength)
            if picture.mask is not None:
                share = share * _mask(picture, rows)[..., None]
            mixed = finished(
                before + share * (self.after[rows] - before),
                color.dtype,
                bounded=picture.bounded,
                gamut=self.how.gamut == "fade",
                dither=self.how.dither,
                first=rows.start,
            )
            # what does not change keeps its last bit, whatever the depth
            result[rows, :, : color.shape[2]] = np.where(share > 0, mixed, color[rows])

        each(strip, [slice(top, min(top + ROWS, len(color))) for top in range(0, len(color), ROWS)])
        return result.reshape(picture.shape)

    @cached_property
    def after(self) -> np.ndarray:
        """(H, W, c) float32: the whole change, mask aside, not clipped."""
        after = _mapped(self.color_map, self.picture, self.spread)
        how, color = self.how, _colors(self.picture)
        for turn in range(how.rounds):
            after = smooth(color, after, how.smooth)
            if self.again is not None and (how.rematch or turn + 1 < how.rounds):
                after = _matched(after, self.picture, self.again)
        return after


def blend(color_map: maps.ColorMap, strength: float) -> maps.ColorMap:
    """The map at a strength, 0 .. 1.

    Raises:
        ValueError: for another one.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be within 0..1, got {strength}")
    if strength == 1:
        return color_map
    return maps.Blend(jnp.asarray(strength), as_pytree(color_map))


def by_color(color_map: maps.ColorMap, strength: float, how: Finish) -> maps.ColorMap:
    """A map at a strength, with as much of a finish as is done colour by colour: its gamut.

    Example:
        >>> twice = maps.Affine(2 * jnp.eye(3), jnp.zeros(3))
        >>> by_color(twice, 1, Finish(gamut="fade"))(jnp.array([[0.6, 0.3, 0.3]])).round(2)
        Array([[1.  , 0.65, 0.65]], dtype=float32)
    """
    color_map = as_pytree(blend(color_map, strength))
    return InGamut(color_map) if how.gamut == "fade" else color_map


def _colors(picture: Pixels) -> np.ndarray:
    """(H, W, c), c = 1 or 3: the picture without its alpha."""
    return picture.color.reshape(*picture.shape[:2], -1)


def _mask(picture: Pixels, rows: slice) -> np.ndarray:
    """(h, W) in [0, 1]: the mask on some rows of the picture."""
    assert picture.mask is not None
    mask = picture.mask.reshape(picture.shape[:2])[rows]
    return np.clip(to_float(mask, np.dtype(np.float32)), 0, 1)


def _mapped(color_map: maps.ColorMap, picture: Pixels, spread: bool = False) -> np.ndarray:
    """(H, W, c) float32: the map on every pixel, not clipped.

    With `spread` whole-number colours are anywhere within their level, as they were before someone
    rounded them: a map that draws by colour then draws anew for each pixel.
    """
    channels = picture.color.shape[1]
    if picture.grey:
        color_map = ToGrey(as_pytree(color_map))
    result = np.empty((*picture.shape[:2], channels), np.float32)
    rows = result.reshape(-1, channels)
    if picture.color.dtype == np.uint8 and not spread:
        table = evaluate(color_map, unpack(picture.distinct.keys) / np.float32(255))[:, :channels]

        def look_up(part: slice) -> None:
            rows[part] = table[picture.distinct.place[part]]

        each(look_up, picture.tiles(BLOCK))
    else:
        for part in picture.tiles(BLOCK):
            values = picture.values(part)
            if spread and np.issubdtype(picture.color.dtype, np.integer):
                values = _within_level(values, picture, part)
            rows[part] = evaluate(color_map, values)[:, :channels]
    return result


def _within_level(values: np.ndarray, picture: Pixels, part: slice) -> np.ndarray:
    rng = np.random.default_rng(part.start)  # the same picture, the same result
    share = rng.random((len(values), picture.color.shape[1]), np.float32) - np.float32(0.5)
    return values + (share / np.iinfo(picture.color.dtype).max).astype(values.dtype)


def _matched(
    after: np.ndarray, picture: Pixels, again: Callable[[Pixels], maps.ColorMap]
) -> np.ndarray:
    """The recoloured picture with its colours matched once more.

    A picture within [0, 1] is fitted, and its displacement read, at its 8-bit colours: there are
    few of them, and the displacement, unlike the picture, varies slowly.
    """
    rows = after.reshape(-1, after.shape[2])
    if picture.bounded:
        np.clip(rows, 0, 1, out=rows)
        rows = np.rint(rows * 255).astype(np.uint8)
    shape = after.shape if after.shape[2] == 3 else after.shape[:2]
    now = replace(picture, color=rows, shape=shape)
    moved = _mapped(again(now), now)
    if not picture.bounded:
        return moved

    def add(part: slice) -> None:
        moved[part] += after[part] - to_float(_colors(now)[part], after.dtype)

    strips = [slice(top, top + ROWS) for top in range(0, len(after), ROWS)]
    each(add, strips)
    return moved
