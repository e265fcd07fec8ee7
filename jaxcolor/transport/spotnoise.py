"""Gaussian textures in Fourier: analysis, synthesis, and transport between them."""

import math
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.maps import HIGHEST
from jaxcolor.transport import gaussian
from jaxcolor.transport.fourier import axes, inner, inverse, periodic, transform, unit
from jaxcolor.tree import pytree

ROUNDS = 40  # of a barycenter's alignment: what is left after 25 shows in no digit of its cost
RAMP = 4  # where a spot is cut, it fades over this part of its length


@pytree
class SpotNoise:
    """A stationary Gaussian field on a torus, rank one at every frequency.

    f = m + spot * w, w white noise of variance 1/N, the same for all channels: N(m, Sigma) with
    Sigma(omega) = s(omega) s(omega)^*, s the DFT of the spot (times 1/N). A spot is one of many:
    any phase at a frequency gives the same law.

    Attributes:
        mean: m (c,).
        spot: (..., c) over a grid of N points, two axes for pictures, three (t, y, x) for clips;
            each channel's sum is 0.
    """

    mean: Array
    spot: Array


@jax.jit
def analyse(exemplar: Array) -> SpotNoise:
    """The spot noise with the mean and the autocorrelation of an exemplar's periodic component.

    Args:
        exemplar: (H, W, c) or (T, H, W, c) floats.

    Raises:
        ValueError: another number of axes, integers, an empty array.

    Example:
        >>> model = analyse(jax.random.uniform(jax.random.key(0), (8, 8, 3)))
        >>> model.mean.shape, model.spot.shape
        ((3,), (8, 8, 3))

    Reference:
        Galerne, Gousseau, Morel (2011), Random phase textures: theory and synthesis.
    """
    if exemplar.ndim not in (3, 4) or not jnp.issubdtype(exemplar.dtype, jnp.floating):
        kind = f"{exemplar.dtype} {exemplar.shape}"
        raise ValueError(f"expected floats (H, W, c) or (T, H, W, c), got {kind}")
    if exemplar.size == 0:
        raise ValueError(f"an exemplar without pixels has no texture: {exemplar.shape}")
    mean = exemplar.mean(axes(exemplar))
    spot = periodic(exemplar - mean)
    return SpotNoise(mean, spot - spot.mean(axes(spot)))


@jax.jit(static_argnames="size")
def synthesize(model: SpotNoise, key: Array, size: tuple[int, ...] | None = None) -> Array:
    """One draw, of any size; it tiles.

    f = m + spot * w. On another grid the spot, which is periodic, goes on a little past its ends,
    fading there by weights whose squares add up to one, and is wrapped round where the new grid is
    smaller; a matrix near the identity then gives it back its covariance. Larger draws know no
    correlation beyond the exemplar's size, smaller ones lack its longest waves.

    Args:
        model: what `analyse`, `geodesic` or `barycenter` returns.
        key: typed PRNG key.
        size: of the draw's grid, a tuple (static), the exemplar's by default.

    Returns:
        (*size, c), unclipped.

    Raises:
        ValueError: a size with another number of axes, or below 1.

    Example:
        >>> model = SpotNoise(jnp.ones(1), jnp.zeros((4, 4, 1)))
        >>> synthesize(model, jax.random.key(0), (2, 6)).shape
        (2, 6, 1)

    Reference:
        As `analyse`; the weights and the matrix are ours.
    """
    spot, noise = _spread(model, size), _noise(model, key, size)
    return model.mean + _filtered(spot, noise)


@jax.jit(static_argnames="size")
def random_phase(model: SpotNoise, key: Array, size: tuple[int, ...] | None = None) -> Array:
    """A draw whose spectrum is the spot's, phases alone at random: |w(omega)| = 1.

    Arguments and errors as for `synthesize`.

    Example:
        >>> model = analyse(jax.random.normal(jax.random.key(0), (8, 8, 1)))
        >>> draw = random_phase(model, jax.random.key(1))
        >>> bool(jnp.allclose(draw.var(), model.spot.var()))
        True

    Reference:
        As `analyse`.
    """
    spot, noise = _spread(model, size), _noise(model, key, size)
    gain = (spot.size / model.spot.size) ** 0.5
    return model.mean + _filtered(spot, gain * unit(noise))


