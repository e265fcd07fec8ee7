"""From a fitted map to a finished picture: smoothed, matched again, within gamut, dithered."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import jax.numpy as jnp
import numpy as np

from jaxcolor import maps
from jaxcolor.image.apply import ToGrey, apply
from jaxcolor.image.keys import unpack
from jaxcolor.image.output import finished
from jaxcolor.image.pixels import BLOCK, Pixels, as_pytree, each, evaluate, to_float
from jaxcolor.image.smooth import smooth
from jaxcolor.recipes.looks import PLAIN, Finish


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

    def at(self, strength: float = 1.0) -> np.ndarray:
        """The picture, changed by a share 0 .. 1 of it all; the source's dtype, shape and alpha.

        Raises:
            ValueError: for another strength.
        """
        color_map = blend(self.color_map, strength)
        if self.how == PLAIN:
            return apply(color_map, self.picture)
        return _pixels(self.before, self.after, self.picture, self.how, strength)

    @cached_property
    def before(self) -> np.ndarray:
        """(H, W, c) float32: the picture without its alpha."""
        return floats(self.picture)

    @cached_property
    def after(self) -> np.ndarray:
        """(H, W, c) float32: the whole change, mask aside, not clipped."""
        after, how = _mapped(self.color_map, self.picture), self.how
        for turn in range(how.rounds):
            after = smooth(self.before, after, how.smooth)
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


def floats(picture: Pixels) -> np.ndarray:
    """(H, W, c) float32, full scale = 1, c = 1 or 3: the picture without its alpha."""
    channels = picture.color.shape[1]
    result = np.empty((*picture.shape[:2], channels), np.float32)
    rows = result.reshape(-1, channels)

    def fill(part: slice) -> None:
        rows[part] = to_float(picture.color[part], result.dtype)

    each(fill, picture.tiles(BLOCK))
    return result


def _mapped(color_map: maps.ColorMap, picture: Pixels) -> np.ndarray:
    """(H, W, c) float32: the map on every pixel, not clipped."""
    channels = picture.color.shape[1]
    if picture.grey:
        color_map = ToGrey(as_pytree(color_map))
    result = np.empty((*picture.shape[:2], channels), np.float32)
    rows = result.reshape(-1, channels)
    if picture.color.dtype == np.uint8:
        table = evaluate(color_map, unpack(picture.palette.keys) / np.float32(255))[:, :channels]

        def look_up(part: slice) -> None:
            rows[part] = table[picture.palette.place[part]]

        each(look_up, picture.tiles(BLOCK))
    else:
        for part in picture.tiles(BLOCK):
            rows[part] = evaluate(color_map, picture.values(part))[:, :channels]
    return result


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
    return after + (moved - floats(now)) if picture.bounded else moved


def _pixels(
    before: np.ndarray, after: np.ndarray, picture: Pixels, how: Finish, strength: float
) -> np.ndarray:
    """Blend with the source by strength and mask, and back to the picture's dtype, alpha added."""
    share = np.float32(strength)
    if picture.mask is not None:
        mask = np.clip(to_float(picture.mask, np.dtype(np.float32)), 0, 1)
        share = share * mask.reshape(*after.shape[:2], 1)
    color = finished(
        before + share * (after - before),
        picture.color.dtype,
        bounded=picture.bounded,
        gamut=how.gamut == "fade",
        dither=how.dither,
    )
    # to the last bit, whatever the depth
    color = np.where(share > 0, color, picture.color.reshape(color.shape))
    if picture.alpha is not None:
        color = np.dstack([color, picture.alpha.reshape(*after.shape[:2], 1)])
    return color.reshape(picture.shape)
