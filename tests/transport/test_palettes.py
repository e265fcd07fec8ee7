"""No palette problem is lost: 5,000 random ordered pairs, photographs' and generated ones.

Of these every run takes the first 1,000, `-m long` all.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor import KL, Balanced, Euclidean, Measure, SqEuclidean, Status, solve_batch

K = 128
COSTS = pytest.mark.parametrize(
    ("cost", "epsilon"), [(Euclidean(), 0.1), (SqEuclidean(), 10.0)], ids=["Euclidean", "squared"]
)
COUNTS = pytest.mark.parametrize("count", [1000, pytest.param(5000, marks=pytest.mark.long)])


def generated(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A CIELAB palette of one of four awkward kinds with up to 85 points without weight."""
    rng = np.random.default_rng(seed)
    points = (
        rng.normal(size=(K, 3)) * rng.uniform(0.5, 30, 3) + [50, 0, 0] + 15 * rng.normal(size=3)
    )
    match seed % 4:
        case 1:  # duplicates
            points = np.round(points)
        case 2:  # half of it one flat background
            points[: K // 2] = [3, 0, 0] + 0.02 * rng.normal(size=(K // 2, 3))
        case 3:  # nearly grey
            points[:, 1:] *= 0.01
    weights = rng.dirichlet(np.full(K, rng.choice([0.05, 0.3, 1.0, 5.0])))
    none = rng.choice(K, rng.integers(0, 86), replace=False)
    weights[none] = 0
    points[none] = points[rng.integers(K)]
    # with the smallest of a Dirichlet(.05) left out the rest spans twelve decades
    weights[weights < 1e-12] = 0
    return points, weights / weights.sum()


def generated_palettes(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    made = [generated(seed) for seed in range(count)]
    points, weights = zip(*made, strict=True)
    return np.stack(points), np.stack(weights)


def assert_all_solved(points, weights, pairs, cost, epsilon, **options):
    mu, nu = (
        Measure(*(jnp.asarray(part[side], jnp.float32) for part in (points, weights)))
        for side in pairs.T
    )
    info = solve_batch(mu, nu, epsilon=epsilon, cost=cost, **options).info
    status, steps = np.asarray(info.status), np.asarray(info.steps)
    lost = np.flatnonzero(status != Status.OK)
    assert lost.size == 0, [(pairs[k], Status(status[k]), steps[k]) for k in lost[:10]]
    assert steps.max() <= 40


def ordered_pairs(palettes: int, count: int) -> np.ndarray:
    drawn = np.random.default_rng(0).integers(0, palettes, (2 * count, 2))
    return drawn[drawn[:, 0] != drawn[:, 1]][:count]


@COSTS
@COUNTS
def test_pairs_of_photographs(cost, epsilon, count, shared_folder):
    files = [np.load(shared_folder / f"palettes_bsds500_{part}.npz") for part in ("train", "val")]
    points, weights = (np.concatenate([f[name] for f in files]) for name in ("points", "weights"))
    weights = weights / weights.sum(1, keepdims=True)
    assert_all_solved(points, weights, ordered_pairs(len(points), count), cost, epsilon)


@COSTS
@COUNTS
def test_pairs_of_generated_palettes(cost, epsilon, count):
    palettes = generated_palettes()
    assert_all_solved(*palettes, ordered_pairs(200, count), cost, epsilon)


@pytest.mark.long
@COSTS
@pytest.mark.parametrize("sides", [(KL, KL), (KL, Balanced), (Balanced, KL)], ids=str)
def test_relaxed_pairs_of_generated_palettes(cost, epsilon, sides):
    """A reach well below the palettes' extent: some colours keep less than half their mass."""
    rho = 5.0 if epsilon < 1 else 100.0
    made = [KL(rho) if side is KL else Balanced() for side in sides]
    options = dict(zip(("source_marginal", "target_marginal"), made, strict=True))
    pairs = ordered_pairs(200, 1000)
    assert_all_solved(*generated_palettes(), pairs, cost, epsilon, **options)
