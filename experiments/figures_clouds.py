"""Figures on clouds in the plane, after Peyre's slides: assignment, flow, barycenters."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
from figures_common import BETWEEN, BLUE, GREY, INKS, RED, bare, segments, show
from jax import Array
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from scipy.ndimage import gaussian_filter

from jaxcolor import SparseCoupling, check, plan, point_cloud, solve, stack
from jaxcolor.measure import Grid, Measure
from jaxcolor.transport import barycenter, barycenter_grid, directions, flow, sliced_distance

STEPS = 400  # of the flow
SIDE = 80  # of the grid barycenters
COUNT = 500  # points of each cloud


def coupled(x: np.ndarray, y: np.ndarray, b: np.ndarray | None = None) -> SparseCoupling:
    coupling = solve(point_cloud(x), point_cloud(y, b), method="exact")
    check(coupling.info)
    assert isinstance(coupling, SparseCoupling)
    return coupling


def around(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A blob of 60 points, and as many on a ring around it."""
    angle = rng.uniform(0, 2 * np.pi, 60)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) * rng.normal(1.15, 0.1, (60, 1))
    return 0.28 * rng.normal(size=(60, 2)), ring


def unequal() -> tuple[SparseCoupling, np.ndarray, np.ndarray, np.ndarray]:
    """60 equal points coupled to 17 with weights."""
    rng = np.random.default_rng(0)
    x, y = around(rng)
    weights = rng.dirichlet(np.full(17, 3.0))
    return coupled(x, y[:17], weights), x, y[:17], weights


def assignment() -> Figure:
    """An optimal assignment is a permutation; with unequal weights points split."""
    general, x, few, weights = unequal()
    _, y = around(np.random.default_rng(0))
    permutation = coupled(x, y)
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.8))
    cases = (
        (panels[0], permutation, y, np.full(60, 26)),
        (panels[2], general, few, 1560 * weights),
    )
    for panel, coupling, goal, sizes in cases:
        some = coupling.mass > 0
        pairs = x[coupling.rows[some]], goal[coupling.cols[some]]
        segments(panel, *pairs, widths=72 * np.asarray(coupling.mass[some]))
        panel.scatter(*x.T, s=26, color=BLUE)
        panel.scatter(*goal.T, s=sizes, color=RED)
    bare(panels[0], "the optimal assignment")
    bare(panels[2], f"unequal weights: {int((general.mass > 0).sum())} pairs, at most 60 + 17 - 1")
    panels[1].imshow(plan(permutation) > 0, cmap="Greys", interpolation="nearest")
    panels[1].set(title="its plan: a permutation", xticks=[0, 59], yticks=[0, 59])
    return figure


def moons() -> tuple[Measure, Measure]:
    """A normal cloud, and two crescents around it."""
    rng = np.random.default_rng(0)
    upper, bend = rng.uniform(size=COUNT) < 0.5, np.pi * rng.uniform(size=COUNT)
    crescent = np.stack([np.cos(bend) - 0.5, np.sin(bend) - 0.25], 1)
    goal = np.where(upper[:, None], crescent, -crescent) + 0.06 * rng.normal(size=(COUNT, 2))
    return point_cloud(0.35 * rng.normal(size=(COUNT, 2))), point_cloud(goal)


def partners(coupling: SparseCoupling) -> np.ndarray:
    """The permutation (n,) that an assignment is."""
    some = np.asarray(coupling.mass) > 0
    return np.asarray(coupling.cols)[some][np.argsort(np.asarray(coupling.rows)[some])]


@jax.jit
def after(T: flow.Flow, x: Array, steps: int) -> Array:
    """x after the first steps of a flow by plain gradient descent."""
    some = jnp.arange(T.shift.shape[0])[:, None, None] < steps
    return replace(T, shift=jnp.where(some, T.shift, 0))(x)


def gradient_flow() -> Figure:
    """Stochastic descent of the sliced distance: frames, losses, and which point went where."""
    mu, nu = moons()
    T = flow.solve(
        mu,
        nu,
        jax.random.key(0),
        optimizer=optax.sgd(0.1),
        steps=STEPS,
        knots=2048,
        draw=directions.independent,
    )
    figure = plt.figure(figsize=(11, 5.4))
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(2.2, 3.1))[:, 0]
    frames = (0, 4, 12, 40, STEPS)
    for panel, k in zip(above.subplots(1, 5, sharex=True, sharey=True), frames, strict=True):
        panel.scatter(*nu.points.T, s=5, color=RED, alpha=0.35, lw=0)
        panel.scatter(*after(T, mu.points, k).T, s=5, color=BLUE, lw=0)
        bare(panel, f"{k} steps" if k else "start")
    panels = below.subplots(1, 3)
    _losses(panels[0], T, mu, nu)
    x, goal = np.asarray(mu.points), np.asarray(nu.points)
    exact, reached = coupled(x, goal), coupled(np.asarray(T.points), goal)
    cases = (panels[1], reached, "pairs of the flow"), (panels[2], exact, "optimal pairs")
    for panel, coupling, name in cases:
        pairs = goal[partners(coupling)]
        segments(panel, x, pairs, widths=0.4)
        panel.scatter(*x.T, s=6, color=BLUE, lw=0)
        panel.scatter(*goal.T, s=6, color=RED, lw=0)
        bare(panel, f"{name}: cost {((x - pairs) ** 2).sum(1).mean():.4f}")
    return figure


