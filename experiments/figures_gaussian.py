"""Figures on Gaussians and their mixtures, after Peyre's slides and Delon's lecture."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from figures_clouds import coupled, moons
from figures_common import BETWEEN, BLUE, GREY, INKS, RED, bare, segments
from figures_line import density, ridge
from jax import Array
from jax.scipy.stats import norm
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from jaxcolor import point_cloud
from jaxcolor.measure import Measure
from jaxcolor.transport import barycenter, em, gaussian, line_exact, mixture, mixture_map
from jaxcolor.transport.mixture import GaussianMixture

SIDE = 4  # steps along a side of a triangle of barycenters
COUNT = 20_000  # points that stand for a density on the line
NARROW = 1e-4  # variance that stands for a Dirac's


def ellipse(panel: Axes, mean, covariance, color, *, radius: float = 1.0, alpha: float = 0.85):
    """All points within so many standard deviations."""
    values, vectors = np.linalg.eigh(np.asarray(covariance))
    width, height = 2 * radius * np.sqrt(values)
    angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
    x, y = np.asarray(mean)
    panel.add_patch(Ellipse((x, y), width, height, angle=angle, fc=color, alpha=alpha))


def turned(long: float, short: float, degrees: float) -> np.ndarray:
    """A covariance (2, 2) by its standard deviations along two axes."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    root = np.array([[c, -s], [s, c]]) * np.array([long, short])
    return root @ root.T


