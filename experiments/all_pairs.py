"""All ordered pairs of photographs in one call: `jit` of `vmap`, against a loop in Python.

    python experiments/all_pairs.py [--json FILE] [--rounds 7]

Twelve photographs of $JAXCOLOR_DATA (else scikit-image's four), as samples of 1,024 colours and as
palettes of 128, encoded RGB. `sliced` carries the samples (10 frames), `gaussian` likewise,
`newton` couples the palettes (|x - y|^2, epsilon 2e-3). The function mapped over the pairs counts
its traces; the loop calls the same one, jitted, pair by pair. `solve_batch` is not a `vmap`: on a
CPU every core solves one problem after the other, and none waits for the slowest.

Off: where the points of a pair go, batch against loop. In float64 that is rounding; in float32 a
colour may fall on the next knot of a table (sliced), or lie along an axis in which its picture
hardly varies (gaussian). Then some values against OTT-JAX's and POT's own, float64, both
converged. Needs the `bench` extra.
"""

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from itertools import permutations

import harness
import jax
import jax.numpy as jnp
import numpy as np
from bench_entropic import photographs
from jax import Array
from scipy.special import rel_entr

from jaxcolor.image import colors
from jaxcolor.image.pixels import view
from jaxcolor.iterate import check
from jaxcolor.measure import Measure, stack
from jaxcolor.transport import directions, gaussian, sliced
from jaxcolor.transport.backends import import_pot
from jaxcolor.transport.coupling import average
from jaxcolor.transport.quantize import quantize
from jaxcolor.transport.sliced_distance import distance
from jaxcolor.transport.solvers import solve, solve_batch

PACKAGES = ("jax", "jaxlib", "numpy", "ott-jax", "POT")
SAMPLE, PALETTE, EPSILON = 1024, 128, 2e-3
KEY = jax.random.key(0)
THETA = directions.quadrature(64, 3)

One = Callable[[Measure, Measure], Array]


def by_sliced(source: Measure, target: Measure) -> Array:
    return sliced.solve(source, target, KEY, bases=10)(source.points)


def by_gaussian(source: Measure, target: Measure) -> Array:
    return gaussian.solve(source, target)(source.points)


def by_newton(source: Measure, target: Measure) -> Array:
    return average(solve(source, target, epsilon=EPSILON), target.points)


class Counted:
    """A function that knows how often it was traced: Python runs it only then."""

    def __init__(self, one: One):
        self.one, self.traces = one, 0

    def __call__(self, source: Measure, target: Measure) -> Array:
        self.traces += 1
        return self.one(source, target)


ONES: dict[str, One] = {"sliced": by_sliced, "gaussian": by_gaussian, "newton": by_newton}


def measures(pictures: list[np.ndarray]) -> tuple[Measure, Measure]:
    """K samples and K palettes, each stacked."""
    samples = [colors.sample(view(picture), size=SAMPLE) for picture in pictures]
    wide = stack(*[colors.sample(view(picture)) for picture in pictures])
    keys = jax.random.split(KEY, len(pictures))
    return stack(*samples), jax.lax.map(lambda one: quantize(one[0], PALETTE, one[1]), (wide, keys))


def all_pairs(one: One) -> Callable[[Measure, np.ndarray, np.ndarray], Array]:
    """(measures, first, second) -> the images of every first's points, in one compiled call."""

    def batch(stacked: Measure, first: np.ndarray, second: np.ndarray) -> Array:
        return jax.vmap(one)(take(stacked, first), take(stacked, second))

    return jax.jit(batch)


def pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.array(list(permutations(range(count), 2))).T
    return first, second


def sides(one: One, stacked: Measure) -> tuple[dict[str, Callable[[], np.ndarray]], Counted]:
    """The batched call and the loop, both give (pairs, n, 3); what counts the batch's traces."""
    count = len(stacked.points)
    first, second = pairs(count)
    counted = Counted(one)
    batch, single = all_pairs(counted), jax.jit(one)
    each = [take(stacked, k) for k in range(count)]

    def loop():
        return np.stack([single(each[i], each[j]) for i, j in zip(first, second, strict=True)])

    both = {"one call": lambda: np.asarray(batch(stacked, first, second)), "loop": loop}
    return both, counted


def queue(stacked: Measure) -> np.ndarray:
    """The same from `solve_batch`."""
    first, second = pairs(len(stacked.points))
    targets = take(stacked, second)
    found = solve_batch(take(stacked, first), targets, epsilon=EPSILON)
    check(found.info)
    return np.asarray(jax.vmap(average)(found, targets.points))


def take(stacked: Measure, index) -> Measure:
    return jax.tree.map(lambda leaf: leaf[index], stacked)


def double(mu: Measure) -> Measure:
    """In float64, each of mass one."""
    points, weights = (
        jnp.asarray(np.asarray(leaf, np.float64)) for leaf in (mu.points, mu.weights)
    )
    return Measure(points, weights / weights.sum(-1, keepdims=True))


