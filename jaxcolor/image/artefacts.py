"""Artefacts: grain, false contours, blocks, clipping that a result has and its source had not."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxcolor.image.metrics import (
    WINDOW,
    by_strips,
    down_and_across,
    same_size,
    strip_rows,
)
from jaxcolor.image.pixels import BLOCK, each, full_scale, view

ROUNDING = 1 / 255 / 12**0.5  # deviation that rounding to 8 bits gives
FLAT = 0.25  # share of the windows in which noise is measured
LINES = 8, 16, 32  # pixels, in which contours are sought
END = 4  # pixels at either end of a line that a contour leaves flat
CELL = 8  # side of JPEG's blocks
TOLERANCE = 1e-5  # beyond the range: less is float32 arithmetic, not gamut


def noise(source: ArrayLike, result: ArrayLike) -> float:
    """How much stronger the grain is than the source's, 1 is neutral.

    sigma(result) / sigma(source), each at least that of rounding to 8 bits (1 / 255 / 12^1/2), so
    that flat sources have a measure. sigma = (pi/2)^1/2 / 6 mean |N * x|, N the difference of two
    Laplacians, to which slopes are nothing; over the quarter of 7 x 7 windows in which the source
    varies least, all channels. Windows that were quiet by chance are among them: fresh grain as
    strong as the source's reads 1.47, not 1.41. NaN for pictures with a side below 9.

    Raises:
        ValueError: where sizes differ.

    Example:
        >>> grey = np.full((40, 40), 0.5)
        >>> grainy = grey + np.random.default_rng(0).normal(0, 0.01, grey.shape)
        >>> round(noise(grainy, 0.5 + 2 * (grainy - 0.5)), 3)
        2.0

    Reference:
        Immerkaer (1996), Fast noise variance estimation.
    """
    found = np.concatenate(by_strips(_grain, source, result, margin=2), axis=1)
    if not found.size:
        return float("nan")
    variance, *grains = found
    flattest = variance <= np.quantile(variance, FLAT)
    before, after = (max(float(grain[flattest].mean()), ROUNDING) for grain in grains)
    return after / before


def _grain(source: np.ndarray, result: np.ndarray) -> np.ndarray:
    """(3, windows): variance of the source, sigma of the source, sigma of the result."""
    variance = _windows(source[1:-1, 1:-1]).var((1, 3), dtype=np.float64).mean(-1)
    sigmas = [np.abs(_windows(_laplacians(x))).mean((1, 3, 4)) for x in (source, result)]
    scale = (np.pi / 2) ** 0.5 / 6
    return np.stack([variance.ravel(), *(scale * sigma.ravel() for sigma in sigmas)])


def _windows(x: np.ndarray) -> np.ndarray:
    """(h', 7, w', 7, 3): windows side by side; what is left over at the end is dropped."""
    rows, columns = (n // WINDOW for n in x.shape[:2])
    whole = x[: rows * WINDOW, : columns * WINDOW]
    return whole.reshape(rows, WINDOW, columns, WINDOW, 3)


def _laplacians(x: np.ndarray) -> np.ndarray:
    """[1 -2 1]' [1 -2 1] * x, inside."""
    down = x[:-2] - 2 * x[1:-1] + x[2:]
    return down[:, :-2] - 2 * down[:, 1:-1] + down[:, 2:]


def banding(source: ArrayLike, result: ArrayLike) -> float:
    """False contours: the share of smooth gradients that has become steps, 0 for the source.

    Looks at lines of 8, 16 and 32 pixels, in every channel, down and across, in 8-bit levels, that
    are smooth in the source: they span at most half a level per pixel. Of the change from end to
    end of all these, the share of those that are one step: two values, two levels or more apart,
    both ends flat over four pixels. Of the three lengths the greatest gain over the source's
    share, scaled so that a staircase gets 1. Grain and dither that hide a step take it out of the
    count. 0 where nothing is smooth, NaN where no side has 8 pixels.

    Raises:
        ValueError: where sizes differ.

    Example:
        >>> ramp = np.tile(np.linspace(0, 0.5, 300), (9, 1))
        >>> banding(ramp, ramp), round(banding(ramp, np.round(ramp * 16) / 16), 2)
        (0.0, 1.0)

    Reference:
        Tandon, Afonso, Sole, Krasula (2021), CAMBI: contrast-aware multiscale banding index (two
        flat levels side by side, at several scales); the share is ours.
    """
    strips = down_and_across(_steps, source, result, margin=LINES[-1] - 1)
    sums = np.sum([strip for axis in strips for strip in axis], axis=0)
    gains = []
    for length, (lines, *changes) in zip(LINES, sums, strict=True):
        before, after = (
            float(steps / total) if total else 0.0 for steps, total in (changes[:2], changes[2:])
        )
        # of the places where a line may have its step, those that leave both ends flat
        ceiling = (length - 2 * END + 1) / (length - 1)
        gains += [min((after - before) / ceiling, 1.0)] if lines else []
    return max(gains, default=float("nan"))