def rao(covariances: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The Fisher-Rao mean of centred Gaussians: their logarithms at it add up to nothing.

    Reference:
        Moakher (2005), A differential geometric approach to the geometric mean of symmetric
        positive-definite matrices.
    """
    mean = np.tensordot(weights, covariances, 1)
    for _ in range(30):
        root = spectral(mean, np.sqrt)
        inverse = np.linalg.inv(root)
        logs = spectral(inverse @ covariances @ inverse, np.log)
        mean = root @ spectral(np.tensordot(weights, logs, 1), np.exp) @ root
    return mean


def spectral(matrices: np.ndarray, function: Callable) -> np.ndarray:
    """A function of symmetric matrices (..., d, d), by their eigenvalues."""
    values, vectors = np.linalg.eigh(matrices)
    return (vectors * function(values)[..., None, :]) @ vectors.swapaxes(-1, -2)


def optimal(covariances: np.ndarray, weights: np.ndarray) -> np.ndarray:
    means = jnp.zeros(covariances.shape[:2])
    return np.asarray(gaussian.barycenter(means, jnp.asarray(covariances), jnp.asarray(weights))[1])


def euclidean(covariances: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.tensordot(weights, covariances, 1)


def triangle() -> Figure:
    """Means of three thin Gaussians in three geometries; the mean of covariances swells."""
    corners = np.array([[0, 0], [4, 0], [2, 2 * np.sqrt(3)]])
    thin = np.stack([turned(0.46, 0.05, angle) for angle in (150, 30, 90)])
    thin = thin.astype(np.float32)
    means = {"optimal transport": optimal, "Euclidean": euclidean, "Rao": rao}
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.2))
    for panel, (name, mean) in zip(panels, means.items(), strict=True):
        for i in range(SIDE + 1):
            for j in range(SIDE + 1 - i):
                weights = np.array([SIDE - i - j, i, j], np.float32) / SIDE
                ellipse(panel, weights @ corners, mean(thin, weights), weights @ INKS[:3])
        middle = mean(thin, np.full(3, 1 / 3, np.float32))
        area = np.sqrt(np.linalg.det(middle) / np.linalg.det(thin[0]))
        bare(panel, f"{name}: in the middle {area:.1f} x the area")
        panel.autoscale_view()
    return figure


def between_two() -> Figure:
    """The optimal map between two Gaussians, point by point, and their geodesic."""
    means = jnp.array([[0.0, 0.0], [4.2, 0.9]])
    covariances = jnp.asarray(
        np.stack([turned(0.9, 0.3, 65), turned(0.85, 0.25, -35)]), jnp.float32
    )
    pair = means[0], covariances[0], means[1], covariances[1]
    root = jnp.linalg.cholesky(covariances[0])
    x = 2 * jax.random.ball(jax.random.key(0), 2, shape=(60,)) @ root.T
    figure, (left, right) = plt.subplots(1, 2, figsize=(12.4, 3.4), sharex=True, sharey=True)
    for mean, covariance, color in zip(means, covariances, (BLUE, RED), strict=True):
        ellipse(left, mean, covariance, color, radius=2, alpha=0.15)
    y = gaussian.between(*pair)(x)
    segments(left, x, y, 0.7)
    left.scatter(*x.T, s=14, color=BLUE, lw=0)
    left.scatter(*y.T, s=14, color=RED, lw=0)
    for t in np.linspace(0, 1, 7):
        mean, covariance = gaussian.geodesic(*pair, t)
        ellipse(right, mean, covariance, BETWEEN(t), radius=2, alpha=0.45)
    far = float(gaussian.distance(*pair)) ** 0.5
    bare(left, f"the optimal map: $W_2$ = {far:.3f}")
    bare(right, "the geodesic, $t$ = 0, 1/6, ..., 1")
    left.autoscale_view()
    return figure


def on_a_line(weights, means, variances) -> GaussianMixture:
    return GaussianMixture(
        jnp.array(weights), jnp.array(means)[:, None], jnp.array(variances)[:, None, None]
    )


def interpolation() -> Figure:
    """Two examples on the line: the shortest path for W2 leaves the mixtures, MW2's does not."""
    normal = norm.ppf((jnp.arange(COUNT) + 0.5) / COUNT)
    half = normal[::2] * jnp.sqrt(0.1)  # the quantiles of either part of the second
    source = on_a_line([1.0], [0.0], [1.0])
    examples = (
        (jnp.array([-1.0, 1.0]), on_a_line([0.5, 0.5], [-1.0, 1.0], [NARROW, NARROW]),
         np.linspace(0, 0.6, 4), np.linspace(-3, 3, 121), 0.85),
        (jnp.concatenate([half - 5, half + 5]), on_a_line([0.5, 0.5], [-5.0, 5.0], [0.1, 0.1]),
         np.linspace(0, 1, 5), np.linspace(-7, 7, 141), 0.55),
    )  # fmt: skip
    figure, panels = plt.subplots(2, 2, figsize=(11, 7.6))
    names = "two Diracs", "two narrow Gaussians"
    for row, name, (points, target, times, bins, unit) in zip(panels, names, examples, strict=True):
        ends = (jnp.full(len(part), 1 / len(part)) for part in (normal, points))
        coupling = line_exact.couple(normal, next(ends), points, next(ends))
        middles = (bins[1:] + bins[:-1]) / 2
        moved = [density(barycenter.interpolate(coupling, t), bins) for t in times]
        path = [mixture.geodesic(source, target, t) for t in times]
        mixed = [np.exp(mixture.log_density(m, jnp.asarray(middles)[:, None])) for m in path]
        ridge(row[0], bins, moved, times, unit)
        ridge(row[1], bins, mixed, times, unit)
        value = mixture.couple(source, target).value
        row[0].set_title(f"normal to {name}: $W_2^2$ = {float(coupling.value):.3f}")
        row[0].set_xlim(bins[0], bins[-1])
        row[1].set_xlim(bins[0], bins[-1])
        row[1].set_title(f"by Gaussian mixtures: $MW_2^2$ = {float(value):.3f}")
    _formula(panels[0, 0], *examples[0][2:])
    return figure


def _formula(panel: Axes, times: np.ndarray, bins: np.ndarray, unit: float) -> None:
    """The first example's density at t, g((|x| - t) / (1 - t)) / (1 - t) for |x| > t."""
    x = np.linspace(bins[0], bins[-1], 1201)
    for k, t in enumerate(times):
        away = (np.abs(x) - t) / (1 - t)
        density = np.where((away > 0) & (away < 3), norm.pdf(away) / (1 - t), np.nan)
        panel.plot(x, density - unit * k, color="black", lw=0.9, ls="--", zorder=10)


def data_mixtures() -> Figure:
    """Mixtures fitted to two clouds, the plan between them, and where it sends the points."""
    mu, nu = blobs(), moons()[1]
    fits = [em.fit(cloud, 6, jax.random.key(0))[0] for cloud in (mu, nu)]
    plan = mixture.couple(*fits)
    figure, panels = plt.subplots(1, 3, figsize=(13.4, 3.1), width_ratios=(1.28, 1, 1))
    for cloud, fit, color in zip((mu, nu), fits, (BLUE, RED), strict=True):
        panels[0].scatter(*cloud.points.T, s=4, color=color, lw=0, alpha=0.6)
        for mean, covariance in zip(fit.means, fit.covariances, strict=True):
            ellipse(panels[0], mean, covariance, color, radius=1.6, alpha=0.25)
    some = np.asarray(plan.mass) > 0
    starts, ends = fits[0].means[plan.rows[some]], fits[1].means[plan.cols[some]]
    panels[0].plot(*np.stack([starts, ends], 1).T, color="black", alpha=0.7)
    for line, mass in zip(panels[0].lines, plan.mass[some], strict=True):
        line.set_linewidth(16 * float(mass))
    bare(panels[0], f"two mixtures of six, and the {int(some.sum())} pairs of their plan")
    owner = np.asarray(mixture.responsibilities(fits[0], mu.points)).argmax(1)
    colors = plt.get_cmap("Dark2")(owner)
    for panel, draw in zip(panels[1:], ("mean", "rand"), strict=True):
        image = mixture_map.solve(*fits, draw=draw)(mu.points)
        panel.scatter(*nu.points.T, s=14, color=GREY, lw=0, alpha=0.35)
        panel.scatter(*image.T, s=6, color=colors, lw=0)
        far = _wasserstein(image, nu)
        bare(panel, f"$T_{{\\mathrm{{{draw}}}}}$ of the points: $W_2$ to the target {far:.3f}")
        panel.set(xlim=(-1.85, 1.85), ylim=(-1.1, 1.1))
    return figure


def blobs() -> Measure:
    """500 points about three places."""
    rng = np.random.default_rng(1)
    means = np.array([[-3.6, -0.9], [-2.6, 0.0], [-3.7, 1.0]])
    roots = np.stack([turned(s, 0.14, a) for s, a in ((0.4, 20), (0.5, 85), (0.35, -30))])
    which = rng.choice(3, 500, p=(0.4, 0.35, 0.25))
    noise = np.einsum("nij,nj->ni", np.linalg.cholesky(roots)[which], rng.normal(size=(500, 2)))
    return point_cloud((means[which] + noise).astype(np.float32))


def _wasserstein(points: Array, target: Measure) -> float:
    return float(coupled(np.asarray(points), np.asarray(target.points)).value) ** 0.5