def bench(name: str, stacked: Measure, rounds: int) -> dict:
    made, counted = sides(ONES[name], stacked)
    if name == "newton":
        made["solve_batch"] = partial(queue, stacked)
    timings = harness.interleave(made, rounds)
    assert counted.traces == 1, f"{name}: the batch was traced {counted.traces} times"
    with jax.enable_x64(True):
        exact = {side: run() for side, run in sides(ONES[name], double(stacked))[0].items()}
    wide = float(np.abs(exact["one call"] - exact["loop"]).max())
    assert wide < 1e-5, f"{name}: batch and loop differ by {wide}"
    off = np.abs(made["one call"]() - made["loop"]())
    count = len(off)
    print(f"\n{name}: {count} pairs, the batched function traced {counted.traces} time\n")
    print(harness.table(timings, "one call", {}))
    quantiles = {f"{q:g}": float(np.quantile(off, q)) for q in (0.5, 0.99, 1)}
    shown = ", ".join(f"{value:.1e}" for value in quantiles.values())
    print(f"\noff: float64 {wide:.1e}; float32 (median, 99 %, greatest) {shown}", flush=True)
    return {
        "pairs": count,
        "traces": counted.traces,
        "timings": timings,
        "off64": wide,
        "off32": quantiles,
    }


# --- against other libraries --------------------------------------------------------------------


def entropic_peers(mu: Measure, nu: Measure) -> dict[str, float]:
    """<C, P> + epsilon KL(P | a b'), from each library's own solution."""
    from ott.geometry import pointcloud
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    ours = solve(mu, nu, epsilon=EPSILON, tol=1e-11)
    check(ours.info)
    geometry = pointcloud.PointCloud(mu.points, nu.points, epsilon=EPSILON)
    problem = linear_problem.LinearProblem(geometry, mu.weights, nu.weights)
    theirs = jax.jit(sinkhorn.Sinkhorn(threshold=1e-10, max_iterations=200_000))(problem)
    x, y, a, b = (np.asarray(part) for part in (mu.points, nu.points, mu.weights, nu.weights))
    cost = ((x[:, None] - y[None]) ** 2).sum(-1)
    options = {"numItermax": 200_000, "stopThr": 1e-11}
    plan = np.asarray(import_pot().bregman.sinkhorn_log(a, b, cost, EPSILON, **options))
    entropy = rel_entr(plan, a[:, None] * b).sum()
    return {
        "ours": float(ours.value),
        "OTT-JAX": float(theirs.reg_ot_cost),
        "POT": float((plan * cost).sum() + EPSILON * entropy),
    }


def sliced_peers(mu: Measure, nu: Measure) -> dict[str, float]:
    """SW_2 along the same 64 directions."""
    from ott.tools.sliced import sliced_wasserstein

    theta = THETA.astype(mu.points.dtype)
    parts = mu.points, nu.points, mu.weights, nu.weights
    squared, _ = sliced_wasserstein(*parts, proj_fn=lambda points, *_: points @ theta.T)
    x, y, a, b = (np.asarray(part) for part in parts)
    theirs = np.asarray(
        import_pot().sliced_wasserstein_distance(x, y, a, b, projections=np.asarray(theta).T)
    )
    return {
        "ours": float(distance(mu, nu, theta, method="sorted")),
        "OTT-JAX": float(squared) ** 0.5,
        "POT": float(theirs),
    }


def gaussian_peers(mu: Measure, nu: Measure) -> dict[str, float]:
    """Mean square displacement of the map between the Gaussians."""
    moments = [np.asarray(part) for one in (mu, nu) for part in gaussian.moments(one)]
    mean0, cov0, mean1, cov1 = moments
    matrix, offset = import_pot().gaussian.bures_wasserstein_mapping(mean0, mean1, cov0, cov1)[:2]
    x, a = np.asarray(mu.points), np.asarray(mu.weights)
    ours = np.asarray(gaussian.solve(mu, nu)(mu.points))
    images = {"ours": ours, "POT": x @ np.asarray(matrix) + np.asarray(offset)}
    return {name: float(a @ ((image - x) ** 2).sum(1)) for name, image in images.items()}


def crosscheck(samples: Measure, palettes: Measure) -> list[dict]:
    """Three pairs each."""
    rows = []
    print("\n| method | pair | value | OTT-JAX, relative | POT, relative |\n|---|---|---|---|---|")
    last = len(samples.points) - 1
    peers = {
        "sliced": (sliced_peers, samples),
        "gaussian": (gaussian_peers, samples),
        "newton": (entropic_peers, palettes),
    }
    with jax.enable_x64(True):
        for name, (values, stacked) in peers.items():
            stacked = double(stacked)
            for i, j in ((0, 1), (last, last // 2), (1, last)):
                found = values(take(stacked, i), take(stacked, j))
                ours = found.pop("ours")
                off = {peer: abs(value / ours - 1) for peer, value in found.items()}
                cells = [f"{off[p]:.0e}" if p in off else "" for p in ("OTT-JAX", "POT")]
                print(f"| {name} | {i}, {j} | {ours:.6f} | {' | '.join(cells)} |", flush=True)
                rows.append({"method": name, "pair": [i, j], "value": ours, "off": off})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="also write the figures")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")  # the peers' own
    samples, palettes = measures(photographs())
    record: dict = {"machine": harness.machine(PACKAGES)}
    for name in ONES:
        record[name] = bench(name, palettes if name == "newton" else samples, args.rounds)
    record["crosscheck"] = crosscheck(samples, palettes)
    if args.json:
        harness.save(args.json, record)


if __name__ == "__main__":
    main()