def _noise(model: SpotNoise, key: Array, size: tuple[int, ...] | None) -> Array:
    """The DFT (..., 1) of white noise of variance 1/N."""
    shape = model.spot.shape[:-1]
    draw = jax.random.normal(key, (*(size or shape), 1), model.spot.dtype)
    return transform(draw * math.prod(shape) ** -0.5)


def _filtered(spot: Array, noise: Array) -> Array:
    return inverse(transform(spot) * noise, spot.shape[:-1])


def _spread(model: SpotNoise, size: tuple[int, ...] | None) -> Array:
    """The spot on a grid of another size."""
    spot, shape = model.spot, model.spot.shape[:-1]
    if size is None or size == shape:
        return spot
    if len(size) != len(shape) or min(size) < 1:
        raise ValueError(f"size must be {len(shape)} numbers of at least 1, got {size}")
    for axis, wanted in enumerate(size):
        if wanted != shape[axis]:
            spot = _laid(spot, axis, wanted)
    spot = spot - spot.mean(axes(spot))
    zero = jnp.zeros_like(model.mean)
    now, due = (_products(one) for one in (spot, model.spot))
    matrix = gaussian.between(zero, now, zero, due).matrix
    return jnp.matmul(spot, matrix, precision=HIGHEST)


def _products(spot: Array) -> Array:
    rows = spot.reshape(-1, spot.shape[-1])
    return jnp.matmul(rows.T, rows, precision=HIGHEST)


