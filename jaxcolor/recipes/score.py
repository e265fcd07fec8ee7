"""How good a transfer is: near the reference's colours, true to the source's structure."""

from dataclasses import asdict, dataclass
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike

from jaxcolor.image.artefacts import banding, blockiness, clipped, noise
from jaxcolor.image.colors import chunks, moments
from jaxcolor.image.metrics import delta_e, gradient, ssim, tv_ratio
from jaxcolor.image.pixels import BLOCK, Pixels, each, to_float, view
from jaxcolor.image.spaces import Srgb
from jaxcolor.iterate import check
from jaxcolor.measure import point_cloud
from jaxcolor.transport.solvers import solve

DIRECTIONS, QUANTILES = 64, 4096
BINS = 1 << 16
SOME = 1 << 14  # pixels of each picture that decide on a warning
DRAWN = 1000  # pixels of each picture that the exact distance is taken between


@dataclass(frozen=True)
class Score:
    """How near a result is to its reference, and how true to its source.

    Attributes:
        sw2: sliced Wasserstein distance of the result's colours to the reference's, 0 is best.
        ssim: structural similarity of lightness to the source, 1 is best.
        tv: total variation relative to the source, 1 is neutral.
    """

    sw2: float
    ssim: float
    tv: float

    def as_dict(self) -> dict[str, float | None]:
        """The figures by name; None for what is undefined, since JSON has no NaN.

        Example:
            >>> Score(0.1, float("nan"), 1.0).as_dict()
            {'sw2': 0.1, 'ssim': None, 'tv': 1.0}
        """
        return {name: x if isfinite(x) else None for name, x in asdict(self).items()}


@dataclass(frozen=True)
class Report(Score):
    """A score and more: NaN for what a picture is too small, or too flat, to have.

    Attributes:
        w2: exact Wasserstein distance of 1,000 pixels of the result to 1,000 of the reference; of
            one photograph to itself .02 to .06, what the draw gives.
        bures: distance of means and covariances, result to reference, 0 is best.
        gradient: correlation of edges with the source's, 1 is best.
        noise: grain relative to the source's, where that is flat, 1 is neutral.
        banding: share of smooth gradients that became steps, 0 is best.
        blockiness: what JPEG's blocks gained in height, 0 is neutral, full scale = 1.
        clipped: share of pixels newly at an end of the scale, or beyond, 0 is best.
        delta_e: mean CIEDE2000 to the source: how far colours went, neither good nor bad.
    """

    w2: float
    bures: float
    gradient: float
    noise: float
    banding: float
    blockiness: float
    clipped: float
    delta_e: float


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


def report(source: ArrayLike, reference: ArrayLike, result: ArrayLike) -> Report:
    """Everything that is measured of a transfer; pictures of any dtype, alpha ignored.

    Raises:
        ValueError: where source and result differ in size.

    Example:
        >>> picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
        >>> all_of_it = report(picture, picture, picture)
        >>> all_of_it.w2, all_of_it.bures, all_of_it.noise, all_of_it.delta_e
        (0.0, 0.0, 1.0, 0.0)
    """
    figures = {
        "w2": w2(result, reference),
        "bures": bures(result, reference),
        "gradient": gradient(source, result),
        "noise": noise(source, result),
        "banding": banding(source, result),
        "blockiness": blockiness(source, result),
        "clipped": clipped(source, result),
        "delta_e": delta_e(source, result),
    }
    quick = score(source, reference, result)
    return Report(**asdict(quick), **{name: round(x, 6) for name, x in figures.items()})


def w2(a: ArrayLike, b: ArrayLike) -> float:
    """Exact W2 between 1,000 pixels of each of two pictures, encoded RGB in [0, 1].

    The pixels are drawn without replacement, those of `a` by NumPy's default_rng(0), those of `b`
    by default_rng(1); where either picture has fewer than 1,000, as many as that has. The draw
    alone gives .02 to .06 on photographs: read differences, not zeros.

    Raises:
        RuntimeError: where the solver did not find the plan.

    Example:
        >>> black, grey = (np.full((2, 2, 3), v, np.uint8) for v in (0, 51))
        >>> round(w2(black, grey), 4)
        0.3464

    Reference:
        Peyre, Cuturi (2019), Computational Optimal Transport, chapter 2.
    """
    pictures = [_opaque(image) for image in (a, b)]
    count = min(DRAWN, *map(len, pictures))
    clouds = []
    for seed, pixels in enumerate(pictures):
        rows = np.random.default_rng(seed).choice(len(pixels), count, replace=False)
        colors = np.broadcast_to(pixels.color[rows], (count, 3))
        clouds.append(point_cloud(to_float(colors, pixels.dtype)))
    coupling = solve(*clouds, method="exact")
    check(coupling.info)
    return float(np.sqrt(max(float(coupling.value), 0.0)))


