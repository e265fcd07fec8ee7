"""Entropic transport between clouds of 10^4 to 10^6 colours: `multiscale`, and `newton` beside it.

    python experiments/bench_scale.py [--sizes 10000 30000 100000 300000] [--epsilons 8e-4]
        [--clouds photographs uniform] [--million] [--json FILE]

Balanced, cost |x - y|^2, RGB in the unit cube, float32, to an L1 error of 5e-4. Photographs: the
distinct colours of fallingwater and of autumn ($JAXCOLOR_DATA; else of scikit-image's coffee and
rocket), drawn without repeats where there are enough; else all are repeated, each moved by up to
half a level of 8 bits. Uniform: random points of the cube. All weigh the same.

Every solve is a process of its own: its first call compiles, a second one (up to 100,000 points) is
timed again. Memory is VmHWM. `error` is what the solver reports, measured on sampled rows and
columns; up to 30,000 points the exact one, over all pairs in float64, stands beside it. `passes`
are sums over all n m pairs' worth of work. --dense also runs `newton` on all pairs.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import harness
import jax
import numpy as np
from bench_entropic import error, photographs
from bench_transfer import load

from jaxcolor.measure import Measure, point_cloud
from jaxcolor.transport import solvers
from jaxcolor.transport.costs import SqEuclidean

RESULT = Path(__file__).parent / "results" / "bench_scale.json"
TOL = 5e-4
EXACT = 30_000  # points up to which all pairs are looked at
TWICE = 100_000  # and up to which a second call is timed


def pictures() -> list[np.ndarray]:
    try:
        return [load("fallingwater.jpg"), load("autumn.jpg")]
    except FileNotFoundError:
        return photographs()[:2]


def colours(picture: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n distinct colours of a picture (n, 3), jittered where it has fewer."""
    random = np.random.default_rng(seed)
    known = np.unique(picture.reshape(-1, 3), axis=0) / 255
    if len(known) >= n:
        return known[random.choice(len(known), n, replace=False)]
    again = known[np.arange(n) % len(known)]
    return again + random.uniform(-0.5, 0.5, (n, 3)) / 255


def clouds(kind: str, n: int) -> tuple[Measure, Measure]:
    if kind == "uniform":
        made = [np.random.default_rng(seed).uniform(size=(n, 3)) for seed in (0, 1)]
    else:
        made = [colours(picture, n, seed) for seed, picture in enumerate(pictures())]
    first, second = (point_cloud(one.astype(np.float32)) for one in made)
    return first, second


def peak() -> float:
    """GB of memory that the process has held at once."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def one_solve(kind: str, n: int, epsilon: float, method: str) -> dict:
    mu, nu = clouds(kind, n)
    times = []

    def call():
        start = time.perf_counter()
        out = solvers.solve(mu, nu, epsilon=epsilon, method=method, tol=TOL)
        jax.block_until_ready(out.g)
        times.append(time.perf_counter() - start)
        return out

    out = call()
    if n <= TWICE and method == "multiscale":
        out = call()
    held = peak()  # before anything else is measured
    info = out.info
    row = {"clouds": kind, "n": n, "epsilon": epsilon, "method": method, "first": times[0],
           "seconds": times[-1], "GB": held, "status": int(info.status), "steps": int(info.steps),
           "passes": int(info.passes), "error": float(info.error), "value": float(out.value),
           "kept": share(out) if method == "multiscale" else 1.0}  # fmt: skip
    if n <= EXACT:
        parts = (mu.points, nu.points, mu.weights, nu.weights, out.f, out.g)
        row["exact error"] = error(*parts, epsilon, SqEuclidean())
    return row


def share(out) -> float:
    """Of all pairs, those that the tiles of the solution's potentials hold."""
    from jaxcolor.transport import multiscale
    from jaxcolor.transport.levels import build

    levels, left, right = build(out.problem)
    f, g = left.there(np.asarray(out.f)), right.there(np.asarray(out.g))
    pairs = multiscale.chosen(levels, f, g, TOL)
    return int(pairs.count) * f.shape[1] * g.shape[1] / (out.f.size * out.g.size)


def in_child(*words: str) -> dict:
    command = [sys.executable, __file__, "--child", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def growth(rows: list[dict]) -> dict[str, float]:
    """Least-squares slopes of log seconds over log n, compiling left out where it can be."""
    found = {}
    for key in dict.fromkeys((r["clouds"], r["epsilon"], r["method"]) for r in rows):
        own = [r for r in rows if (r["clouds"], r["epsilon"], r["method"]) == key]
        if len(own) > 1:
            x, y = ([np.log(r[name]) for r in own] for name in ("n", "seconds"))
            found[", ".join(map(str, key))] = float(np.polyfit(x, y, 1)[0])
    return found


def table(rows: list[dict]) -> str:
    names = ("clouds", "n = m", "epsilon", "method", "seconds", "with compiling", "GB", "cycles",
             "passes", "pairs kept", "error", "exact")  # fmt: skip
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for r in rows:
        exact = f"{r['exact error']:.1e}" if "exact error" in r else ""
        lines.append(
            f"| {r['clouds']} | {r['n']:,} | {r['epsilon']:g} | {r['method']} | {r['seconds']:.1f} "
            f"| {r['first']:.1f} | {r['GB']:.2f} | {r['steps']} | {r['passes']} | {r['kept']:.1%} "
            f"| {r['error']:.1e}{'' if r['status'] == 0 else ' (not converged)'} | {exact} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=["10000", "30000", "100000", "300000"])
    parser.add_argument("--epsilons", nargs="+", default=["8e-4"])
    parser.add_argument("--clouds", nargs="+", default=["photographs", "uniform"])
    parser.add_argument("--million", action="store_true", help="10^6 points too")
    parser.add_argument("--dense", action="store_true", help="also newton, up to 30,000 points")
    parser.add_argument("--note", default="", help="what else the machine was doing")
    parser.add_argument("--json", default=str(RESULT), help="where the figures go")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        kind, n, epsilon, method = args.child
        print(json.dumps(one_solve(kind, int(n), float(epsilon), method)))
        return
    rows = []
    for n in [*args.sizes, *(["1000000"] if args.million else [])]:
        for epsilon in args.epsilons:
            for kind in args.clouds:
                few = args.dense and int(n) <= EXACT
                for method in ("multiscale", *(("newton",) if few else ())):
                    rows.append(in_child(kind, n, epsilon, method))
                    print(table(rows[-1:]).splitlines()[-1], flush=True)
                    record = {"machine": harness.machine(("jax", "jaxlib", "numpy")), "tol": TOL,
                              "note": args.note, "rows": rows, "growth": growth(rows)}  # fmt: skip
                    harness.save(args.json, record)
    print("\n" + table(rows))
    for name, slope in growth(rows).items():
        print(f"seconds grow as n^{slope:.2f}: {name}")


if __name__ == "__main__":
    main()
