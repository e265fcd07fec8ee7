"""Sliced flows, harmonization and barycenters against sorting, POT and OTT-JAX.

    python experiments/bench_sliced.py [--only step transfer harmonize barycenter] [--json FILE]

Step: gradient steps of the sliced flow on all pixels, 3 directions each, by bins (ours), by
`jnp.sort`, by NumPy's sort. Transfer: 30 orthonormal bases on weighted colours against the same
with every pixel sorted, 8 keys. Harmonize: a folder of photographs. Barycenter: four shapes on a
128 x 128 grid, every side's distance to the limit, found in float64, being measured here; and
eight colour histograms of 64^3 bins. Pictures are those of $JAXCOLOR_DATA where it is set, else
scikit-image's. Needs the `bench` extra.
"""

import resource
from collections.abc import Callable
from functools import partial

import harness
import jax
import jax.numpy as jnp
import numpy as np
from bench_entropic import photographs
from bench_transfer import data_folder, load
from PIL import Image

import jaxcolor
from jaxcolor.image.metrics import ssim
from jaxcolor.measure import Grid, point_cloud
from jaxcolor.recipes.score import sw2
from jaxcolor.transport import barycenter_grid, directions, flow
from jaxcolor.transport.backends import import_pot

PACKAGES = ("jax", "jaxlib", "numpy", "ott-jax", "POT")
PIXELS = 1024, 768


def pair() -> list[np.ndarray]:
    """Two photographs of .8 megapixels."""
    try:
        pictures = [load("fallingwater.jpg"), load("autumn.jpg")]
    except FileNotFoundError:
        pictures = photographs()[:2]
    return [
        np.asarray(Image.fromarray(p).resize(PIXELS, Image.Resampling.BICUBIC)) for p in pictures
    ]


# --- one step -----------------------------------------------------------------------------------


STEPS = 4


@jax.jit
def sorted_rows(x, y, thetas):
    """Points (n, 3) moved along the axes of each frame in turn, as one would write it."""

    def step(x, theta):
        along, goal = x @ theta.T, jnp.sort(y @ theta.T, axis=0)
        order = jnp.argsort(along, axis=0)
        wanted = jnp.zeros_like(along)
        for k in range(3):
            wanted = wanted.at[order[:, k], k].set(goal[:, k])
        return x + (wanted - along) @ theta, None

    return jax.lax.scan(step, x, thetas)[0]


@jax.jit
def sorted_axes(x, y, thetas):
    """The same with contiguous projections, one after another: (3, n)."""

    def put(rows):
        order = jnp.argsort(rows[0])
        return jnp.zeros_like(rows[0]).at[order].set(jnp.sort(rows[1]))

    def step(x, theta):
        along = theta @ x
        return x + theta.T @ (jax.lax.map(put, (along, theta @ y.T)) - along), None

    return jax.lax.scan(step, x.T, thetas)[0]


def sorted_by_numpy(x, y, thetas):
    moved, goals = x.T, y.T
    for theta in np.asarray(thetas):
        along, goal = theta @ moved, theta @ goals
        wanted = np.empty_like(along)
        for k in range(3):
            wanted[k, np.argsort(along[k])] = np.sort(goal[k])
        moved = moved + theta.T @ (wanted - along)
    return moved.T


def step_sides() -> dict[str, Callable]:
    x, y = (p.reshape(-1, 3).astype(np.float32) / 255 for p in pair())
    key = jax.random.key(0)
    mu, nu = point_cloud(x), point_cloud(y)
    thetas = flow.solve(mu, nu, key, steps=STEPS).directions

    @jax.jit
    def ours(mu, nu):
        return flow.solve(mu, nu, key, steps=STEPS).points

    both = jnp.asarray(x), jnp.asarray(y), thetas
    return {
        "jaxcolor flow": lambda: jax.block_until_ready(ours(mu, nu)),
        "jnp.sort": lambda: jax.block_until_ready(sorted_rows(*both)),
        "jnp.sort, contiguous": lambda: jax.block_until_ready(sorted_axes(*both).T),
        "NumPy sort, contiguous": lambda: sorted_by_numpy(x, y, thetas),
    }


def bench_step(rounds: int) -> dict:
    sides = step_sides()
    timings = harness.interleave(sides, rounds)
    results = {name: np.asarray(side()) for name, side in sides.items()}
    reference = results["NumPy sort, contiguous"]
    off = {
        name: {"median move off": f"{np.median(np.abs(r - reference)):.1e}"}
        for name, r in results.items()
    }
    print(f"\n{STEPS} flow steps, {PIXELS[0] * PIXELS[1]:,} pixels, 3 directions each\n")
    print(harness.table(timings, "jaxcolor flow", off), flush=True)
    return {"timings": timings}


# --- transfer -----------------------------------------------------------------------------------


