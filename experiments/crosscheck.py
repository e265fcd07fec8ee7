"""How far do the methods and the libraries behind them agree?

    python experiments/crosscheck.py [--json FILE]

Every pair of `CAPABILITIES` on the same problems in float64, run to 1e-12: random clouds, CIELAB
palettes, weights that are zero. Printed is the largest deviation from `newton` (from `sinkhorn`
where newton lacks the marginal; for `exact` from POT's value), over all problems, of the value
(relative to the span of the costs) and of the plan (relative to its mass).
"""

import argparse
import itertools
import json
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from bench_transfer import data_folder

from jaxcolor import CAPABILITIES, KL, TV, Balanced, Euclidean, Measure, Range, SqEuclidean, plan
from jaxcolor.transport.solvers import solve

MARGINALS = {"Balanced": Balanced(), "KL": KL(0.3), "TV": TV(0.2), "Range": Range(0.7, 1.4)}


def problems() -> dict[str, tuple[Measure, Measure, object, float]]:
    """Name -> source, target, cost, span."""
    rng = np.random.default_rng(0)
    made = {}
    for n, m in ((40, 30), (128, 200)):
        x, y = rng.random((n, 3)), rng.random((m, 3)) ** 2
        made[f"clouds {n} x {m}"] = x, y, rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    for n in (60, 100):
        x, y = rng.random((2, n, 3))
        a, b = rng.dirichlet(np.ones(n), 2)
        a[rng.choice(n, n // 3, replace=False)] = 0
        b[rng.choice(n, n // 2, replace=False)] = 0
        made[f"a third and half of {n} weightless"] = x, y, a, b
    file = data_folder() / "palettes_bsds500_train.npz"
    if file.is_file():
        stored = np.load(file)
        for i, j in ((0, 1), (17, 42)):
            p, w = stored["points"].astype(float) / 100, stored["weights"].astype(float)
            made[f"palettes {i}, {j}"] = p[i], p[j], w[i], w[j]
    out = {}
    for (name, (x, y, a, b)), cost in itertools.product(made.items(), (SqEuclidean(), Euclidean())):
        mu, nu = (Measure(jnp.asarray(z), jnp.asarray(w / w.sum())) for z, w in ((x, a), (y, b)))
        span = float(cost(mu.points, nu.points).max())
        out[f"{name}, {type(cost).__name__}"] = mu, nu, cost, span
    return out


def reference_of(method: str, name: str) -> tuple[str, str]:
    """The method and backend that others are compared with."""
    if method == "exact":
        return "exact", "pot"
    return "newton" if name in CAPABILITIES["newton", "jax"].marginals else "sinkhorn", "jax"


def deviations(method: str, backend: str, name: str) -> tuple[float, float]:
    """The largest over all problems, of value and of plan."""
    worst = np.zeros(2)
    for mu, nu, cost, span in problems().values():
        marginal = MARGINALS[name]
        shared = {"cost": cost, "source_marginal": marginal, "target_marginal": marginal}
        if method == "exact":
            ours = solve(mu, nu, method=method, backend=backend, **shared)
            truth = solve(mu, nu, method=method, backend="pot", **shared)
            worst = np.maximum(worst, [abs(float(ours.value - truth.value)) / span, 0])
            continue
        shared |= {"epsilon": 0.02 * span, "tol": 1e-12}
        reference = reference_of(method, name)[0]
        ours = solve(mu, nu, method=method, backend=backend, **shared)
        truth = solve(mu, nu, method=reference, **shared)
        off = float(jnp.abs(plan(ours) - plan(truth)).sum())
        worst = np.maximum(worst, [abs(float(ours.value - truth.value)) / span, off])
    return float(worst[0]), float(worst[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="also write the figures")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    rows = []
    print("| method | backend | marginal | value | plan |\n|---|---|---|---|---|")
    with jax.enable_x64(True):
        for (method, backend), able in CAPABILITIES.items():
            for name in able.marginals:
                if (method, backend) == reference_of(method, name):
                    continue  # it would agree with itself
                value, coupled = deviations(method, backend, name)
                rows.append([method, backend, name, value, coupled])
                shown = "-" if method == "exact" else f"{coupled:.1e}"
                print(f"| {method} | {backend} | {name} | {value:.1e} | {shown} |", flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
