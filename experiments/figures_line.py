"""Figures on the line, after Delon's lecture: rearrangement, interpolation, entropic plans."""

import jax
import jax.numpy as jnp
import numpy as np
from figures_common import BETWEEN, BLUE, GREY, RED
from jax import Array
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxcolor import average, check, plan, point_cloud, solve
from jaxcolor.measure import Measure
from jaxcolor.transport import barycenter, line_exact

NODES = 4000


def epsilon() -> Figure:
    """The entropic plan between two 1-D densities blurs as epsilon grows from 3e-4 to .1."""
    x = jnp.linspace(0, 1, 300)
    mu = 0.2 + jnp.exp(-0.5 * ((x - 0.25) / 0.07) ** 2)
    nu = 0.1 + jnp.exp(-0.5 * ((x - 0.55) / 0.06) ** 2) + 0.6 * jnp.exp(-(((x - 0.85) / 0.06) ** 2))
    source, target = (point_cloud(x[:, None], density / density.sum()) for density in (mu, nu))
    exact = line_exact.couple(x, source.weights, x, target.weights)
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.9), sharey=True)
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


def _densities() -> tuple[Array, Array, Array]:
    """Nodes on [0, 1], and two densities of mass one."""
    x = jnp.linspace(0, 1, NODES)

    def bumps(*parts):
        total = sum(mass * jnp.exp(-0.5 * ((x - m) / s) ** 2) / s for m, s, mass in parts)
        return jnp.asarray(total) / jnp.sum(total)

    first = bumps((0.2, 0.06, 1.0), (0.5, 0.07, 0.6))
    return x, first, bumps((0.42, 0.05, 0.6), (0.76, 0.07, 1.0))


def on_the_line() -> Figure:
    """Monotone rearrangement T = F1^-1 . F0; displacement interpolation against mixing."""
    figure = plt.figure(figsize=(11, 7.4))
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(3.2, 4.2))[:, 0]
    _rearrangement(above.subplots(1, 3))
    _interpolation(below.subplots(1, 3))
    return figure


def _rearrangement(panels: list[Axes]) -> None:
    x, f0, f1 = _densities()
    inside = f0 > 5e-3 * f0.max()  # beyond there is nothing to carry
    T = jnp.where(inside, average(line_exact.couple(x, f0, x, f1), x), jnp.nan)
    for density, color, name in ((f0, BLUE, "$\\mu_0$"), (f1, RED, "$\\mu_1$")):
        panels[0].fill_between(x, NODES * density, color=color, alpha=0.35, lw=0)
        panels[0].plot(x, NODES * density, color=color, label=name)
        panels[1].plot(x, jnp.cumsum(density), color=color)
    for start in (0.16, 0.22, 0.32, 0.52):
        k = int(start * (NODES - 1))
        level, end = float(jnp.cumsum(f0)[k]), float(T[k])
        panels[1].plot([start, start, end, end], [0, level, level, 0], color=GREY, lw=0.9, ls="--")
        panels[1].plot([start, end], [0, 0], "o", color=GREY, ms=4, clip_on=False)
    panels[2].plot(x, T, color="black")
    panels[2].plot(x, x, color=GREY, lw=0.8, ls=":")
    panels[0].set(title="densities", ylim=(0, None), yticks=[])
    panels[0].spines["left"].set_visible(False)
    panels[0].legend()
    panels[1].set(title="$F_0$, $F_1$ and four points on their way", ylim=(0, 1.02))
    panels[2].set(title="$T = F_1^{-1} \\circ F_0$", xlim=(0, 1), ylim=(0, 1))


def _interpolation(panels: list[Axes]) -> None:
    x, f0, f1 = _densities()
    times, bins = np.linspace(0, 1, 6), np.linspace(0, 1, 101)
    coupling = line_exact.couple(x, f0, x, f1)
    ends = [density(point_cloud(x[:, None], part), bins) for part in (f0, f1)]
    moved = [density(barycenter.interpolate(coupling, t), bins) for t in times]
    ridge(panels[0], bins, moved, times, 3.2)
    ridge(panels[1], bins, [(1 - t) * ends[0] + t * ends[1] for t in times], times, 3.2)
    times, bins, n = np.linspace(0, 0.6, 4), np.linspace(-3, 3, 121), 20_000
    normal = jax.scipy.stats.norm.ppf((jnp.arange(n) + 0.5) / n)
    coupling = line_exact.couple(normal, jnp.full(n, 1 / n), jnp.array([-1.0, 1]), jnp.full(2, 0.5))
    sampled = [density(barycenter.interpolate(coupling, t), bins) for t in times]
    ridge(panels[2], bins, sampled, times, 0.85)
    middles = (bins[1:] + bins[:-1]) / 2
    for k, t in enumerate(times):
        away = (np.abs(middles) - t) / (1 - t)
        height = np.exp(-(away**2) / 2) / np.sqrt(2 * np.pi) / (1 - t)
        formula = np.where(away > 0, height, np.nan) - 0.85 * k
        panels[2].plot(middles, formula, color="black", lw=0.9, ls="--", zorder=10)
    panels[0].set_title("displacement interpolation")
    panels[1].set_title("mixture")
    panels[2].set_title("normal to two Diracs; dashed: formula")


def density(measure: Measure, bins: np.ndarray) -> np.ndarray:
    """What a cloud on the line weighs in each bin, per length."""
    weights = np.asarray(measure.weights)
    return np.histogram(measure.points[:, 0], bins, weights=weights)[0] / np.diff(bins)


def ridge(panel: Axes, bins: np.ndarray, heights, times: np.ndarray, unit: float) -> None:
    middles = (bins[1:] + bins[:-1]) / 2
    for k, (t, height) in enumerate(zip(times, heights, strict=True)):
        base, ink = -k * unit, BETWEEN(t)
        panel.fill_between(middles, base, base + height, color=ink, alpha=0.75, lw=0, zorder=k)
        panel.plot(middles, base + height, color="white", lw=0.9, zorder=k)
    panel.set(yticks=-unit * np.arange(len(times)), yticklabels=[f"$t$ = {t:g}" for t in times])
    panel.spines[:].set_visible(False)
    panel.tick_params(axis="y", length=0)
