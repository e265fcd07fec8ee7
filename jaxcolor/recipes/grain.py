"""Film grain: measured in the flat areas of a picture, and given to another."""

from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor.image.artefacts import ROUNDING
from jaxcolor.image.colors import Neutral
from jaxcolor.image.filters import Yaroslavsky, displacement
from jaxcolor.image.output import LUMA, finished
from jaxcolor.image.pixels import Pixels, each, evaluate, to_float, view
from jaxcolor.image.regrain import mirrored
from jaxcolor.maps import HIGHEST, lookup
from jaxcolor.transport import gaussian

SIDE = 24  # of a window in which grain is looked at; correlation beyond half of it is not seen
HOP = SIDE // 2
SMALLEST = 2 * SIDE
FLAT = 0.25  # share of the windows that count as flat, the least structured ones
WINDOWS = 2048  # at most, that are looked at
# texture may be left in those: of eight groups by lightness, variance up to SPREAD times the least
# tenth's is grain; groups whose least is LOUDEST times that of all are texture throughout
GROUPS, QUIET, SPREAD, LOUDEST = 8, 0.1, 2.5, 16
KNOTS = 17  # of the curve over lightness
NEAR = 0.08  # of lightness: windows that far count for a knot
TILE = 256  # pixels along each side of a tile, its border of HOP not counted
# standard deviations of grain between colours that are averaged, over 10 pixels to each side. On a
# photograph with grain of 10 levels: 6 % of white grain is left in flat areas (22 % of a coarser
# one), SSIM to the clean one .92; a guided filter of that strength leaves 11 % (20 %), .87
APART = 4.0
REACH = 10


