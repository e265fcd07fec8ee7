"""What a solve costs as n, epsilon and the number of problems grow: three plots with slopes.

    python experiments/scaling_entropic.py [--folder experiments]

Clouds are random pixels of fallingwater and autumn ($JAXCOLOR_DATA; else coffee and rocket), cost
|x - y|^2, L1 5e-4; batches are CIELAB palettes of 128 colours, cost |x - y|, epsilon .1, L1 1e-4.
Median of repeats after compiling. Slopes are least squares in log-log.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import harness
import jax
import matplotlib
import numpy as np
from bench_entropic import PACKAGES, clouds, palettes

from jaxcolor.measure import point_cloud
from jaxcolor.transport import solvers
from jaxcolor.transport.costs import Euclidean

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def seconds(call: Callable, repeats: int = 5) -> float:
    jax.block_until_ready(call())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def cloud_solve(n: int, epsilon: float, method: str) -> dict:
    x, y = clouds(n)
    mu, nu = point_cloud(x), point_cloud(y)

    def call():
        return solvers.solve(mu, nu, epsilon=epsilon, tol=5e-4, method=method)

    took = seconds(call, 3 if n > 4096 else 5)
    return {"seconds": took, "passes": int(call().info.passes)}


def batch_solve(count: int) -> dict:
    mu, nu = palettes(128, count)

    def call():
        return solvers.solve_batch(mu, nu, epsilon=0.1, cost=Euclidean(), tol=1e-4)

    return {"seconds": seconds(call), "passes": int(np.sum(call().info.passes))}


def slope(x, y) -> float:
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def series() -> dict[str, dict[str, tuple[list, list[dict]]]]:
    """Panel -> line -> x values and measurements."""
    sizes, small = [512, 1024, 2048, 4096, 8192, 16384], [512, 1024, 2048, 4096]
    epsilons = [1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4]
    coarse = epsilons[:5]
    counts = [1, 2, 4, 16, 64, 256, 1024]
    return {
        "points in each cloud": {
            "newton, epsilon 5e-3": (sizes, [cloud_solve(n, 5e-3, "newton") for n in sizes]),
            "newton, epsilon 8e-4": (sizes, [cloud_solve(n, 8e-4, "newton") for n in sizes]),
            "sinkhorn, epsilon 5e-3": (small, [cloud_solve(n, 5e-3, "sinkhorn") for n in small]),
        },
        "epsilon (2,048 points)": {
            "newton": (epsilons, [cloud_solve(2048, e, "newton") for e in epsilons]),
            "sinkhorn": (coarse, [cloud_solve(2048, e, "sinkhorn") for e in coarse]),
        },
        "palette problems": {"solve_batch": (counts, [batch_solve(c) for c in counts])},
    }


def draw(panels: dict) -> tuple[plt.Figure, dict]:  # pyright: ignore[reportPrivateImportUsage]
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    slopes = {}
    for axis, (title, lines) in zip(axes, panels.items(), strict=True):
        for name, (x, measured) in lines.items():
            y = [one["seconds"] for one in measured]
            slopes[f"{title}: {name}"] = slope(x, y)
            axis.loglog(x, y, "o-", label=f"{name}: slope {slope(x, y):.2f}")
        axis.set(xlabel=title, ylabel="seconds")
        axis.grid(alpha=0.3)
        axis.legend()
    axes[1].invert_xaxis()
    return figure, slopes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    panels = series()
    figure, slopes = draw(panels)
    figure.savefig(args.folder / "figures" / "scaling.png", dpi=110)
    for name, value in slopes.items():
        print(f"{name}: slope {value:.2f}")
    record = {"machine": harness.machine(PACKAGES), "series": panels, "slopes": slopes}
    harness.save(args.folder / "results" / "scaling_entropic.json", record)


if __name__ == "__main__":
    main()
