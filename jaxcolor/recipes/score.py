"""How good a transfer is: near the reference's colours, true to the source's structure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from jaxcolor.image.colors import chunks
from jaxcolor.image.metrics import ssim, tv_ratio
from jaxcolor.image.pixels import each, view

DIRECTIONS, QUANTILES = 64, 4096


@dataclass(frozen=True)
class Score:
    """Attributes:
    sw2: sliced Wasserstein distance of the result's colours to the reference's, 0 is best.
    ssim: structural similarity of lightness to the source, 1 is best.
    tv: total variation relative to the source, 1 is neutral.
    """

    sw2: float
    ssim: float
    tv: float


def score(source: ArrayLike, reference: ArrayLike, result: ArrayLike) -> Score:
    """Fidelity, structure and noise of a transfer; pictures of any dtype, alpha ignored.

    Example:
        >>> picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
        >>> score(picture, picture, picture)
        Score(sw2=0.0, ssim=1.0, tv=1.0)
    """
    return Score(
        sw2=round(sw2(result, reference), 6),
        ssim=round(ssim(source, result), 6),
        tv=round(tv_ratio(source, result), 6),
    )


def sw2(a: ArrayLike, b: ArrayLike) -> float:
    """Sliced W2 between the colours of two pictures, encoded RGB in [0, 1].

    (mean over 64 directions and 4,096 levels of (F_a^-1 - F_b^-1)^2)^1/2; the directions are
    fixed (NumPy's default_rng(0)), the levels (k + 1/2)/4096, quantiles interpolate linearly
    between the sorted pixels. Distinct colours are sorted in place of pixels; same value.

    Reference:
        Bonneel, Rabin, Peyre, Pfister (2015), Sliced and Radon Wasserstein barycenters, eq. 5.

    Example:
        >>> black, grey = (np.full((2, 2, 3), v, np.uint8) for v in (0, 51))
        >>> theta = directions()
        >>> bool(np.isclose(sw2(black, grey), 0.2 * np.sqrt((theta.sum(1) ** 2).mean())))
        True
    """
    quantiles = [_projected_quantiles(image) for image in (a, b)]
    return float(np.sqrt(np.mean((quantiles[0] - quantiles[1]) ** 2)))


def directions() -> np.ndarray:
    """The 64 unit vectors (64, 3)."""
    theta = np.random.default_rng(0).normal(size=(DIRECTIONS, 3))
    return theta / np.linalg.norm(theta, axis=1, keepdims=True)


def _projected_quantiles(image: ArrayLike) -> np.ndarray:
    """(64, 4096): np.quantile's values on every projection."""
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] in (2, 4):
        array = array[..., :-1]
        array = array[..., 0] if array.shape[2] == 1 else array
    pairs = list(chunks(view(array)))
    colors = np.clip(np.concatenate([p[0] for p in pairs]).astype(np.float64), 0, 1)
    counts = np.concatenate([p[1] for p in pairs])
    theta, result = directions(), np.empty((DIRECTIONS, QUANTILES))
    # position of each quantile among the sorted pixels, counted from 0
    wanted = (np.arange(QUANTILES) + 0.5) / QUANTILES * (counts.sum() - 1)

    def one(rows: slice) -> None:
        for k in range(rows.start, rows.stop):
            along = colors @ theta[k]
            order = np.argsort(along)
            along, last = along[order], np.cumsum(counts[order])  # pixels up to and with each
            left, right = (
                along[np.minimum(np.searchsorted(last, place, side="right"), len(last) - 1)]
                for place in (np.floor(wanted), np.floor(wanted) + 1)
            )
            result[k] = left + (wanted - np.floor(wanted)) * (right - left)

    each(one, [slice(k, k + 1) for k in range(DIRECTIONS)])
    return result
