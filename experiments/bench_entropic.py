"""Entropic transport against OTT-JAX, GeomLoss and POT, at the same measured error.

    python experiments/bench_entropic.py [--only palettes clouds large] [--json FILE] [--rounds 5]

Palettes: pairs of k colours in CIELAB, cost |x - y|, epsilon .1, to a row plus column L1 error of
1e-4. Clouds: 4,096 random pixels of fallingwater and of autumn, cost |x - y|^2, to 5e-4. The error
is that of the potentials that a side returns, computed here in float64, the same for all. Every
peer runs at the best of several settings (`PEERS` says which were tried); a side that does not
reach the error is listed with its own. Needs the `bench` extra; pictures and palettes are those of
$JAXCOLOR_DATA where it is set, else made from scikit-image's photographs.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import harness
import jax
import jax.numpy as jnp
import numpy as np
from bench_transfer import data_folder, load

from jaxcolor.image.spaces import Lab
from jaxcolor.measure import Measure, point_cloud
from jaxcolor.transport import kernels, quantize, solvers
from jaxcolor.transport.backends import import_pot
from jaxcolor.transport.costs import Euclidean, SqEuclidean

PACKAGES = ("jax", "jaxlib", "numpy", "ott-jax", "POT", "geomloss", "torch")
PEERS = (
    "OTT-JAX: default; momentum 1.5, 1.7, 1.8; adaptive momentum from iteration 20, 100, 300; "
    "Anderson of 5 with ridge 1e-2 and 1e-8; under vmap, lax.map and in a pool of threads. "
    "GeomLoss: scaling .5, .9, .97, .99. POT: emd, one thread and a pool."
)
MINUTES = ("default", "momentum 1.5")  # OTT-JAX settings that take them at a SMALL epsilon
SMALL = 1e-3
CORES = harness.equal_threads()


def photographs() -> list[np.ndarray]:
    """Pictures to take palettes of."""
    folder = data_folder() / "photos"
    if folder.is_dir():
        return [load(f"photos/{path.name}") for path in sorted(folder.glob("*.jpg"))]
    from skimage import data

    return [data.coffee(), data.rocket(), data.astronaut(), data.chelsea()]


def palettes(k: int, count: int) -> tuple[Measure, Measure]:
    """`count` pairs of CIELAB palettes of k colours."""
    file = data_folder() / "palettes_bsds500_train.npz"
    if k == 128 and file.is_file():
        stored = np.load(file)
        points, weights = stored["points"].astype(np.float32), stored["weights"]
    else:
        made = [_palette(picture, k) for picture in photographs()]
        points, weights = (np.stack(part) for part in zip(*made, strict=True))
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    picks = [np.random.default_rng(i).choice(len(points), 2, replace=False) for i in range(count)]
    first, second = np.array(picks).T
    pair = [Measure(jnp.asarray(points[i]), jnp.asarray(weights[i])) for i in (first, second)]
    return pair[0], pair[1]


def _palette(picture: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    rows = picture.reshape(-1, 3)
    some = rows[np.random.default_rng(0).choice(len(rows), 32768)]
    encoded = Lab().encode(jnp.asarray(some, jnp.float32) / 255)
    made = quantize.quantize(point_cloud(encoded), k, jax.random.key(0))
    return np.asarray(made.points), np.asarray(made.weights)


def clouds(n: int) -> tuple[np.ndarray, np.ndarray]:
    """n random pixels of each picture, RGB in [0, 1]."""
    try:
        pictures = [load("fallingwater.jpg"), load("autumn.jpg")]
    except FileNotFoundError:
        pictures = photographs()[:2]
    rng = np.random.default_rng(0)
    rows = [picture.reshape(-1, 3) for picture in pictures]
    chosen = [r[rng.choice(len(r), n, replace=n > len(r))] for r in rows]
    x, y = ((c / 255).astype(np.float32) for c in chosen)
    return x, y


@partial(jax.jit, static_argnames="cost")
def _marginals(x, y, a, b, f, g, epsilon, cost):
    """Row plus column L1 violation of P = a b exp((f + g - C) / epsilon), both masses 1."""
    kernel = kernels.Cloud(x, y, cost)
    rows = kernel.softmin(jnp.log(b) + g / epsilon, epsilon, 1) + f / epsilon
    columns = kernel.softmin(jnp.log(a) + f / epsilon, epsilon, 0) + g / epsilon
    return (a * jnp.abs(jnp.expm1(rows))).sum() + (b * jnp.abs(jnp.expm1(columns))).sum()


def error(x, y, a, b, f, g, epsilon, cost) -> float:
    with jax.enable_x64(True):
        parts = [jnp.asarray(np.asarray(part), jnp.float64) for part in (x, y, a, b, f, g)]
        return float(_marginals(*parts, jnp.float64(epsilon), cost))


# --- palettes -----------------------------------------------------------------------------------


def ott_settings() -> dict[str, dict]:
    from ott.solvers.linear import acceleration

    return {
        "default": {},
        "momentum 1.5": {"momentum": acceleration.Momentum(value=1.5)},
        "Anderson 5": {
            "anderson": acceleration.AndersonAcceleration(memory=5, ridge_identity=1e-8)
        },
    }


def ott_solver(settings: dict, epsilon: float, threshold: float, most: int, power: int):
    from ott.geometry import geometry, pointcloud
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    def one(x, y, a, b):
        if power == 2:
            shape = pointcloud.PointCloud(x, y, epsilon=epsilon)
        else:
            cost = jnp.sqrt(((x[:, None] - y[None]) ** 2).sum(-1))
            shape = geometry.Geometry(cost_matrix=cost, epsilon=epsilon)
        solver = sinkhorn.Sinkhorn(threshold=threshold, max_iterations=most, **settings)
        out = solver(linear_problem.LinearProblem(shape, a, b))
        # its potentials hold the weights: f = ours + epsilon log a
        return out.f - epsilon * jnp.log(a), out.g - epsilon * jnp.log(b)

    return one


def pooled(function, arrays: tuple, parts: int):
    """function on slices of the batch, one a thread."""
    slices = np.array_split(np.arange(len(arrays[0])), parts)

    def run():
        with ThreadPoolExecutor(parts) as pool:
            done = pool.map(
                lambda s: jax.block_until_ready(function(*(z[s] for z in arrays))), slices
            )
            return tuple(np.concatenate(part) for part in zip(*done, strict=True))

    return run


def palette_sides(sources: Measure, targets: Measure, sample: int) -> dict[str, Callable]:
    """Every side: returns potentials, or nothing. OTT-JAX works on the first `sample` problems."""
    ot = import_pot()
    epsilon, tol = 0.1, 1e-4
    parts = (sources.points, targets.points, sources.weights, targets.weights)
    some = tuple(part[:sample] for part in parts)
    host = [np.asarray(part, np.float64) for part in parts]
    host[2:] = [w / w.sum(1, keepdims=True) for w in host[2:]]

    def ours():
        out = solvers.solve_batch(sources, targets, epsilon=epsilon, cost=Euclidean(), tol=tol)
        return jax.block_until_ready((out.f, out.g))

    def emd(i):
        cost = ot.dist(host[0][i], host[1][i], "euclidean")
        return ot.lp.emd(host[2][i], host[3][i], cost, numItermax=10**7, check_marginals=False)

    def emd_pool():
        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(emd, range(len(host[0]))))

    sides: dict[str, Callable] = {"jaxcolor solve_batch": ours, "POT emd, pool": emd_pool}
    settings = ott_settings()
    solve = {name: ott_solver(s, epsilon, tol, 50_000, 1) for name, s in settings.items()}
    default = jax.jit(jax.vmap(solve["default"]))
    sides["OTT-JAX default, vmap"] = lambda: jax.block_until_ready(default(*some))
    for name in settings:
        mapped = jax.jit(lambda *z, one=solve[name]: jax.lax.map(lambda q: one(*q), z))
        sides[f"OTT-JAX {name}, lax.map in a pool"] = pooled(mapped, some, CORES)
    return sides


def bench_palettes(k: int, count: int, sample: int, rounds: int) -> dict:
    sources, targets = palettes(k, count)
    sides = palette_sides(sources, targets, sample)
    timings = harness.interleave(sides, rounds)
    errors = {}
    for name, side in sides.items():
        found = side()
        if found is not None:
            f, g = found
            errors[name] = [
                error(sources.points[i], targets.points[i], sources.weights[i], targets.weights[i],
                      f[i], g[i], 0.1, Euclidean())
                for i in range(len(f))
            ]  # fmt: skip
    share = {name: count if name not in errors else len(errors[name]) for name in sides}
    ours = timings["jaxcolor solve_batch"].median / count
    lines = ["| | times ours | ms a problem, median (quartiles) | first call, s | L1, worst |",
             "|---|---|---|---|---|"]  # fmt: skip
    for name, t in timings.items():
        ms = [1e3 * s / share[name] for s in (t.median, *t.quartiles)]
        worst = f"{max(errors[name]):.1e}" if name in errors else "exact"
        lines.append(
            f"| {name} | {ms[0] / ours / 1e3:.1f} | {ms[0]:.3f} ({ms[1]:.3f}-{ms[2]:.3f}) "
            f"| {t.first:.1f} | {worst} |"
        )
    over = sum(e > 1e-4 for e in errors["jaxcolor solve_batch"])
    print(
        f"\n{count} palette problems, k = {k} (OTT-JAX: {sample} of them); ours over 1e-4: {over}\n"
    )
    print("\n".join(lines), flush=True)
    return {"k": k, "count": count, "timings": timings, "errors": errors, "share": share}


# --- clouds -------------------------------------------------------------------------------------


def geomloss_side(x, y, epsilon: float, scaling: float):
    import torch
    from geomloss import SamplesLoss

    torch.set_num_threads(CORES)
    # it halves the squared distance: blur^2 = epsilon / 2, and its potentials are half of ours
    loss = SamplesLoss("sinkhorn", p=2, blur=(epsilon / 2) ** 0.5, scaling=scaling, debias=False,
                       potentials=True, backend="tensorized")  # fmt: skip
    points = torch.tensor(x), torch.tensor(y)
    return lambda: tuple(2 * part.numpy().ravel() for part in loss(*points))


def cloud_sides(n: int, epsilon: float, tol: float) -> dict[str, Callable]:
    ot = import_pot()
    x, y = clouds(n)
    weights = np.full(n, 1 / n, np.float32)
    mu, nu = point_cloud(x, weights), point_cloud(y, weights)

    def ours(method):
        out = solvers.solve(mu, nu, epsilon=epsilon, tol=tol, method=method)
        return jax.block_until_ready((out.f, out.g))

    def emd2():
        double = x.astype(np.float64), y.astype(np.float64)
        even = np.full(n, 1 / n)
        ot.lp.emd2(even, even, ot.dist(*double), numItermax=10**7)

    sides: dict[str, Callable] = {"jaxcolor newton": partial(ours, "newton")}
    sides["jaxcolor sinkhorn"] = partial(ours, "sinkhorn")
    sides["POT emd2"] = emd2
    small = epsilon < SMALL
    for name, settings in ott_settings().items():
        if small and name in MINUTES:
            continue
        one = jax.jit(ott_solver(settings, epsilon, 0.8 * tol, 20_000, 2))
        sides[f"OTT-JAX {name}"] = lambda one=one: jax.block_until_ready(
            one(x, y, weights, weights)
        )
    if not small:
        sides["GeomLoss scaling .9"] = geomloss_side(x, y, epsilon, 0.9)
    return sides


def once_sides(n: int, epsilon: float, tol: float) -> dict[str, Callable]:
    """Sides that take minutes: run once after compiling."""
    x, y = clouds(n)
    weights = np.full(n, 1 / n, np.float32)
    sides: dict[str, Callable] = {"GeomLoss scaling .97": geomloss_side(x, y, epsilon, 0.97)}
    for name in MINUTES if epsilon < SMALL else ():
        one = jax.jit(ott_solver(ott_settings()[name], epsilon, 0.8 * tol, 20_000, 2))
        sides[f"OTT-JAX {name}"] = lambda one=one: jax.block_until_ready(
            one(x, y, weights, weights)
        )
    return sides


def bench_clouds(n: int, epsilon: float, rounds: int, slow: bool) -> dict:
    tol = 5e-4
    x, y = clouds(n)
    weights = np.full(n, 1 / n, np.float32)
    sides = cloud_sides(n, epsilon, tol)

    def measured(found):
        if found is None:
            return None
        return error(x, y, weights, weights, found[0], found[1], epsilon, SqEuclidean())

    timings = harness.interleave(sides, rounds, budget=240)
    errors = {name: measured(side()) for name, side in sides.items()}
    if slow:
        for name, side in once_sides(n, epsilon, tol).items():
            found = []
            timings |= harness.interleave({name: lambda s=side, f=found: f.append(s())}, 0)
            errors[name] = measured(found[-1])
    extra = {name: {"L1": "exact" if e is None else f"{e:.1e}"} for name, e in errors.items()}
    print(f"\nclouds n = m = {n}, epsilon {epsilon:g} (blur {(epsilon / 2) ** 0.5:.3g})\n")
    print(harness.table(timings, "jaxcolor newton", extra), flush=True)
    return {"n": n, "epsilon": epsilon, "timings": timings, "errors": errors}


# --- beyond memory ------------------------------------------------------------------------------


def large(n: int, epsilon: float) -> dict:
    """One solve: seconds with and without compiling, error, peak memory of the process."""
    x, y = clouds(n)
    weights = np.full(n, 1 / n, np.float32)
    mu, nu = point_cloud(x, weights), point_cloud(y, weights)
    times = []

    def once():
        start = time.perf_counter()
        out = jax.block_until_ready(solvers.solve(mu, nu, epsilon=epsilon, tol=5e-4))
        times.append(time.perf_counter() - start)
        return out

    out = once()
    if n <= 20_000:
        out = once()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    off = error(x, y, weights, weights, out.f, out.g, epsilon, SqEuclidean())
    info = jax.tree.map(int, (out.info.status, out.info.steps, out.info.passes))
    return {"n": n, "first": times[0], "seconds": times[-1], "error": off, "GB": peak,
            "status": info[0], "steps": info[1], "passes": info[2]}  # fmt: skip


def one_pass(n: int) -> dict:
    """One log-sum-exp over n x n pairs."""
    x, y = (jnp.asarray(part) for part in clouds(n))
    softmin = jax.jit(lambda x, y, h: kernels.Cloud(x, y).softmin(h, jnp.float32(8e-4), 1))
    h = jnp.zeros(n)
    first = time.perf_counter()
    jax.block_until_ready(softmin(x, y, h))
    start = time.perf_counter()
    jax.block_until_ready(softmin(x, y, h))
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"n": n, "first": start - first, "seconds": end - start, "GB": peak}


def in_child(*words: str) -> dict:
    """This script in a process of its own, for its peak memory."""
    command = [sys.executable, __file__, "--child", *words]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def bench_large() -> list[dict]:
    rows = [in_child("large", str(n), "8e-4") for n in (16_384, 40_000)]
    print("\nclouds at epsilon 8e-4, to L1 5e-4\n")
    print(
        "| n = m | seconds | L1 | peak memory | Newton steps | passes |\n|---|---|---|---|---|---|"
    )
    for r in rows:
        print(f"| {r['n']:,} | {r['seconds']:.1f} | {r['error']:.1e} | {r['GB']:.2f} GB "
              f"| {r['steps']} | {r['passes']} |")  # fmt: skip
    rows.append(in_child("pass", "100000"))
    r = rows[-1]
    print(f"\none pass over {r['n']:,} x {r['n']:,} pairs: {r['seconds']:.1f} s, "
          f"{r['GB']:.2f} GB for the whole process", flush=True)  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=["palettes", "clouds", "large"])
    parser.add_argument("--json", help="also write the figures")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fast", action="store_true", help="leave out what takes minutes")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")  # OTT-JAX's, of its own doing
    if args.child:
        kind, n, *rest = args.child
        print(json.dumps(large(int(n), float(rest[0])) if kind == "large" else one_pass(int(n))))
        return
    record = {"machine": harness.machine(PACKAGES), "peers": PEERS}
    if "palettes" in args.only:
        rows = [(128, 256, 32), (512, 16, 4), (1024, 8, 2)]
        record["palettes"] = [bench_palettes(*row, args.rounds) for row in rows]
    if "clouds" in args.only:
        record["clouds"] = [
            bench_clouds(4096, epsilon, args.rounds, not args.fast) for epsilon in (2e-4, 5e-3)
        ]
    if "large" in args.only:
        record["large"] = bench_large()
    if args.json:
        harness.save(args.json, record)


if __name__ == "__main__":
    main()