def bures(a: ArrayLike, b: ArrayLike) -> float:
    """Bures-Wasserstein distance of two pictures: W2 of the Gaussians with their moments.

    (|m - n|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2))^1/2, encoded RGB in [0, 1], in float64.

    Example:
        >>> black, grey = (np.full((2, 2, 3), v, np.uint8) for v in (0, 51))
        >>> round(bures(black, grey), 4)
        0.3464

    Reference:
        Dowson, Landau (1982), The Frechet distance between multivariate normal distributions.
    """
    (m, A), (n, B) = (moments(_opaque(image), Srgb()) for image in (a, b))
    values, vectors = np.linalg.eigh(A)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ B @ root), 0)).sum()
    return float(np.sqrt(np.sum((m - n) ** 2) + max(np.trace(A + B) - 2 * cross, 0.0)))


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


def further(source: ArrayLike, reference: ArrayLike, result: ArrayLike) -> bool:
    """Whether a result is further from its reference, in SW2, than the source was.

    By 16,384 opaque pixels of each, so a warning costs little; up to a level of 255 is chance.

    Example:
        >>> black, grey, white = (np.full((2, 2, 3), v, np.uint8) for v in (0, 51, 255))
        >>> further(grey, black, white), further(white, black, grey)
        (True, False)
    """
    before, goal, after = (_drawn(image) for image in (source, reference, result))
    return sw2(after, goal) > sw2(before, goal) + 1 / 255


def _drawn(image: ArrayLike) -> np.ndarray:
    """(1, n, c): opaque pixels, drawn with replacement, always the same."""
    array = np.asarray(image)
    rows = array.reshape(-1, 1 if array.ndim == 2 else array.shape[2])
    rng = np.random.default_rng(0)
    some = rows[rng.integers(0, len(rows), SOME)]
    if rows.shape[1] in (2, 4):
        opaque = some[:, -1] > 0
        some = some[opaque if opaque.any() else slice(None), :-1]
    return some[None] if some.shape[1] == 3 else some[None, :, 0]


def directions() -> np.ndarray:
    """The 64 unit vectors (64, 3)."""
    theta = np.random.default_rng(0).normal(size=(DIRECTIONS, 3))
    return theta / np.linalg.norm(theta, axis=1, keepdims=True)


def _projected_quantiles(image: ArrayLike) -> np.ndarray:
    """(64, 4096): np.quantile's values on every projection."""
    pairs = list(chunks(_opaque(image)))
    colors, counts = (np.concatenate(part) for part in zip(*pairs, strict=True))
    theta, result = directions(), np.empty((DIRECTIONS, QUANTILES))

    def one(rows: slice) -> None:
        along = np.empty(len(colors))
        for start in range(0, len(colors), BLOCK):  # float64, but not all colours at once
            part = np.s_[start : start + BLOCK]
            along[part] = colors[part].astype(np.float64) @ theta[rows.start]
        result[rows.start] = _quantiles(along, counts)

    each(one, [slice(k, k + 1) for k in range(DIRECTIONS)])
    return result


def _quantiles(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The 4,096 levels of values (n,) that occur counts (n,) times each.

    Only the bins in which a level lies are sorted: a small part of them all.
    """
    low, span = values.min(), np.ptp(values)
    bins = ((values - low) * ((BINS - 1) / span if span > 0 else 0)).astype(np.int32)
    mass = np.bincount(bins, counts, BINS)
    # position of each level among the sorted pixels, counted from 0
    wanted = (np.arange(QUANTILES) + 0.5) / QUANTILES * (counts.sum() - 1)
    left = np.floor(wanted)
    places = np.stack([left, left + 1])
    sought = np.zeros(BINS, bool)
    sought[np.minimum(np.searchsorted(np.cumsum(mass), places, side="right"), BINS - 1)] = True
    passed = np.cumsum(np.where(sought, 0, mass))
    some = np.flatnonzero(sought[bins])
    some = some[np.argsort(values[some])]
    last = passed[bins[some]] + np.cumsum(counts[some])  # pixels up to and with each
    found = np.minimum(np.searchsorted(last, places, side="right"), len(last) - 1)
    first, second = values[some[found]]
    return first + (wanted - left) * (second - first)


def _opaque(image: ArrayLike) -> Pixels:
    """A picture without its alpha, clipped as a screen does."""
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] in (2, 4):
        array = array[..., :-1]
        array = array[..., 0] if array.shape[2] == 1 else array
    pixels = view(array)
    return pixels if pixels.bounded else view(np.clip(array, 0, 1))