def _laid(spot: Array, axis: int, wanted: int) -> Array:
    """Along one axis: on past its ends, faded, wrapped round or set among zeros."""
    size = spot.shape[axis]
    ramp = size // RAMP if wanted < size else min(size // RAMP, wanted - size)
    rise = np.sin(np.pi / 2 * (np.arange(ramp) + 0.5) / max(ramp, 1))
    weight = np.concatenate([rise, np.ones(size - ramp), rise[::-1]])
    turns = -(-len(weight) // wanted)
    longer = jnp.take(jnp.moveaxis(spot, axis, 0), np.arange(len(weight)) % size, axis=0)
    faded = longer * jnp.asarray(weight, spot.dtype).reshape(-1, *(1,) * (spot.ndim - 1))
    whole = jnp.pad(faded, [(0, turns * wanted - len(weight))] + [(0, 0)] * (spot.ndim - 1))
    return jnp.moveaxis(whole.reshape(turns, wanted, *whole.shape[1:]).sum(0), 0, axis)


@jax.jit
def align(model: SpotNoise, to: SpotNoise) -> SpotNoise:
    """The same law with the spot that is nearest to another model's.

    g(omega) = f1(omega) <f1, f0> / |<f1, f0>|, <a, b> = sum_c conj(a_c) b_c: one phase for all
    channels; 1 where the product is 0. With the same noise, (f0, g) is then the optimal coupling.

    Args:
        model: f1. to: f0, on the same grid.

    Raises:
        ValueError: where grids or channels differ.

    Example:
        >>> a = analyse(jax.random.normal(jax.random.key(0), (8, 8, 1)))
        >>> moved = SpotNoise(a.mean, jnp.roll(a.spot, 3, 0))
        >>> bool(jnp.allclose(align(moved, a).spot, a.spot, atol=1e-5))
        True

    Reference:
        Xia, Ferradans, Peyre, Aujol (2014), Synthesizing and mixing stationary Gaussian texture
        models.
    """
    _same_grid([model, to])
    spectrum = transform(model.spot)
    phase = unit(inner(spectrum, transform(to.spot)))
    return SpotNoise(model.mean, inverse(spectrum * phase[..., None], model.spot.shape[:-1]))


@jax.jit
def distance(first: SpotNoise, second: SpotNoise) -> Array:
    """W_2^2 between two models on one grid, per pixel: divided by N.

    |m0 - m1|^2 + 1/N^2 sum_omega (|f0|^2 + |f1|^2 - 2 |<f0, f1>|), f_k the DFT of the spots.

    Raises:
        ValueError: where grids or channels differ.

    Example:
        >>> a = analyse(jax.random.normal(jax.random.key(0), (8, 8, 1)))
        >>> distance(a, SpotNoise(a.mean + 2, -a.spot)).round(3)
        Array(4., dtype=float32)

    Reference:
        As `align`.
    """
    # by the aligned spots' difference: the sum above would lose small distances to rounding
    difference = first.spot - align(second, first).spot
    per_pixel = (difference**2).mean(axes(difference)).sum()
    return ((first.mean - second.mean) ** 2).sum() + per_pixel


@jax.jit
def geodesic(first: SpotNoise, second: SpotNoise, t: Array | float) -> SpotNoise:
    """The model at t on the way: W_2(first, f_t) = t W_2(first, second).

    m_t = (1 - t) m0 + t m1, f_t = (1 - t) f0 + t g, g the second's spot aligned to the first's.

    Args:
        first, second: on one grid. t: 0..1.

    Raises:
        ValueError: where grids or channels differ.

    Example:
        >>> a = analyse(jax.random.normal(jax.random.key(0), (8, 8, 1)))
        >>> half = geodesic(a, SpotNoise(a.mean, -3 * a.spot), 0.5)
        >>> bool(jnp.allclose(half.spot, 2 * a.spot, atol=1e-5))
        True

    Reference:
        As `align`.
    """
    there = align(second, first)
    t = jnp.asarray(t, first.mean.dtype)
    return SpotNoise(*(
        (1 - t) * one + t * other
        for one, other in ((first.mean, there.mean), (first.spot, there.spot))
    ))  # fmt: skip


@jax.jit
def barycenter(models: Sequence[SpotNoise], weights: Array) -> SpotNoise:
    """The spot noise with the least sum_k lambda_k W_2^2(., model_k).

    At each frequency g = sum_j lambda_j exp(i theta_j) f_j, theta_j = arg <f_j, g>, repeated from
    each f_j in turn; what costs least is kept. Of two models it is their geodesic. The Gaussian
    barycenter of more may have a higher rank and then costs a little less.

    Args:
        models: K of them, on one grid.
        weights: lambda (K,) >= 0, divided by their sum.

    Returns:
        The model whose spot is aligned to the first's.

    Raises:
        ValueError: where grids or channels differ, or there are not as many weights as models.

    Example:
        >>> a = analyse(jax.random.normal(jax.random.key(0), (8, 8, 1)))
        >>> turned = [SpotNoise(a.mean, scale * a.spot) for scale in (1, -2, -6)]
        >>> bool(jnp.allclose(barycenter(turned, jnp.ones(3)).spot, 3 * a.spot, atol=1e-4))
        True

    Reference:
        As `align`; the starts are ours.
    """
    _same_grid(models)
    if weights.shape != (len(models),):
        raise ValueError(f"{len(models)} models, but weights of shape {weights.shape}")
    means, spots = (jnp.stack([getattr(m, name) for m in models]) for name in ("mean", "spot"))
    weights = (weights / weights.sum()).astype(spots.dtype)
    spectra = jax.vmap(transform)(spots)  # (K, ..., c)
    gram = jax.vmap(lambda one: jax.vmap(partial(inner, one))(spectra))(spectra)  # (K, K, ...)
    share = weights.reshape(-1, *(1,) * (spots.ndim - 2)).astype(spectra.dtype)
    costs, phases = jax.vmap(lambda start: _aligned(gram, share, start))(jnp.arange(len(models)))
    best = costs.argmin(0)[None, None]
    phases = jnp.take_along_axis(phases, best, 0)[0]
    phases = phases * unit(jnp.conj((gram[0] * share * phases).sum(0)))
    spectrum = (spectra * (share * phases)[..., None]).sum(0)
    mean = jnp.matmul(weights, means, precision=HIGHEST)
    return SpotNoise(mean, inverse(spectrum, spots.shape[1:-1]))


def _aligned(gram: Array, share: Array, start: Array) -> tuple[Array, Array]:
    """Cost (...), up to a constant, and phases (K, ...) that alignment reaches from f_start.

    g is a sum of the f_j, so their products (K, K, ...) are all that it takes.
    """

    def along(phases: Array) -> Array:  # <f_j, g>
        return (gram * (share * phases)[None]).sum(1)

    phases = jax.lax.fori_loop(
        0, ROUNDS, lambda _, phases: unit(along(phases)), unit(gram[:, start])
    )
    products = along(phases)
    norm = (share * jnp.conj(phases) * products).real.sum(0)
    return norm - 2 * (share.real * jnp.abs(products)).sum(0), phases


def _same_grid(models: Sequence[SpotNoise]) -> None:
    shapes = {model.spot.shape for model in models}
    if len(shapes) != 1:
        raise ValueError(f"models must share one grid, got {sorted(shapes)}: crop the exemplars")
