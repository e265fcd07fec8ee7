"""A fitted map on the pixels of a picture, in tiles: memory does not grow with the picture."""

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor.image.keys import unpack
from jaxcolor.image.lut import Lut
from jaxcolor.image.packed import Packed, look_up, pack
from jaxcolor.image.pixels import (
    BLOCK,
    TILE,
    Pixels,
    as_pytree,
    each,
    evaluate,
    from_float,
    to_float,
    view,
)
from jaxcolor.image.spaces import luminance
from jaxcolor.maps import ColorMap
from jaxcolor.tree import pytree


@pytree
class ToGrey:
    """A map for grey pictures: the luminance of what the inner map makes of the grey."""

    inner: ColorMap

    def __call__(self, colors: Array) -> Array:
        return jnp.broadcast_to(luminance(self.inner(colors))[:, None], colors.shape)


def apply(
    color_map: ColorMap, image: ArrayLike | Pixels, *, mask: ArrayLike | None = None
) -> np.ndarray:
    """The picture with every colour x replaced by T(x); its dtype, shape and alpha stay.

    8-bit pictures are mapped colour by colour, exactly: each distinct colour once, then a look-up;
    a LUT pixel by pixel, in whole numbers. A grey picture stays grey. Float pictures within [0, 1]
    come back within it, wider ones are not clipped.

    Args:
        color_map: a function on encoded RGB (n, 3), full scale = 1.
        image: (H, W), (H, W, 3) or (H, W, 4); uint8, uint16 or float; or a `view` of one.
        mask: (H, W), 0..full scale or bool: how much of the change each pixel takes.

    Raises:
        ValueError: as `pixels.view`.

    Example:
        >>> from jaxcolor.maps import Affine
        >>> negative = Affine(-jnp.eye(3), jnp.ones(3))
        >>> apply(negative, np.full((1, 2, 3), 55, np.uint8))[0, 0]
        array([200, 200, 200], dtype=uint8)
    """
    pixels = view(image, mask)
    if pixels.grey:
        color_map = ToGrey(as_pytree(color_map))
    channels = pixels.color.shape[1]
    result = np.empty((len(pixels), channels + (pixels.alpha is not None)), pixels.color.dtype)
    if pixels.alpha is not None:
        result[:, -1] = pixels.alpha
    table = pack(color_map) if isinstance(color_map, Lut) and result.dtype == np.uint8 else None
    if table is not None:
        _apply_table(table, pixels, result[:, :channels])
    else:
        by = _apply_by_color if result.dtype == np.uint8 else _apply_by_pixel
        by(color_map, pixels, result[:, :channels])
    return result.reshape(pixels.shape)


def _apply_table(table: Packed, pixels: Pixels, out: np.ndarray) -> None:
    # two compiled shapes: one for small pictures
    rows = BLOCK if len(pixels) > TILE else TILE

    def one(part: slice) -> None:
        tile = pixels.rgb(part)
        if len(tile) < rows:
            tile = np.concatenate([tile, np.zeros((rows - len(tile), 3), np.uint8)])
        found = look_up(table, tile)[: part.stop - part.start, : out.shape[1]]
        _store(found, pixels, part, out)

    each(one, pixels.tiles(rows))


def _apply_by_color(color_map: ColorMap, pixels: Pixels, out: np.ndarray) -> None:
    keys, place = pixels.distinct.keys, pixels.distinct.place
    rgbx = np.zeros((len(keys), 4), np.uint8)
    rgbx[:, :3] = from_float(evaluate(color_map, unpack(keys) / np.float32(255)), out.dtype)
    mapped = rgbx.view(np.uint32)[:, 0]

    def look_up(rows: slice) -> None:
        found = np.take(mapped, place[rows])
        _store(found.view(np.uint8).reshape(-1, 4)[:, : out.shape[1]], pixels, rows, out)

    each(look_up, pixels.tiles(BLOCK))


def _apply_by_pixel(color_map: ColorMap, pixels: Pixels, out: np.ndarray) -> None:
    def one(rows: slice) -> None:
        mapped = evaluate(color_map, pixels.values(rows))[:, : out.shape[1]]
        _store(from_float(mapped, out.dtype, clip=pixels.bounded), pixels, rows, out)

    each(one, pixels.tiles(TILE))


def _store(mapped: np.ndarray, pixels: Pixels, rows: slice, out: np.ndarray) -> None:
    """Write one tile, blended with the picture where a mask says so."""
    if pixels.mask is None:
        for channel in range(out.shape[1]):  # twice as fast as all at once, for strided rows
            out[rows, channel] = mapped[:, channel]
        return
    share = np.clip(to_float(pixels.mask[rows], np.dtype(np.float32)), 0, 1)[:, None]
    before = pixels.color[rows].astype(np.result_type(pixels.color.dtype, np.float32))
    mixed = np.where(share > 0, before + share * (mapped - before), before)
    if np.issubdtype(out.dtype, np.integer):
        mixed = np.rint(mixed)
    out[rows] = mixed
