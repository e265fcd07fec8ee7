"""A map of colours on the planes of deep frames, or of any whose codes are too many for a table."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.image.encoding import Encoding
from jaxcolor.image.yuv import unseen
from jaxcolor.maps import HIGHEST, ColorMap

Steps = tuple[int, int]  # pixels that share a chroma value, across and down


def mapped(
    color_map: ColorMap,
    planes: list[np.ndarray],
    depths: tuple[int, int],
    encodings: tuple[Encoding, Encoding],
    steps: tuple[Steps, Steps],
) -> tuple[np.ndarray, ...]:
    """A frame's planes, mapped pixel by pixel.

    Chroma that is stored at less than the full resolution takes the change that pixels around it
    have in the mean, so that a map that changes nothing changes no code.

    Args:
        color_map: a pytree, on encoded RGB.
        planes: luma (H, W) and chroma, as they are stored; or red, green and blue.
        depths: bits of a code, before and after.
        encodings: of the codes, before and after.
        steps: of chroma, before and after.

    Example:
        >>> from jaxcolor.image.encoding import BT709
        >>> from jaxcolor.maps import Affine
        >>> grey = [np.full((4, 4), 600), np.full((2, 2), 512), np.full((2, 2), 512)]
        >>> half = Affine(jnp.eye(3) / 2, jnp.zeros(3))
        >>> y, u, v = mapped(half, grey, (10, 10), (Encoding(BT709),) * 2, ((2, 2),) * 2)
        >>> int(y[0, 0]), int(u[0, 0])  # half way from black, 64
        (332, 512)
    """
    (matrix, offset), (encode, zero) = (one.affine for one in encodings)
    way = np.linalg.inv(matrix), offset, encode, zero
    scales = tuple(np.float32(2 ** (depth - 8)) for depth in depths)
    same = encodings[0] == encodings[1] and steps[0] == steps[1]
    way = tuple(part.astype(np.float32) for part in way)
    found = _mapped(color_map, planes, scales, way, steps=steps, same=same)
    kind = np.uint8 if depths[1] == 8 else np.uint16
    return tuple(np.asarray(one).astype(kind) for one in found)


@partial(jax.jit, static_argnames=("steps", "same"))
def _mapped(
    color_map: ColorMap,
    planes: list[Array],
    scales: tuple[Array, Array],
    way: tuple[Array, ...],
    *,
    steps: tuple[Steps, Steps],
    same: bool,
) -> list[Array]:
    decode, offset, encode, zero = way
    stored = [plane.astype(jnp.float32) / scales[0] for plane in planes]
    shape = planes[0].shape
    whole = [stored[0], *(_raised(one, steps[0], shape) for one in stored[1:])]
    every = jnp.matmul(_colors(whole) - offset, decode.T, precision=HIGHEST)
    shown = jnp.clip(every, 0, 1)
    result = jnp.clip(color_map(shown), 0, 1)
    result = result + unseen(every, shown, result)
    codes = jnp.matmul(result, encode.T, precision=HIGHEST) + zero
    codes = [codes[:, k].reshape(shape) for k in range(3)]
    chroma = codes[1:]
    if same:
        chroma = [new - old for new, old in zip(chroma, whole[1:], strict=True)]
    chroma = [_lowered(one, steps[1]) for one in chroma]
    if same:
        chroma = [old + by for old, by in zip(stored[1:], chroma, strict=True)]
    most = 256 * scales[1] - 1
    result = (jnp.rint(one * scales[1]) for one in (codes[0], *chroma))
    return [jnp.clip(one, 0, most).astype(jnp.uint16) for one in result]


def _colors(planes: list[Array]) -> Array:
    return jnp.stack([plane.ravel() for plane in planes], 1)


def _raised(chroma: Array, steps: Steps, shape: tuple[int, ...]) -> Array:
    """Chroma at every pixel: it lies on even columns, and half way between two rows."""
    if steps[1] == 2:
        above = jnp.concatenate([chroma[:1], chroma[:-1]])
        below = jnp.concatenate([chroma[1:], chroma[-1:]])
        rows = jnp.stack([3 * chroma + above, 3 * chroma + below], 1) / 4
        chroma = rows.reshape(-1, chroma.shape[1])
    if steps[0] == 2:
        right = jnp.concatenate([chroma[:, 1:], chroma[:, -1:]], 1)
        columns = jnp.stack([chroma, (chroma + right) / 2], 2)
        chroma = columns.reshape(len(chroma), -1)
    return chroma[: shape[0], : shape[1]]


def _lowered(values: Array, steps: Steps) -> Array:
    """Values at the places of chroma, from those around."""
    height, width = values.shape
    odd = ((0, height % 2 if steps[1] == 2 else 0), (0, width % 2 if steps[0] == 2 else 0))
    values = jnp.pad(values, odd, "edge")
    if steps[0] == 2:
        left = jnp.concatenate([values[:, 1:2], values[:, 1:-1:2]], 1)
        values = (left + 2 * values[:, ::2] + values[:, 1::2]) / 4
    if steps[1] == 2:
        values = (values[::2] + values[1::2]) / 2
    return values
