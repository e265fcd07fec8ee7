"""Problems of the study of warm starts: pairs of palettes of photographs, and work shared out."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import harness
import jax
import jax.numpy as jnp
import numpy as np
from bench_transfer import data_folder, load
from jax import Array

from jaxcolor.measure import Measure
from jaxcolor.recipes.palette import extract
from jaxcolor.transport.costs import Euclidean

COST = Euclidean()
EPSILON = 0.1
CORES = harness.equal_threads()

Pairs = tuple[Measure, Measure]


def palettes(part: str) -> Measure:
    """Palettes of 128 colours: "val", never trained on, or "train", for settings alone."""
    file = data_folder() / f"palettes_bsds500_{part}.npz"
    if not file.is_file():
        raise SystemExit(f"{file.name} is missing: set JAXCOLOR_DATA to the folder that has it")
    stored = np.load(file)
    return normalised(stored["points"], stored["weights"])


def photographed(k: int) -> Measure:
    """Palettes of k colours of the photographs in JAXCOLOR_DATA/photos."""
    names = sorted(path.name for path in (data_folder() / "photos").glob("*.jpg"))
    if not names:
        raise SystemExit("photos/*.jpg are missing: set JAXCOLOR_DATA to the folder that has them")
    made = [extract(load(f"photos/{name}"), k) for name in names]
    points, weights = (np.zeros((len(made), k, *rest), np.float32) for rest in ((3,), ()))
    for row, palette in enumerate(made):  # fewer colours than k: the rest is padding
        points[row, : len(palette)] = palette.points
        weights[row, : len(palette)] = palette.weights
    return normalised(points, weights)


def normalised(points: np.ndarray, weights: np.ndarray) -> Measure:
    weights = np.asarray(weights, np.float64)
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return Measure(jnp.asarray(points, jnp.float32), jnp.asarray(weights))


def drawn(pool: Measure, count: int, seed: int = 0) -> Pairs:
    """`count` random ordered pairs of two different palettes."""
    rng = np.random.default_rng(seed)
    picks = np.array([rng.choice(len(pool.points), 2, replace=False) for _ in range(count)]).T
    first, second = (Measure(pool.points[i], pool.weights[i]) for i in picks)
    return first, second


def taken(pairs: Pairs, count: int) -> Pairs:
    """The first `count` of them."""
    return jax.tree.map(lambda leaf: leaf[:count], pairs)


def doubled(tree):
    """The same in float64; for use with x64 enabled."""
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), tree)


def shared_out(function: Callable, trees, size: int):
    """function on slices of `size` of a batch, in threads: XLA runs a small loop on one core."""
    count = jax.tree.leaves(trees)[0].shape[0]
    double = jnp.result_type(float) == jnp.float64

    def part(low: int):
        with jax.enable_x64(double):  # it holds for the thread that says so
            some = jax.tree.map(lambda leaf: leaf[low : low + size], trees)
            return jax.tree.map(np.asarray, function(*some))

    with ThreadPoolExecutor(CORES) as pool:
        parts = list(pool.map(part, range(0, count, size)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def costs(mu: Measure, nu: Measure) -> Array:
    return COST(mu.points, nu.points)
