"""The figures of the source texts, remade.

    python experiments/figures.py [NAME ...] [--folder experiments/figures]

`epsilon`: Sinkhorn between two densities on the line at four epsilons, with the exact (monotone)
plan (Delon's lecture slides on optimal transport for image processing).
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np

from jaxcolor import check, plan, point_cloud, solve
from jaxcolor.transport import line_exact

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure


def epsilon() -> Figure:
    """The entropic plan between two 1-D densities blurs as epsilon grows from 3e-4 to .1."""
    x = jnp.linspace(0, 1, 300)
    mu = 0.2 + jnp.exp(-0.5 * ((x - 0.25) / 0.07) ** 2)
    nu = 0.1 + jnp.exp(-0.5 * ((x - 0.55) / 0.06) ** 2) + 0.6 * jnp.exp(-(((x - 0.85) / 0.06) ** 2))
    source, target = (point_cloud(x[:, None], density / density.sum()) for density in (mu, nu))
    exact = line_exact.couple(x, source.weights, x, target.weights)
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.9), layout="constrained", sharey=True)
    with plt.rc_context({"image.cmap": "magma_r"}):
        for panel, value in zip(axes, (3e-4, 1e-3, 1e-2, 1e-1), strict=True):
            coupling = solve(source, target, epsilon=value)
            check(coupling.info)
            shown = np.asarray(plan(coupling)).T ** 0.5  # as the eye sees grades of it
            panel.imshow(shown, origin="lower", extent=(0, 1, 0, 1))
            panel.plot(x[exact.rows], x[exact.cols], color="tab:cyan", lw=0.8)
            density = source.weights, target.weights
            panel.fill_between(x, 0, 12 * density[0], color="tab:blue", alpha=0.5)
            panel.fill_betweenx(x, 0, 12 * density[1], color="tab:red", alpha=0.5)
            panel.set(title=f"$\\varepsilon$ = {value:g}   value {float(coupling.value):.4f}")
    axes[0].set(xlabel="source", ylabel="target")
    figure.suptitle(
        f"entropic plans (square root shown), and the exact one: value {float(exact.value):.4f}"
    )
    return figure


FIGURES = {"epsilon": epsilon}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(FIGURES), metavar="NAME")
    parser.add_argument("--folder", default=Path(__file__).parent / "figures", type=Path)
    args = parser.parse_args()
    for name in args.names:
        if name not in FIGURES:
            parser.error(f"unknown figure {name!r}: one of {', '.join(FIGURES)}")
        with jax.enable_x64(True):
            FIGURES[name]().savefig(args.folder / f"{name}.png", dpi=110)
        print(args.folder / f"{name}.png")


if __name__ == "__main__":
    main()
