"""Palettes to train on: of made-up scenes, of photographs, and both bent in many ways."""

import math

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.image.spaces import Lab, delinearize
from jaxcolor.measure import Measure
from jaxcolor.transport.nearest import nearest
from jaxcolor.transport.quantize import quantize

PIXELS = 4096  # of a scene or photograph, whose palette is taken
COLORS = 128
REGIONS = 10  # of a scene, at most
MIDDLE = (50.0, 0.0, 5.0)  # CIELAB, about which palettes are bent


def scene(key: Array) -> Array:
    """(4096, 3) linear RGB of a made-up scene.

    A few surfaces, of related hues and any lightness, shaded, grained and mixed with one another;
    haze; a tinted light; an exposure that clips a little. Of 512, beside 200 photographs: median
    lightness 46 (47), its deviation 18 (20); less yellow, b 7 (11), its deviation 7 (10).
    """
    keys = iter(jax.random.split(key, 32))

    def uniform(shape=(), low=0.0, high=1.0):
        return jax.random.uniform(next(keys), shape, minval=low, maxval=high)

    def normal(shape):
        return jax.random.normal(next(keys), shape)

    def log_uniform(shape, low, high):
        return jnp.exp(uniform(shape, math.log(low), math.log(high)))

    count = log_uniform((), 1.5, 10.0)
    area = jax.random.gamma(next(keys), 0.7, (REGIONS,)) * (jnp.arange(REGIONS) < count + 1)
    region = jax.random.categorical(next(keys), jnp.log(area + 1e-9), shape=(PIXELS,))
    albedo = _albedo(uniform, normal, next(keys))
    other = albedo * jnp.exp(normal((REGIONS, 3)) * uniform((REGIONS, 1), 0, 0.5))
    other = other * jnp.exp(0.7 * normal((REGIONS, 1)))
    mixed = jax.random.beta(next(keys), 0.8, 0.8, (PIXELS, 1))
    mixed = mixed * (uniform((REGIONS, 1)) < 0.6)[region]
    color = albedo[region] * (1 - mixed) + other[region] * mixed
    color = color * jnp.exp(normal((PIXELS, 1)) * log_uniform((REGIONS, 1), 0.05, 1.2)[region])
    color = color * jnp.exp(normal((PIXELS, 3)) * log_uniform((REGIONS, 1), 0.01, 0.2)[region])
    haze = jnp.exp(0.25 * normal((3,))) * uniform((), 0.1, 0.9)
    share = jax.random.beta(next(keys), 0.5, 6.0, (REGIONS, 1))[region] * uniform()
    color = color + (haze - color) * share
    light = jnp.array([0.04, 0, -0.25]) + normal((3,)) * jnp.array([0.15, 0.08, 0.25])
    color = color * jnp.exp(light)
    white = jnp.sort(color.max(1))[int(0.985 * PIXELS)]
    return jnp.clip(color / white * jnp.exp(0.3 * normal(())), 0, 1)


def _albedo(uniform, normal, key: Array) -> Array:
    """(REGIONS, 3) linear RGB: hues near one, or opposite; mostly dull."""
    hue = uniform() + uniform((), 0.02, 0.5) * normal((REGIONS,))
    hue = hue + 0.5 * (uniform((REGIONS,)) < 0.25)
    saturation = jax.random.beta(key, 1.0, 2.5, (REGIONS,)) * uniform((), 0.2, 1.2)
    sector = (6 * hue[:, None] + jnp.array([5.0, 3.0, 1.0])) % 6
    pure = jnp.clip(jnp.minimum(sector, 4 - sector), 0, 1)
    rgb = (1 - jnp.clip(saturation, 0, 1)[:, None] * pure) ** 1.5
    return jnp.exp(1.1 * normal((REGIONS,)) - 1.3)[:, None] * rgb


def encoded(linear: Array) -> Array:
    """CIELAB of linear RGB, once rounded to 8 bits."""
    return Lab().encode(jnp.round(delinearize(linear) * 255) / 255)


@jax.jit(static_argnames="k")
def palette(colors: Array, key: Array, k: int = COLORS) -> Measure:
    """k colours by k-means, of (n, 3) CIELAB colours.

    Half of them as `quantize` seeds them, half from random pixels, as other studies do: that leaves
    clusters without weight where many pixels are of one colour.
    """
    how, draw = jax.random.split(key)
    mu = Measure(colors, jnp.full(colors.shape[0], 1 / colors.shape[0]))

    def seeded():
        return quantize(mu, k, draw, steps=10)

    def random():
        start = colors[jax.random.choice(draw, colors.shape[0], (k,), replace=False)]
        return _lloyd(mu, start)

    return jax.lax.cond(jax.random.bernoulli(how), seeded, random)


def _lloyd(mu: Measure, centres: Array, steps: int = 12) -> Measure:
    k = centres.shape[0]

    def step(_, now):
        labels = nearest(mu.points, now.points)
        weights = jnp.zeros(k).at[labels].add(mu.weights)
        moments = jnp.zeros((k, 3)).at[labels].add(mu.weights[:, None] * mu.points)
        some = weights > 0
        means = moments / jnp.where(some, weights, 1)[:, None]
        return Measure(jnp.where(some[:, None], means, now.points), weights)

    return jax.lax.fori_loop(0, steps, step, Measure(centres, jnp.zeros(k)))


@jax.jit
def scenes(keys: Array) -> Measure:
    """The palettes of made-up scenes, one for each key: (B, 128, 3) and (B, 128)."""

    def one(key):
        first, second = jax.random.split(key)
        return palette(encoded(scene(first)), second)

    return jax.lax.map(one, keys)


def bent(key: Array, palettes: Measure) -> Measure:
    """B palettes as other pictures might have them, normalised.

    Contrast and exposure (along L), white balance (along a and b), hue, one mirrored axis at
    times; weights as a crop changes them; at times up to two fifths of the colours without weight.
    """
    points, weights = palettes.points, palettes.weights
    count, k = weights.shape
    keys = jax.random.split(key, 7)
    middle = jnp.array(MIDDLE)
    x = (points - middle) * jnp.exp(0.15 * jax.random.normal(keys[0], (count, 1, 3)))
    angle = 0.4 * jax.random.normal(keys[1], (count, 1))
    mirror = jnp.where(jax.random.uniform(keys[2], (count, 1)) < 0.1, -1.0, 1.0)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    lightness, a, b = x[..., 0], x[..., 1], x[..., 2]
    x = jnp.stack([lightness, cos * a - sin * b, (sin * a + cos * b) * mirror], -1)
    x = x + middle + jax.random.normal(keys[3], (count, 1, 3)) * jnp.array([7.0, 4.0, 5.0])
    weights = weights * jnp.exp(0.2 * jax.random.normal(keys[4], (count, k)))
    share = jax.random.uniform(keys[5], (count, 1))
    lost = jax.random.uniform(keys[6], (count, k)) < jnp.where(share < 0.2, 2 * share, 0)
    weights = jnp.where(lost, 0, weights)
    return Measure(x, weights / weights.sum(1, keepdims=True))