def _losses(panel: Axes, T: flow.Flow, mu: Measure, nu: Measure) -> None:
    theta, counts = directions.quadrature(64, 2), np.arange(0, STEPS + 1, 8)
    left = [
        sliced_distance.distance(point_cloud(after(T, mu.points, k)), nu, theta) ** 2
        for k in counts
    ]
    panel.semilogy(T.losses, color=GREY, lw=0.6, label="two random directions, fresh each step")
    panel.semilogy(counts, left, color=RED, label="64 fixed directions")
    panel.set(xlabel="step", title="$SW_2^2$ to the target")
    panel.legend()


def barycenters() -> Figure:
    """Two measures by their plan; three clouds, sliced and entropic; four shapes on a grid."""
    figure = plt.figure(figsize=(11, 13))
    parts = figure.subfigures(3, 1, squeeze=False, height_ratios=(2.5, 5, 5.6))[:, 0]
    _interpolation(parts[0])
    _triangles(parts[1])
    for panel, debiased in zip(parts[2].subplots(1, 2), (False, True), strict=True):
        show(panel, _mosaic(debiased), "on a grid, debiased" if debiased else "on a grid, entropic")
    return figure


def _interpolation(figure: SubFigure) -> None:
    general, *_ = unequal()
    times = np.linspace(0, 1, 5)
    for panel, t in zip(figure.subplots(1, 5, sharex=True, sharey=True), times, strict=True):
        middle = barycenter.interpolate(general, t)
        points, place = np.unique(np.asarray(middle.points).round(5), axis=0, return_inverse=True)
        mass = np.bincount(place.ravel(), middle.weights)
        points, mass = points[mass > 0], mass[mass > 0]
        panel.scatter(*points.T, s=1500 * mass, color=[BETWEEN(t)], alpha=0.85, lw=0)
        bare(panel, f"$t$ = {t:g}: {len(mass)} points")


def _triangles(figure: SubFigure) -> None:
    clouds = _corners()

    def sliced(weights):
        return barycenter.sliced(clouds, jax.random.key(0), weights=weights, size=COUNT)

    def entropic(weights):
        return barycenter.free_support(
            clouds, epsilon=1e-3, weights=weights, size=COUNT, steps=10, tol=1e-2
        )

    solvers: dict[str, Callable] = {"sliced": sliced, "entropic": entropic}
    for panel, (name, find) in zip(figure.subplots(1, 2), solvers.items(), strict=True):
        for i, j in [(up, k) for up in range(4) for k in range(4 - up)]:
            weights = np.array([3 - i - j, j, i]) / 3
            place = 2.9 * np.array([j + i / 2, i * np.sqrt(3) / 2])
            points = find(weights).measure.points + place
            panel.scatter(*points.T, s=2.5, color=[tuple(weights @ INKS[:3])], lw=0)
        bare(panel, f"{name}, of three clouds")


def _corners() -> Measure:
    """A ring, a square and a star."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, COUNT)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) + 0.05 * rng.normal(size=(COUNT, 2))
    square = rng.uniform(-0.85, 0.85, (COUNT, 2))
    arm = rng.integers(0, 3, COUNT) * 2 * np.pi / 3 + np.pi / 2
    star = np.sqrt(rng.uniform(size=(COUNT, 1))) * np.stack([np.cos(arm), np.sin(arm)], 1) * 1.25
    star += 0.07 * rng.normal(size=(COUNT, 2))
    return stack(*(point_cloud(part) for part in (ring, square, star)))


def _shapes() -> Grid:
    """A heart, a ring, a star and two discs, as densities with edges a node wide."""
    x, y = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(1, -1, SIDE))
    radius, turn = np.hypot(x, y), np.arctan2(y, x) - np.pi / 2
    u, v = 1.35 * x, 1.35 * y + 0.1
    discs = [np.hypot(x + s, y - s) < 0.26 for s in (0.42, -0.42)]
    inside = [
        (u**2 + v**2 - 0.6) ** 3 < u**2 * v**3,
        np.abs(radius - 0.6) < 0.12,
        radius < 0.46 * (1 + 0.45 * np.cos(5 * turn)),
        discs[0] | discs[1],
    ]
    soft = [gaussian_filter(np.asarray(shape, float), 1) for shape in inside]
    axis = jnp.linspace(0, 1, SIDE)
    return Grid((axis, axis), jnp.asarray(np.stack(soft), axis.dtype))


def _mosaic(debiased: bool) -> np.ndarray:
    """Barycenters of 5 x 5 bilinear weights, ink on paper."""
    shapes, steps = _shapes(), np.linspace(0, 1, 5)

    def tile(s: float, t: float) -> np.ndarray:
        weights = jnp.asarray(np.outer([1 - s, s], [1 - t, t]).ravel())
        # further on the debiased ones turn to grains, of which the divergence knows next to nothing
        found = barycenter_grid.solve(
            shapes, epsilon=2e-3, weights=weights, debiased=debiased, tol=1e-2
        )
        check(found.info)
        mass = np.asarray(found.measure.weights)
        ink = np.clip(mass / np.quantile(mass, 0.98), 0, 1)
        return 1 - ink[..., None] * (1 - weights @ INKS)

    return np.vstack([np.hstack([tile(s, t) for t in steps]) for s in steps])
