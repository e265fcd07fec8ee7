"""Textures of pictures and clips: synthesized at any size, and mixed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor.image.pixels import from_float, to_float, view
from jaxcolor.transport.spotnoise import SpotNoise, analyse, barycenter, geodesic, synthesize


def synth(exemplar: ArrayLike, key: Array, size: tuple[int, ...] | None = None) -> np.ndarray:
    """A texture like the exemplar, of any size; it tiles, and a clip of it loops.

    Spot noise: the exemplar's mean and, at every frequency, its power and the phases between its
    channels; what else it had, edges above all, is gone. Sand, fabric, clouds, fur, water.

    Args:
        exemplar: a picture (H, W), (H, W, 3) or (H, W, 4), or a clip (T, H, W, 3); uint8, uint16
            or float. Alpha is dropped.
        key: typed PRNG key.
        size: (H, W) or (T, H, W) of the result, the exemplar's by default.

    Returns:
        (*size) or (*size, 3), of the exemplar's dtype, clipped as that asks for.

    Raises:
        ValueError: another shape or dtype, NaN, a size that makes no sense.

    Example:
        >>> import jax
        >>> sand = np.random.default_rng(0).integers(90, 160, (32, 32, 3)).astype(np.uint8)
        >>> synth(sand, jax.random.key(0), (48, 20)).shape
        (48, 20, 3)

    Reference:
        Galerne, Gousseau, Morel (2011), Random phase textures: theory and synthesis.
    """
    seen = _exemplar(exemplar, "exemplar")
    return _drawn(analyse(seen.field), key, size, [seen])


def mix(
    exemplars: Sequence[ArrayLike],
    key: Array,
    *,
    weights: Sequence[float] | None = None,
    size: tuple[int, ...] | None = None,
) -> np.ndarray:
    """A texture between others: a draw of their spot noises' Wasserstein barycenter.

    All exemplars are cropped, about their middles, to the largest grid that fits into each.

    Args:
        exemplars: two or more, all pictures or all clips, as for `synth`.
        key: typed PRNG key.
        weights: how much each counts; equally by default.
        size: as for `synth`; that grid by default.

    Returns:
        As `synth`, of the first one's dtype; colour where one of them is.

    Raises:
        ValueError: fewer than two, pictures among clips, weights that make no sense; as `synth`.

    Example:
        >>> import jax
        >>> dark, light = (np.full((8, 8), v, np.uint8) for v in (50, 150))
        >>> int(mix([dark, light], jax.random.key(0), weights=[1, 3])[0, 0])
        125

    Reference:
        Xia, Ferradans, Peyre, Aujol (2014), Synthesizing and mixing stationary Gaussian texture
        models.
    """
    seen, models = _models(exemplars)
    shares = np.ones(len(models)) if weights is None else np.asarray(weights, np.float64)
    if shares.shape != (len(models),) or not np.isfinite(shares).all():
        raise ValueError(f"{len(models)} exemplars need as many weights, got {weights}")
    if shares.min() < 0 or shares.sum() == 0:
        raise ValueError(f"weights must be positive or 0, and not all 0, got {weights}")
    if len(models) == 2:
        middle = geodesic(*models, float(shares[1] / shares.sum()))
    else:
        middle = barycenter(models, jnp.asarray(shares, jnp.float32))
    return _drawn(middle, key, size, seen)


def mixes(
    first: ArrayLike,
    second: ArrayLike,
    steps: int,
    key: Array,
    *,
    size: tuple[int, ...] | None = None,
) -> Iterator[np.ndarray]:
    """Textures on the way from one to another: the geodesic between their spot noises.

    Texture k of `steps` is at t = k / (steps - 1); all are made of the same noise, so that each
    looks like the one before. Arguments, results and errors as for `mix`.

    Example:
        >>> import jax
        >>> dark, light = (np.full((8, 8), v, np.uint8) for v in (50, 150))
        >>> [int(t[0, 0]) for t in mixes(dark, light, 3, jax.random.key(0))]
        [50, 100, 150]
    """
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps}")
    seen, (start, end) = _models([first, second])
    return (
        _drawn(geodesic(start, end, float(t)), key, size, seen) for t in np.linspace(0, 1, steps)
    )


@dataclass(frozen=True, eq=False)
class Exemplar:
    """A picture or clip whose texture is taken.

    Attributes:
        field: (H, W, c) or (T, H, W, c) float32, c = 1 or 3, full scale = 1.
        dtype: that it had.
        bounded: all of it was within [0, 1].
    """

    field: np.ndarray
    dtype: np.dtype
    bounded: bool


def _exemplar(given: ArrayLike, name: str) -> Exemplar:
    array = np.asarray(given)
    is_clip = array.ndim == 4
    if is_clip and array.shape[3] != 3:
        raise ValueError(f"{name}: expected a clip (T, H, W, 3), got shape {array.shape}")
    pixels = view(array.reshape(-1, *array.shape[2:]) if is_clip else array, None, name)
    color = to_float(pixels.color, np.dtype(np.float32))
    field = color.reshape(*array.shape[: 3 if is_clip else 2], -1)
    return Exemplar(field, array.dtype, pixels.bounded)


def _models(exemplars: Sequence[ArrayLike]) -> tuple[list[Exemplar], list[SpotNoise]]:
    """The exemplars, and their models on one grid."""
    if len(exemplars) < 2:
        raise ValueError(f"mixing takes two textures or more, got {len(exemplars)}")
    seen = [_exemplar(one, f"exemplar {k}") for k, one in enumerate(exemplars, 1)]
    fields = [one.field for one in seen]
    if len({field.ndim for field in fields}) > 1:
        raise ValueError("pictures and clips do not mix: give the one or the other")
    grid = np.min([field.shape[:-1] for field in fields], axis=0)
    channels = max(field.shape[-1] for field in fields)
    return seen, [analyse(np.broadcast_to(_middle(f, grid), (*grid, channels))) for f in fields]


def _middle(field: np.ndarray, grid: np.ndarray) -> np.ndarray:
    starts = [(n - wanted) // 2 for n, wanted in zip(field.shape, grid, strict=False)]
    return field[tuple(slice(k, k + n) for k, n in zip(starts, grid, strict=True))]


def _drawn(
    model: SpotNoise, key: Array, size: tuple[int, ...] | None, seen: Sequence[Exemplar]
) -> np.ndarray:
    """One draw, in the dtype of the first exemplar, within [0, 1] where all of them are."""
    draw = np.asarray(synthesize(model, key, None if size is None else tuple(size)))
    result = from_float(draw, seen[0].dtype, clip=all(one.bounded for one in seen))
    return result[..., 0] if result.shape[-1] == 1 else result
