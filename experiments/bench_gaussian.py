"""Gaussians, mixtures and spot noise against OTT-JAX, POT and scikit-learn.

    python experiments/bench_gaussian.py [--only bures mixture texture] [--json FILE] [--rounds 7]

Bures: 10,000 distances, and maps, between covariances as colours have them (eigenvalues spread
over 1e-5 .. 1e-1) in float32, with their errors against float64 on the same numbers. Mixture: ten
components of a photograph of a megapixel, ours from its weighted colours, scikit-learn's from all
pixels; the likelihood is that of all pixels, computed here, the same for both; and both on equal
points. Texture: 2048 x 2048 pixels of spot noise. Photographs are those of $JAXCOLOR_DATA where it
is set, else scikit-image's. Needs the `bench` extra.
"""

import itertools
from collections.abc import Callable
from functools import partial

import harness
import jax
import jax.numpy as jnp
import numpy as np
from bench_transfer import enlarged, load
from skimage import data

from jaxcolor.image import colors
from jaxcolor.image.pixels import view
from jaxcolor.measure import point_cloud
from jaxcolor.transport import em, fourier, gaussian, spotnoise
from jaxcolor.transport.backends import import_pot
from jaxcolor.transport.mixture import GaussianMixture

PACKAGES = ("jax", "jaxlib", "numpy", "ott-jax", "POT", "scikit-learn")

# --- distances and maps -------------------------------------------------------------------------

PAIRS = 10_000
OTT_SETTINGS = {
    "default": {},  # ten iterations: it gives the dimension, 3, for a threshold
    "5 iterations": {"inner_iterations": 5},
    "20 iterations": {"inner_iterations": 20},
    "40 iterations": {"inner_iterations": 40},
}


def covariances(count: int = PAIRS) -> tuple[np.ndarray, np.ndarray]:
    """Two sets (count, 3, 3) in float32."""
    rng = np.random.default_rng(0)
    values = 10 ** rng.uniform(-5, -1, (2, count, 1, 3))
    turns = np.linalg.qr(rng.normal(size=(2, count, 3, 3)))[0]
    first, second = ((turns * values) @ turns.swapaxes(-1, -2)).astype(np.float32)
    return (first + first.swapaxes(1, 2)) / 2, (second + second.swapaxes(1, 2)) / 2


def _power(matrices: np.ndarray, power: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrices)
    return (vectors * np.maximum(values, 0)[:, None] ** power) @ vectors.swapaxes(1, 2)