def sorted_transfer(source: np.ndarray, reference: np.ndarray, key, bases: int) -> np.ndarray:
    """Distribution transfer of all pixels, every one sorted, along the frames that ours takes."""
    x, y = (p.reshape(-1, 3).astype(np.float64) / 255 for p in (source, reference))
    levels = (np.arange(len(x)) + 0.5) / len(x) * len(y) - 0.5
    for frame in np.asarray(directions.frames(key, bases, 3), np.float64):
        along, goal = frame @ x.T, np.sort(frame @ y.T, axis=1)
        wanted = np.empty_like(along)
        for k in range(3):
            wanted[k, np.argsort(along[k])] = np.interp(levels, np.arange(len(y)), goal[k])
        x = x + (wanted - along).T @ frame
    return np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8).reshape(source.shape)


def bench_transfer(rounds: int) -> dict:
    source, reference = pair()
    timings = harness.interleave(
        {"sliced, 30 bases": lambda: jaxcolor.transfer(source, reference, method="sliced")}, rounds
    )
    # sorting tears pixels of one colour apart, a map cannot: half a level of noise lets it
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, source.shape)
    dithered = ((source + noise) / 255).astype(np.float32)
    left: dict[str, list[float]] = {
        side: [] for side in ("weighted colours", "all pixels sorted", "weighted colours, dithered")
    }
    for seed in range(8):
        key = jax.random.key(seed)
        ours = jaxcolor.transfer(source, reference, method="sliced", key=key)
        left["weighted colours"].append(sw2(ours, reference))
        left["all pixels sorted"].append(
            sw2(sorted_transfer(source, reference, key, 30), reference)
        )
        moved = jaxcolor.transfer(dithered, reference, method="sliced", key=key)
        levels = np.rint(255 * np.clip(moved, 0, 1)).astype(np.uint8)
        left["weighted colours, dithered"].append(sw2(levels, reference))
    medians = {name: float(np.median(values)) for name, values in left.items()}
    print(
        f"\ntransfer, 30 bases: {timings['sliced, 30 bases'].median:.3f} s; SW2, 8 keys, medians:"
    )
    for name, value in medians.items():
        print(f"  {name}: {value:.5f}")
    return {"timings": timings, "sw2": left}


# --- harmonize ----------------------------------------------------------------------------------


def spread(pictures: list[np.ndarray]) -> float:
    gaps = [sw2(a, b) for i, a in enumerate(pictures) for b in pictures[:i]]
    return float(np.mean(gaps))


def bench_harmonize(rounds: int) -> dict:
    pictures, record = photographs(), {}
    before = spread(pictures)
    print(f"\nharmonizing {len(pictures)} photographs\n")
    print("| method | seconds | pairwise SW2 falls by | median SSIM |\n|---|---|---|---|")
    for method in ("sliced", "newton", "gaussian"):
        side = {method: lambda m=method: jaxcolor.harmonize(pictures, method=m)}
        timing = harness.interleave(side, rounds, budget=30)[method]
        results = jaxcolor.harmonize(pictures, method=method)
        fall = 1 - spread(results) / before
        kept = float(np.median([ssim(a, b) for a, b in zip(pictures, results, strict=True)]))
        print(f"| {method} | {timing.median:.2f} | {fall:.1%} | {kept:.3f} |", flush=True)
        record[method] = {"timing": timing, "fall": fall, "ssim": kept}
    return record


# --- barycenter ---------------------------------------------------------------------------------

EPSILON = 2e-3
ERROR = 1e-3  # L1 to the limit at which all sides stop
LADDER = (10, 20, 30, 40, 45, 50, 60, 80, 100, 150, 200, 250, 280, 300, 320, 350, 400, 500)


def shapes(size: int = 128) -> np.ndarray:
    """Four shapes (4, size, size), mass one each, nowhere quite empty."""
    folder = data_folder() / "shapes"
    if folder.is_dir():
        drawn = [
            1 - np.asarray(Image.open(f).convert("L").resize((size, size)), float) / 255
            for f in sorted(folder.glob("*.png"))
        ]
    else:
        u, v = np.meshgrid(*[np.linspace(-1, 1, size)] * 2)
        drawn = [u**2 + v**2 < 0.5, abs(u) + abs(v) < 0.7, np.maximum(abs(u), abs(v)) < 0.6,
                 (u**2 + v**2 < 0.6) & (u**2 + v**2 > 0.2)]  # fmt: skip
    masses = np.stack([np.asarray(d, float) for d in drawn]) + 1e-6
    return (masses / masses.sum((1, 2), keepdims=True)).astype(np.float32)


def difference(mu: np.ndarray, truth: np.ndarray) -> float:
    """L1, both of mass one."""
    mu = np.asarray(mu, float).reshape(truth.shape)
    return float(np.abs(mu / mu.sum() - truth / truth.sum()).sum())


