"""Figures on relaxed marginals: the unbalanced histogram transfer, and flows of the divergence."""

import jax
import jax.numpy as jnp
import numpy as np
from figures_common import BLUE, GREY, RED, bare, cropped, show
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from skimage import data

from jaxcolor import apply, point_cloud, solve
from jaxcolor.lattice import Displacement
from jaxcolor.measure import Grid, Measure
from jaxcolor.recipes import gridded
from jaxcolor.transport import divergence, sinkhorn
from jaxcolor.transport.grid import GridKernel, prepared
from jaxcolor.transport.marginals import KL, TV, Marginal, Mixed

SIZE, LAMBDA, EPSILON = 64, 0.8, 2 / 1024
SMALL = 0.02  # a lambda that gives up what has no near partner
KINDS: dict[str, type] = {"KL": KL, "TV": TV, "both in turn": Mixed}
STEPS, BLUR = 60, 0.15  # of the flow


def counted(picture: np.ndarray) -> Grid:
    """Raw counts on 64^3 bins of [0, 1]^3."""
    places = (picture.reshape(-1, 3) // 4).astype(int) @ [SIZE**2, SIZE, 1]
    counts = np.bincount(places, minlength=SIZE**3).reshape((SIZE,) * 3)
    return Grid((jnp.linspace(0, 1, SIZE),) * 3, jnp.asarray(counts, jnp.float32))


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Of different sizes, so that their counts differ."""
    return cropped(data.coffee(), 480, 360), cropped(data.chelsea(), 300, 225)


def fitted(source: Grid, target: Grid, marginal: Marginal) -> Displacement:
    coupling = gridded.couple(
        source,
        target,
        epsilon=EPSILON,
        marginal=marginal,
        uniform=True,
        method="sinkhorn",
        tol=1e-3,
    )
    return gridded.barycentric(coupling, source, target)


def histogram_transfer() -> Figure:
    """Two pictures; one in the other's colours, wholly, and where there is a near partner."""
    source, reference = pictures()
    mu, nu = counted(source), counted(reference)
    figure, panels = plt.subplots(2, 3, figsize=(11, 6))
    show(panels[0, 0], source, "source")
    show(panels[0, 1], reference, "reference")
    rest = [(f"{name}, $\\lambda$ = {LAMBDA}", kind(LAMBDA)) for name, kind in KINDS.items()]
    rest.append((f"KL, $\\lambda$ = {SMALL}", KL(SMALL)))
    for panel, (title, marginal) in zip(panels.flat[2:], rest, strict=True):
        show(panel, apply(fitted(mu, nu, marginal), source), title)
    return figure


def convergence() -> Figure:
    """Errors of both marginals on the way to the final epsilon, and there."""
    mu, nu = (counted(picture) for picture in pictures())
    a, b = mu.weights, nu.weights
    kernel = prepared(GridKernel(mu.axes, nu.axes), EPSILON)
    figure, panels = plt.subplots(1, 3, figsize=(11, 3), sharey=True)
    for panel, (name, kind) in zip(panels, KINDS.items(), strict=True):
        sides = [gridded.counting(kind(LAMBDA), *pair, EPSILON) for pair in ((a, b), (b, a))]
        for relax, color in ((False, GREY), (True, BLUE)):
            found = sinkhorn.solve(
                kernel, a.ravel(), b.ravel(), epsilon=EPSILON, source_marginal=sides[0],
                target_marginal=sides[1], tol=1e-4, relax=relax, history=100, max_steps=99,
            )  # fmt: skip
            label = "over-relaxed" if relax else "plain"
            panel.semilogy(found.info.history, color=color, label=label)
        panel.axhline(1e-4, color=RED, lw=0.7)
        panel.set(title=name, xlabel="blocks of updates")
    panels[0].set_ylabel("error of both marginals")
    panels[0].legend(frameon=False)
    return figure


def flows() -> Figure:
    """A cloud flows onto a ring by the gradient of OT, which shrinks it, and of the divergence."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 300)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) * rng.normal(1, 0.05, (300, 1))
    target = point_cloud(jnp.asarray(ring, jnp.float32))
    start = jnp.asarray(0.25 * rng.normal(size=(300, 2)) + [0.3, 0.2], jnp.float32)
    epsilon = 2 * BLUR**2

    def biased(x):
        return solve(Measure(x, target.weights), target, epsilon=epsilon, tol=1e-3).value

    def debiased(x):
        mu = Measure(x, target.weights)
        return divergence.solve(mu, target, epsilon=epsilon, tol=1e-3).value

    figure, panels = plt.subplots(2, 5, figsize=(11, 4.6))
    names = ("OT$_\\epsilon$", "S$_\\epsilon$")
    for row, value, name in zip(panels, (biased, debiased), names, strict=True):
        # half of the way to each point's image
        slope = jax.jit(lambda x, value=value: len(x) / 4 * jax.grad(value)(x))
        x = start
        for step in range(STEPS + 1):
            if step in (0, 1, 3, 10, STEPS):
                panel = row[(0, 1, 3, 10, STEPS).index(step)]
                panel.scatter(*target.points.T, s=5, color=GREY, lw=0, alpha=0.5)
                panel.scatter(*x.T, s=6, color=BLUE, lw=0)
                panel.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25))
                bare(panel, f"{name}, step {step}")
            x = x - slope(x)
    return figure