@dataclass(frozen=True, eq=False)
class Grain:
    """The grain of a picture: a stationary Gaussian field times a curve over lightness.

    Attributes:
        curve: (17,) standard deviation at lightness 0 .. 1 (luma of encoded RGB), full scale = 1,
            mean of the channels.
        spectrum: (24, 13, c, c) cross spectrum of the channels, real part: the covariance of white
            grain at every frequency of a 24 x 24 grid, half of it; the mean over the flat areas.
    """

    curve: np.ndarray
    spectrum: np.ndarray

    @cached_property
    def level(self) -> float:
        """The standard deviation in the flat areas, mean of the channels; rounding at least."""
        weight = np.where(np.arange(SIDE // 2 + 1) % HOP > 0, 2, 1)  # frequencies that are halved
        power = np.einsum("yxcc,x->", self.spectrum, weight) / SIDE**2
        return max(float(np.sqrt(power / self.spectrum.shape[-1])), ROUNDING)


def measure(picture: ArrayLike) -> Grain:
    """The grain of a picture.

    A denoised copy says where it is flat; of the windows there, less a plane, the variance gives
    the curve, and the periodograms, averaged (Welch's method), the spectrum.

    Args:
        picture: (H, W), (H, W, 2), (H, W, 3) or (H, W, 4); uint8, uint16 or float; alpha is not
            looked at.

    Raises:
        ValueError: a side below 48, and as `pixels.view`.

    Example:
        >>> noise = np.random.default_rng(0).normal(0.5, 0.05, (96, 96, 3))
        >>> round(measure(noise.astype(np.float32)).level, 2)
        0.05

    Reference:
        Welch (1967), The use of fast Fourier transform for the estimation of power spectra.
    """
    return _measured(_floats(view(picture)))[0]


def grain(image: ArrayLike, reference: ArrayLike, key: Array) -> np.ndarray:
    """A picture with the grain of another.

    The picture is what an edge-preserving filter keeps of it, its base, and the rest, r. With S0
    and S1 the two spectra, at every frequency, the result is base + A r + n: A is the optimal map
    N(0, S0) -> N(0, S1) where it takes grain away, and at most 1, or it would exaggerate detail;
    n is new grain of spectrum S1 - A S0 A. Both follow the curves over lightness.

    Args:
        image: as for `measure`; it keeps its dtype, size and alpha.
        reference: as for `measure`, of any size: grain is compared pixel by pixel.
        key: typed PRNG key of the new grain.

    Raises:
        ValueError: as `measure`.

    Example:
        >>> clean = np.full((64, 64, 3), 0.5, np.float32)
        >>> noise = np.random.default_rng(0).normal(0.5, 0.05, (96, 96, 3))
        >>> result = grain(clean, noise.astype(np.float32), jax.random.key(0))
        >>> bool(abs(result.std() - 0.05) < 0.005)
        True

    Reference:
        The map: Xia, Ferradans, Peyre, Aujol (2014), Synthesizing and mixing stationary Gaussian
        texture models; the split and the bound are ours.
    """
    seen, other = view(image, None, "image"), view(reference, None, "reference")
    pixels, model = _floats(seen), _floats(other)
    if pixels.shape[2] < model.shape[2]:
        model = evaluate(Neutral(), model.reshape(-1, 3))[:, :1].reshape(*model.shape[:2], 1)
    own, base = _measured(pixels)
    wanted, _ = _measured(np.broadcast_to(model, (*model.shape[:2], pixels.shape[2])))
    result = _regrained(pixels, base, own, wanted, key)
    return _restored(result, seen)


def _floats(picture: Pixels) -> np.ndarray:
    """(H, W, c) float32, c = 1 or 3, full scale = 1."""
    if min(picture.shape[:2]) < SMALLEST:
        size = f"{picture.shape[1]}x{picture.shape[0]}"
        raise ValueError(
            f"grain is measured on pictures of at least {SMALLEST}x{SMALLEST} pixels, got {size}"
        )
    color = to_float(picture.color, np.dtype(np.float32))
    return color.reshape(*picture.shape[:2], -1)


def _restored(result: np.ndarray, picture: Pixels) -> np.ndarray:
    """In the dtype of its source, with its alpha."""
    dtype = picture.color.dtype
    color = finished(result, dtype, bounded=picture.bounded, gamut=False, dither=True)
    if picture.alpha is not None:
        color = np.dstack([color, picture.alpha.reshape(picture.shape[:2])])
    return color.reshape(picture.shape)


def _measured(pixels: np.ndarray) -> tuple[Grain, np.ndarray]:
    """The grain, and the picture without it."""
    rough = np.quantile(_variances(pixels), FLAT / 2)
    sigma = max(float(rough) ** 0.5, ROUNDING)
    base = displacement(Yaroslavsky(REACH, APART * sigma, 1), pixels, pixels)
    structure = _variances(base)
    flat = structure <= max(np.quantile(structure, FLAT), (sigma / 4) ** 2)
    corners = HOP * np.argwhere(flat)
    corners = corners[:: -(-len(corners) // WINDOWS)]
    grains = _detrended(pixels, corners)
    variance = np.maximum((grains**2).mean((1, 2, 3)), ROUNDING**2)
    lightness = np.array([_luma(base[y : y + SIDE, x : x + SIDE]).mean() for y, x in corners])
    plain = _plain(lightness, variance)
    found = Grain(_curve(lightness[plain], variance[plain]), _spectrum(grains[plain]))
    gain = found.level / variance[plain].mean() ** 0.5
    return Grain(gain * found.curve, found.spectrum), base


def _plain(lightness: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Which windows hold grain and no texture: those that vary little for their lightness."""
    least = max(np.quantile(variance, QUIET), 12 * ROUNDING**2)  # a level
    kept = []
    for group in np.array_split(np.argsort(lightness), GROUPS):
        if len(group):
            quiet = np.quantile(variance[group], QUIET)
            if quiet <= LOUDEST * least:
                kept.append(group[variance[group] <= SPREAD * quiet])
    return np.concatenate(kept)


def _luma(colors):
    return (colors * LUMA).sum(-1) if colors.shape[-1] == 3 else colors[..., 0]


def _variances(pixels: np.ndarray) -> np.ndarray:
    """Of all windows, HOP apart: (rows, columns), mean of the channels."""
    rows, columns = (n // HOP for n in pixels.shape[:2])
    cells = pixels[: rows * HOP, : columns * HOP].reshape(rows, HOP, columns, HOP, -1)
    moments = np.stack([cells.mean((1, 3)), (cells * cells).mean((1, 3))])
    moments = (moments[:, 1:] + moments[:, :-1]) / 2
    moments = (moments[:, :, 1:] + moments[:, :, :-1]) / 2
    return np.maximum(moments[1] - moments[0] ** 2, 0).mean(-1)


def _detrended(pixels: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(n, SIDE, SIDE, c): windows less the plane that is nearest to each."""
    windows = np.stack([pixels[y : y + SIDE, x : x + SIDE] for y, x in corners])
    ramp = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2
    ramp /= np.sqrt((ramp**2).mean())
    slopes = ((windows * axis).mean((1, 2), keepdims=True) * axis
              for axis in (ramp[:, None, None], ramp[:, None]))  # fmt: skip
    return windows - windows.mean((1, 2), keepdims=True) - sum(slopes)


def _curve(lightness: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """At each knot the mean over near windows; where there are none, the mean of all."""
    knots = np.linspace(0, 1, KNOTS)
    weight = np.exp(-0.5 * ((knots[:, None] - lightness) / NEAR) ** 2)
    return np.sqrt((weight @ variance + variance.mean()) / (weight.sum(1) + 1))


def _spectrum(grains: np.ndarray) -> np.ndarray:
    window = np.hanning(SIDE + 1)[:-1]
    window = np.multiply.outer(window, window)[..., None]
    spectra = np.fft.rfft2(grains * window, axes=(1, 2))
    cross = np.einsum("nyxi,nyxj->yxij", spectra, spectra.conj()).real
    # less a plane, windows have lost their longest waves: these get what the next longest have
    order = np.maximum.outer(np.abs(np.fft.fftfreq(SIDE, 1 / SIDE)), np.arange(HOP + 1))
    cross[order <= 1] = cross[order == 2].mean(0)
    return cross / (len(grains) * (window**2).sum())


def _regrained(
    pixels: np.ndarray, base: np.ndarray, own: Grain, wanted: Grain, key: Array
) -> np.ndarray:
    """Tile by tile: base + A r + n."""
    responses = _responses(own.spectrum, wanted.spectrum)
    height, width, channels = pixels.shape
    # on the host, where it is needed: a CPU draws these four times as fast as XLA does
    chance = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    noise = chance.standard_normal((2, channels, height, width), np.float32)
    curves = np.stack([one.curve / one.level for one in (own, wanted)]).astype(np.float32)
    result = np.empty_like(pixels)
    down, across = (-(-n // TILE) for n in (height, width))

    def planes(image: np.ndarray, here: tuple) -> np.ndarray:
        return np.moveaxis(image[here], -1, 0)

    def one(tile: slice) -> None:
        top, left = (TILE * k for k in divmod(tile.start, across))
        here = np.ix_(*(
            mirrored(np.arange(start - HOP, start + TILE + HOP), size)
            for start, size in zip((top, left), pixels.shape, strict=False)
        ))  # fmt: skip
        smooth, fresh = planes(base, here), noise[:, :, *here]
        done = _mixed(smooth, planes(pixels, here) - smooth, fresh, curves, responses)
        part = result[top : top + TILE, left : left + TILE]
        part[:] = np.moveaxis(np.asarray(done), 0, -1)[: part.shape[0], : part.shape[1]]

    each(one, [slice(k, k + 1) for k in range(down * across)])
    return result


@jax.jit
def _responses(own: Array, wanted: Array) -> Array:
    """(3, c, c, n, n // 2 + 1) on a tile's frequencies: A, roots of S1 - A S0 A and of S1."""
    zero = jnp.zeros(own.shape[-1], own.dtype)
    between = jax.vmap(jax.vmap(lambda a, b: gaussian.between(zero, a, zero, b).matrix))
    shrinking = _spectral(between(own, wanted), lambda values: jnp.clip(values, 0, 1))
    kept = jnp.matmul(jnp.matmul(shrinking, own, precision=HIGHEST), shrinking, precision=HIGHEST)
    roots = (_spectral(s, lambda values: jnp.sqrt(jnp.maximum(values, 0)))
             for s in (wanted - kept, wanted))  # fmt: skip
    responses = jnp.stack([shrinking, *roots]).astype(jnp.float32).transpose(0, 3, 4, 1, 2)
    taps = jnp.fft.irfft2(responses, (SIDE, SIDE))
    centred = jnp.roll(taps, (HOP, HOP), (-2, -1))
    full = jnp.pad(centred, [(0, 0)] * 3 + [(0, TILE)] * 2)
    return jnp.fft.rfft2(jnp.roll(full, (-HOP, -HOP), (-2, -1)))


def _spectral(matrices: Array, function) -> Array:
    """A function of symmetric matrices (..., c, c), by their eigenvalues."""
    values, vectors = jnp.linalg.eigh((matrices + matrices.swapaxes(-1, -2)) / 2)
    scaled = vectors * function(values)[..., None, :]
    return jnp.matmul(scaled, vectors.swapaxes(-1, -2), precision=HIGHEST)


@jax.jit
def _mixed(base: Array, rest: Array, noise: Array, curves: Array, responses: Array) -> Array:
    """A tile (c, TILE, TILE) from one with its border.

    With e0, e1 the curves, relative, and q = e1 / e0 at a pixel: A has the factor min(q, 1). So
    the new grain has spectrum e1^2 (S1 - k A S0 A), k = min(1, 1 / q^2), the sum of two.
    """
    spectra = jnp.fft.rfft2(jnp.concatenate([rest[None], noise]))
    # product by product: as one einsum it takes a CPU fifty times longer
    spectra = sum(responses[:, :, j] * spectra[:, None, j] for j in range(len(rest)))
    kept, added, fresh = jnp.fft.irfft2(spectra, rest.shape[1:])
    luma = _luma(base.transpose(1, 2, 0))
    step = jnp.asarray(1 / (KNOTS - 1), luma.dtype)
    e0, e1 = (lookup(luma, jnp.zeros_like(step), step, curve) for curve in curves)
    share = jnp.minimum(1, (e0 / e1) ** 2)
    new = e1 * (jnp.sqrt(share) * added + jnp.sqrt(1 - share) * fresh)
    result = base + jnp.minimum(e1 / e0, 1) * kept + new
    return result[:, HOP:-HOP, HOP:-HOP]