def barycenter_sides(b: np.ndarray) -> dict[str, Callable[[int], np.ndarray]]:
    """Each side as a function of the number of its iterations."""
    ot = import_pot()
    axis = jnp.linspace(0, 1, b.shape[1], dtype=jnp.float32)
    densities, double = Grid((axis, axis), jnp.asarray(b)), b.astype(np.float64)

    def ours(steps: int) -> np.ndarray:
        found = barycenter_grid.solve(densities, epsilon=EPSILON, tol=0, max_steps=steps)
        return np.asarray(jax.block_until_ready(found.measure.weights))

    def pot(steps: int) -> np.ndarray:
        # its grid is [0, 1]^2 too, its kernel exp(-C / reg); its floor of 1e-30 bends the kernel
        found = ot.bregman.convolutional_barycenter2d(
            double, EPSILON, numItermax=steps, stopThr=0, stabThr=1e-300, warn=False
        )
        return np.asarray(found)

    sides = {"jaxcolor": ours, "POT convolutional_barycenter2d": pot}
    try:
        from ott.geometry import grid
        from ott.problems.linear import barycenter_problem
        from ott.solvers.linear import discrete_barycenter
    except ImportError:
        return sides
    flat = jnp.asarray(b.reshape(len(b), -1))

    @partial(jax.jit, static_argnames="steps")
    def solved(steps: int) -> jax.Array:
        geometry = grid.Grid(x=[axis, axis], epsilon=EPSILON)
        problem = barycenter_problem.FixedBarycenterProblem(geometry, flat)
        solver = discrete_barycenter.FixedBarycenter(
            threshold=0.0, max_iterations=steps, min_iterations=steps
        )
        return solver(problem).histogram

    sides["OTT-JAX FixedBarycenter"] = lambda steps: np.asarray(solved(steps))
    return sides


def steps_to(side: Callable[[int], np.ndarray], truth: np.ndarray) -> tuple[int, float]:
    """The fewest iterations, of a ladder, that come within ERROR of the limit; and how near."""
    off = np.inf
    for steps in LADDER:
        off = difference(side(steps), truth)
        if off <= ERROR:
            return steps, off
    raise RuntimeError(f"still {off:.1e} from the limit after {LADDER[-1]} iterations")


def bench_barycenter(rounds: int) -> dict:
    b = shapes()
    with jax.enable_x64(True):
        axis = jnp.linspace(0, 1, b.shape[1])
        double = Grid((axis, axis), jnp.asarray(b, jnp.float64))
        exact = barycenter_grid.solve(double, epsilon=EPSILON, tol=1e-10, max_steps=3000)
        jaxcolor.check(exact.info)
        truth = np.asarray(exact.measure.weights)
    sides, extra = {}, {}
    for name, side in barycenter_sides(b).items():
        steps, off = steps_to(side, truth)
        sides[name] = partial(side, steps)
        extra[name] = {"iterations": str(steps), "L1 to the limit": f"{off:.1e}"}
    timings = harness.interleave(sides, rounds, budget=90)
    print(f"\nbarycenter of four shapes, 128 x 128, epsilon {EPSILON:g}\n")
    print(harness.table(timings, "jaxcolor", extra), flush=True)
    return {"timings": timings, "errors": extra, "colours": bench_colours(rounds)}


def bench_colours(rounds: int) -> dict:
    """Eight colour histograms of 64^3 bins: seconds, steps, and the memory that they take."""
    axis = (jnp.arange(64, dtype=jnp.float32) + 0.5) / 64
    counts = np.stack(
        [np.histogramdd(p.reshape(-1, 3), 64, ((0, 256),) * 3)[0] for p in photographs()[:8]]
    )
    densities = Grid((axis,) * 3, jnp.asarray(counts, jnp.float32))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    def solve():
        found = barycenter_grid.solve(densities, epsilon=EPSILON, tol=ERROR)
        return jax.block_until_ready(found)

    found = solve()
    jaxcolor.check(found.info)
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20 - before
    timing = harness.interleave({"eight": solve}, rounds, budget=60)["eight"]
    print(
        f"\neight colour histograms, 64^3, error {ERROR:g}: {timing.median:.1f} s, "
        f"{found.info.steps} steps, peak memory {more:.2f} GB more "
        f"({counts.size * 4 / 2**30:.3f} GB of densities)"
    )
    return {"timing": timing, "steps": int(found.info.steps), "gigabytes": more}


PARTS = {
    "step": bench_step,
    "transfer": bench_transfer,
    "harmonize": bench_harmonize,
    "barycenter": bench_barycenter,
}

if __name__ == "__main__":
    harness.run_parts(str(__doc__), PARTS, PACKAGES)