def _steps(*strips: np.ndarray) -> np.ndarray:
    """(3, 5), a row for each length: how many lines; change in steps, in all, of either strip."""
    own = np.s_[: strip_rows(strips[0].shape[1])]  # short lines in the margin are the next strip's
    sums = np.zeros((len(LINES), 5))
    source, result = (_lines(np.rint(255 * strip).astype(np.uint8)) for strip in strips)
    for length, row, pair in zip(LINES, sums, zip(source, result, strict=True), strict=True):
        smooth = pair[0].span[own] <= length // 2
        row[0] = smooth.size
        for k, one in enumerate(pair):
            change = one.change[own] * smooth
            parts = change * one.step[own], change
            row[2 * k + 1 : 2 * k + 3] = [part.sum(dtype=np.int64) for part in parts]
    return sums


class _Lines(NamedTuple):
    """All lines of one length down a strip: highest less lowest, end less end, whether a step."""

    span: np.ndarray
    change: np.ndarray
    step: np.ndarray


def _lines(strip: np.ndarray) -> Iterator[_Lines]:
    """Of a strip of 8-bit levels, for each length; each line is made of two of half its length."""
    jump = _apart(strip[1:], strip[:-1])
    jump[jump == 0] = 255
    low = high = flat = strip
    least = np.full_like(strip, 255)  # the least jump in a line
    half = 1
    while half < LINES[-1]:
        low = np.minimum(low[:-half], low[half:])
        high = np.maximum(high[:-half], high[half:])
        between = jump[half - 1 : half - 1 + len(low)]
        least = np.minimum(np.minimum(least[:-half], least[half:]), between)
        half *= 2
        if half == END:
            flat = low == high
        if half in LINES:
            span, change = high - low, _apart(strip[half - 1 :], strip[: 1 - half])
            two_values = (span == change) & (least == change) & (change > 1)
            yield _Lines(span, change, two_values & flat[: END - half] & flat[half - END :])


def _apart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(x, y) - np.minimum(x, y)


def blockiness(source: ArrayLike, result: ArrayLike) -> float:
    """How much more JPEG's 8 x 8 blocks show than in the source, 0 is neutral, full scale = 1.

    B(result) - B(source), B the mean |difference| of neighbours on either side of a block's edge,
    less that of all others, the mean of both axes. Blocks begin at the top left corner: a cropped
    JPEG hides them. NaN where no edge is.

    Raises:
        ValueError: where sizes differ.

    Example:
        >>> blocks = np.kron(np.random.default_rng(0).random((4, 4)), np.ones((8, 8)))
        >>> blockiness(blocks / 2, blocks) > 0.1
        True

    Reference:
        Wang, Sheikh, Bovik (2002), No-reference perceptual quality assessment of JPEG compressed
        images (the mean difference on edges; less the others is ours).
    """
    gains = []
    for strips in down_and_across(_differences, source, result, margin=1):
        along = np.concatenate(strips, axis=1)
        edge = np.arange(1, along.shape[1] + 1) % CELL == 0
        if edge.any():
            before, after = along[:, edge].mean(1) - along[:, ~edge].mean(1)
            gains.append(after - before)
    return float(np.mean(gains)) if gains else float("nan")


def _differences(*strips: np.ndarray) -> np.ndarray:
    """(2, h - 1): mean |difference| of successive rows."""
    return np.stack([np.abs(np.diff(x, axis=0)).mean((1, 2), dtype=np.float64) for x in strips])


def clipped(source: ArrayLike, result: ArrayLike) -> float:
    """Share of pixels that lost colour at the ends of the scale.

    Those with a channel at an end (0 or full scale) where the source had it inside, or beyond an
    end, as only float pictures can.

    Raises:
        ValueError: where sizes differ; and as `pixels.view`.

    Example:
        >>> source, result = np.array([[[0, 9, 99, 255]], [[0, 0, 200, 255]]], np.uint8)
        >>> clipped(source, result)
        0.25
    """
    before, after = (view(array) for array in same_size(source, result))

    def count(rows: slice) -> int:
        outside = _beyond(after.color[rows] / np.float32(full_scale(after.color.dtype)))
        newly = _at_end(after.color[rows]) & ~_at_end(before.color[rows])
        return int((outside | newly).any(1).sum())

    return sum(each(count, after.tiles(BLOCK))) / len(after)


def _at_end(values: np.ndarray) -> np.ndarray:
    return (values <= 0) | (values >= full_scale(values.dtype))


def _beyond(values: np.ndarray) -> np.ndarray:
    return (values < -TOLERANCE) | (values > 1 + TOLERANCE)


def out_of_gamut(colors: ArrayLike, mass: ArrayLike | None = None) -> float:
    """Share of the mass whose colour is outside [0, 1]: of what a map gives before clipping.

    Args:
        colors: (n, 3), encoded RGB.
        mass: (n,) >= 0, or None where all count alike.

    Returns:
        0..1, NaN where nothing has mass.

    Example:
        >>> out_of_gamut([[0.5, 0.5, 0.5], [0.5, 0.5, 1.2]], [3, 1])
        0.25
    """
    outside = np.any(_beyond(np.asarray(colors)), axis=1)
    weights = np.ones(len(outside)) if mass is None else np.asarray(mass, np.float64)
    total = weights.sum()
    return float(weights @ outside / total) if total > 0 else float("nan")