def exact(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances (n,) and maps (n, 3, 3), in float64."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    root, inverse = _power(a, 0.5), _power(a, -0.5)
    cross = _power(root @ b @ root, 0.5)
    far = np.trace(a + b - 2 * cross, axis1=1, axis2=2)
    return far, inverse @ cross @ inverse


def _textbook(a, b):
    """The formula by `eigh`, as one would write it."""

    def power(matrix, p):
        values, vectors = jnp.linalg.eigh(matrix)
        return (vectors * jnp.maximum(values, 1e-12) ** p) @ vectors.T

    root, inverse = power(a, 0.5), power(a, -0.5)
    cross = power(root @ b @ root, 0.5)
    return jnp.trace(a + b - 2 * cross), inverse @ cross @ inverse


def distance_sides(a: np.ndarray, b: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    nothing, on_device = jnp.zeros(3), (jnp.asarray(a), jnp.asarray(b))
    ours = jax.jit(jax.vmap(lambda a, b: gaussian.distance(nothing, a, nothing, b)))
    by_eigh = jax.jit(jax.vmap(lambda a, b: _textbook(a, b)[0]))
    zeros, pot = np.zeros((len(a), 3), np.float32), import_pot()

    def by_pot():
        return pot.gaussian.bures_wasserstein_distance(zeros, zeros, a, b, paired=True) ** 2

    sides = {
        "jaxcolor": lambda: np.asarray(ours(*on_device)),
        "jnp.linalg.eigh": lambda: np.asarray(by_eigh(*on_device)),
        "POT bures_wasserstein_distance": by_pot,
    }
    from ott.geometry import costs
    from ott.math import matrix_square_root

    @jax.jit
    def by_roots(a, b):
        root = matrix_square_root.sqrtm_only(a)
        cross = jnp.asarray(matrix_square_root.sqrtm_only(root @ b @ root))
        return jnp.trace(a + b - 2 * cross, axis1=1, axis2=2)

    sides["OTT-JAX sqrtm, threshold 1e-6"] = lambda: np.asarray(by_roots(*on_device))
    for name, settings in OTT_SETTINGS.items():
        peer = jax.jit(jax.vmap(costs.Bures(3, sqrtm_kw=settings)))
        flat = [jnp.concatenate([zeros, c.reshape(-1, 9)], 1) for c in on_device]
        sides[f"OTT-JAX Bures, {name}"] = lambda peer=peer, flat=flat: np.asarray(peer(*flat))
    return sides


def map_sides(a: np.ndarray, b: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    from ott.tools.gaussian_mixture import scale_tril

    nothing, on_device = jnp.zeros(3), (jnp.asarray(a), jnp.asarray(b))

    def by_ott(a, b):
        one, other = (scale_tril.ScaleTriL.from_covariance(c) for c in (a, b))
        return one.gaussian_map(other)

    sides = {
        "jaxcolor": lambda a, b: gaussian.between(nothing, a, nothing, b).matrix,
        "jnp.linalg.eigh": lambda a, b: _textbook(a, b)[1],
        "OTT-JAX gaussian_map": by_ott,
    }
    jitted = {name: jax.jit(jax.vmap(side)) for name, side in sides.items()}
    return {name: lambda f=f: np.asarray(f(*on_device)) for name, f in jitted.items()}


def errors(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Relative, one a pair; infinite where nothing was found."""
    axes = tuple(range(1, wanted.ndim))
    off = np.sqrt(((found.astype(np.float64) - wanted) ** 2).sum(axes))
    off = off / np.sqrt((wanted**2).sum(axes))
    return np.where(np.isfinite(off), off, np.inf)


def bench_bures(rounds: int) -> dict:
    a, b = covariances()
    record = {}
    for name, sides, wanted in zip(
        ("distances", "maps"), (distance_sides(a, b), map_sides(a, b)), exact(a, b), strict=True
    ):
        timings = harness.interleave(sides, rounds, budget=60)
        off = {side: errors(f(), wanted) for side, f in sides.items()}
        quantiles = {side: np.quantile(e, [0.5, 0.99]) for side, e in off.items()}
        extra = {
            side: {"median error": f"{q[0]:.1e}", "99 %": f"{q[1]:.1e}"}
            for side, q in quantiles.items()
        }
        print(f"\n{PAIRS:,} Bures {name}, float32\n")
        print(harness.table(timings, "jaxcolor", extra), flush=True)
        record[name] = {
            "timings": timings,
            "errors": {side: q.tolist() for side, q in quantiles.items()},
        }
    return record


# --- mixtures -----------------------------------------------------------------------------------

COMPONENTS = 10
ALL = "scikit-learn, all pixels"  # takes minutes: once


def megapixels() -> dict[str, np.ndarray]:
    pictures = {"coffee": data.coffee()}
    try:
        pictures["scotland"] = load("scotland_house.png")
    except FileNotFoundError:
        print("only scikit-image's picture: JAXCOLOR_DATA is not there")
    return {name: enlarged(picture, 1.0) for name, picture in pictures.items()}


def likelihood(found: GaussianMixture, picture: np.ndarray) -> float:
    """The mean over all pixels, in float64."""
    with jax.enable_x64(True):
        double = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), found)
        mu = colors.every_color(view(picture))
        mu = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), mu)
        return float(em.log_likelihood(double, mu))


def by_sklearn(points: np.ndarray, key: int) -> GaussianMixture:
    from sklearn.mixture import GaussianMixture as Peer

    one = Peer(COMPONENTS, covariance_type="full", random_state=key).fit(points)
    fitted = one.weights_, one.means_, one.covariances_
    return GaussianMixture(*(jnp.asarray(leaf) for leaf in fitted))


def kept(side: Callable[[int], GaussianMixture], results: list) -> Callable[[], None]:
    """The side with another key each time; what it finds is kept."""
    keys = itertools.count()

    def run() -> None:
        results.append(jax.block_until_ready(side(next(keys))))

    return run


def mixture_sides(picture: np.ndarray) -> dict[str, Callable[[int], GaussianMixture]]:
    pixels = picture.reshape(-1, 3) / 255
    sample = colors.sample(view(picture))
    few = np.asarray(sample.points, np.float64)[np.asarray(sample.weights) > 0]

    def ours(key: int) -> GaussianMixture:
        return em.fit(colors.sample(view(picture)), COMPONENTS, jax.random.key(key))[0]

    return {
        "jaxcolor": ours,
        ALL: partial(by_sklearn, pixels),
        f"jaxcolor, fit of {len(few):,} points": lambda key: em.fit(
            point_cloud(few.astype(np.float32)), COMPONENTS, jax.random.key(key)
        )[0],
        f"scikit-learn, the same {len(few):,} points": partial(by_sklearn, few),
    }


def bench_mixture(rounds: int) -> dict:
    record = {}
    for name, picture in megapixels().items():
        sides = mixture_sides(picture)
        results: dict[str, list] = {side: [] for side in sides}
        runs = {side: kept(f, results[side]) for side, f in sides.items()}
        once = harness.interleave({ALL: runs.pop(ALL)}, 0)
        timings = harness.interleave(runs, rounds, budget=60) | once
        found = {s: [likelihood(one, picture) for one in r] for s, r in results.items()}
        extra = {
            side: {
                "log-likelihood, median": f"{np.median(v):.3f}",
                "range": f"{min(v):.3f} to {max(v):.3f}",
            }
            for side, v in found.items()
        }
        size = f"{picture.shape[1]} x {picture.shape[0]}"
        print(f"\n{name}, {size}, {COMPONENTS} components, another key each time\n")
        print(harness.table(timings, "jaxcolor", extra), flush=True)
        record[name] = {"timings": timings, "likelihoods": found}
    return record


# --- textures -----------------------------------------------------------------------------------

SIZE = 2048, 2048


def bench_texture(rounds: int) -> dict:
    exemplar = jnp.asarray(data.astronaut(), jnp.float32) / 255
    large = jnp.asarray(enlarged(data.astronaut(), 2048**2 / 1e6), jnp.float32) / 255
    assert large.shape[:2] == SIZE
    small_model, model = spotnoise.analyse(exemplar), spotnoise.analyse(large)
    key = jax.random.key(0)
    spectrum = jax.jit(fourier.transform)(model.spot)
    stages = {
        "its noise": jax.jit(lambda key: jax.random.normal(key, (*SIZE, 1))),
        "its transform of the spot": lambda _: transform(model.spot),
        "its inverse transform": lambda _: inverse(spectrum),
    }
    transform = jax.jit(fourier.transform)
    inverse = jax.jit(lambda spectrum: fourier.inverse(spectrum, SIZE))
    sides = {
        "synthesis, exemplar of 512 x 512": lambda key: spotnoise.synthesize(
            small_model, key, SIZE
        ),
        "synthesis, exemplar of 2048 x 2048": lambda key: spotnoise.synthesize(model, key),
        "analysis of 2048 x 2048": lambda _: spotnoise.analyse(large),
        **stages,
    }
    runs = {name: lambda f=f: jax.block_until_ready(f(key)) for name, f in sides.items()}
    timings = harness.interleave(runs, rounds, budget=60)
    print("\n2048 x 2048 x 3 pixels of spot noise\n")
    print(harness.table(timings, next(iter(sides)), {}), flush=True)
    return {"timings": timings}


PARTS = {"bures": bench_bures, "mixture": bench_mixture, "texture": bench_texture}

if __name__ == "__main__":
    harness.run_parts(str(__doc__), PARTS, PACKAGES)
