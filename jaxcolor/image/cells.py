"""A picture as square cells of pixels, worked on in tiles of one compiled shape."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from jax import Array

from jaxcolor.image.pixels import each, full_scale, to_float

T = TypeVar("T")


def pooled(u: np.ndarray, v: np.ndarray, step: int, moments: bool = False) -> np.ndarray:
    """(k, h, w): means of u and v over cells, var u and cov(u, v) if asked, the share inside."""
    height, width, channels = u.shape
    counts = [np.diff(np.arange(0, n + step, step).clip(max=n)) for n in (height, width)]
    shape = len(counts[0]), len(counts[1])
    cells = np.empty((channels * (4 if moments else 2) + 1, *shape), np.float32)
    cells[-1] = np.multiply.outer(*counts) / step**2
    starts = np.arange(0, width, step)

    def one(rows: slice) -> None:
        lines = slice(rows.start * step, rows.stop * step)
        a, b = to_float(u[lines], cells.dtype), v[lines]
        share = cells[-1, rows.start] * step**2
        means = [
            (np.add.reduceat(part.sum(0), starts, axis=0).T / share)
            for part in ((a, b, a * a, a * b) if moments else (a, b))
        ]
        if moments:
            means[2:] = means[2] - means[0] ** 2, means[3] - means[0] * means[1]
        cells[:-1, rows.start] = np.concatenate(means)

    each(one, [slice(k, k + 1) for k in range(shape[0])])
    return cells


def assembled(
    shape: tuple[int, ...],
    fine: int,
    side: int,
    prepare: Callable[[int, int], T],
    finish: Callable[[T, tuple, tuple], Array],
) -> np.ndarray:
    """A picture (H, W, c) from tiles of side x side cells of fine x fine pixels.

    Within a tile the pixels at one place in their cells go together, side x side of them: so one
    shape serves every `fine`.
    """
    result = np.empty(shape, np.float32)
    down, across = (-(-n // (fine * side)) for n in shape[:2])
    offsets = [(k + 0.5) / fine - 0.5 for k in range(fine)]

    def one(tile: slice) -> None:
        top, left = (side * k for k in divmod(tile.start, across))
        ready = prepare(top, left)
        for y, x in np.ndindex(fine, fine):
            here = tuple(
                slice(fine * k + place, fine * (k + side), fine)
                for k, place in ((top, y), (left, x))
            )
            part = result[here]
            if part.size:
                done = np.asarray(finish(ready, here, (offsets[y], offsets[x])))
                part[:] = np.moveaxis(done, 0, -1)[: part.shape[0], : part.shape[1]]

    each(one, [slice(k, k + 1) for k in range(down * across)])
    return result


def window(cells: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
    """(k, side, side) of the cells from (top, left) on, 0 outside."""
    found = np.zeros((len(cells), side, side), np.float32)
    part = cells[:, max(top, 0) : top + side, max(left, 0) : left + side]
    y, x = max(-top, 0), max(-left, 0)
    found[:, y : y + part.shape[1], x : x + part.shape[2]] = part
    return found


def as_planes(part: np.ndarray, side: int) -> np.ndarray:
    """(c, side, side) float32, full scale = 1, of at most side x side pixels (h, w, c)."""
    found = np.zeros((part.shape[2], side, side), np.float32)
    found[:, : part.shape[0], : part.shape[1]] = np.moveaxis(part, -1, 0)
    found /= np.float32(full_scale(part.dtype))
    return found
