"""Figures of densities on grids: power cells, and the path of least energy between two."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from figures_common import RED, bare, cropped
from jax import Array
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude
from skimage import color, data, transform

from jaxcolor import check, point_cloud
from jaxcolor.measure import Grid, Measure
from jaxcolor.transport import dynamic, semidiscrete

SITES, STEPS = 60, 20
TILES, ROUNDS = 400, 6
FINE = 480  # pixels of a side, where cells are drawn
INK = LinearSegmentedColormap.from_list("ink", ["#ffffff", "#9db9d9", "#2f6db3", "#122c4d"])


def cells() -> Figure:
    """Power cells of one mass, at random points and after Lloyd; a photograph in such cells."""
    density = _blobs(128)
    start = _even(np.random.default_rng(2).uniform(0.05, 0.95, (SITES, 2)))
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.95))
    _draw_cells(panels[0], _solved(density, start))
    bare(panels[0], f"{SITES} random points, cells of one mass")
    _draw_cells(panels[1], _relaxed(density, start, STEPS))
    bare(panels[1], f"moved to the middle of their cells, {STEPS} times")
    photograph = cropped(data.chelsea()[:, 60:360], FINE, FINE)
    panels[2].imshow(_mosaic(photograph))
    bare(panels[2], f"{TILES} cells with the same share of detail")
    return figure


def path() -> Figure:
    """The path of least kinetic energy between two shapes, above their linear blend."""
    source, target = _shapes(96)
    found = dynamic.solve(source, target, frames=30, tol=1e-3)
    check(found.info)
    times = range(0, 31, 5)
    figure, panels = plt.subplots(2, 7, figsize=(11, 3.3))
    path = np.asarray(found.path.weights)
    blend = np.linspace(path[0], path[-1], 31)
    for row, frames, name in zip(
        panels, (path, blend), ("optimal transport", "linear blend"), strict=True
    ):
        for panel, t in zip(row, times, strict=True):
            panel.imshow(frames[t], cmap=INK, vmin=0, vmax=path.max())
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set(visible=True, color="#dddddd")
        row[0].set_ylabel(name)
    for panel, t in zip(panels[0], times, strict=True):
        panel.set_title(f"$t$ = {t / 30:.2f}")
    return figure


def _solved(density: Grid, target: Measure) -> semidiscrete.SemiDiscrete:
    found = semidiscrete.solve(density, target, tol=1e-3)
    check(found.info)
    return found


def _even(points: np.ndarray | Array) -> Measure:
    return point_cloud(jnp.asarray(points, jnp.float32))


def _relaxed(density: Grid, target: Measure, steps: int) -> semidiscrete.SemiDiscrete:
    """Lloyd's iteration at constant masses."""
    for _ in range(steps):
        target = _even(semidiscrete.centroids(_solved(density, target)).points)
    return _solved(density, target)


def _square(weights: np.ndarray) -> Grid:
    """A density on the pixels of the unit square, mass one."""
    axis = (jnp.arange(len(weights)) + 0.5) / len(weights)
    return Grid((axis, axis), jnp.asarray(weights / weights.sum(), axis.dtype))


def _coordinates(side: int) -> tuple[np.ndarray, np.ndarray]:
    axis = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(axis, axis)
    return x, y


def _blobs(side: int) -> Grid:
    x, y = _coordinates(side)
    centres = ((0.28, 0.3, 0.1, 1), (0.72, 0.38, 0.13, 0.8), (0.45, 0.75, 0.12, 0.9))
    parts = [h * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * s**2)) for u, v, s, h in centres]
    return _square(sum(parts, np.full((side, side), 0.04)))


def _labels(found: semidiscrete.SemiDiscrete) -> np.ndarray:
    """The cells on finer pixels, (FINE, FINE)."""
    axis = (jnp.arange(FINE) + 0.5) / FINE
    fine = Grid((axis, axis), jnp.zeros((FINE, FINE)))
    return np.asarray(semidiscrete.cells(replace(found, density=fine)))


def _draw_cells(panel: Axes, found: semidiscrete.SemiDiscrete) -> None:
    """The density, the cells' borders, the points."""
    panel.imshow(found.density.weights, cmap=INK, extent=(0, 1, 1, 0), interpolation="bilinear")
    labels = _labels(found)
    axis = (np.arange(FINE) + 0.5) / FINE
    for label in range(SITES):
        panel.contour(axis, axis, labels == label, [0.5], colors=RED, linewidths=0.7)
    y, x = np.asarray(found.target.points).T
    panel.scatter(x, y, s=9, color="black", lw=0.6, edgecolor="white", zorder=3)


def _mosaic(photograph: np.ndarray) -> np.ndarray:
    """Each cell in its mean colour, small where there is much to see."""
    grey = transform.resize(color.rgb2gray(photograph), (96, 96), anti_aliasing=True)
    detail = gaussian_filter(gaussian_gradient_magnitude(grey, 1.0), 1.5)
    density = _square(detail + 0.3 * detail.mean())
    start = _even(np.random.default_rng(0).uniform(size=(TILES, 2)))
    labels = _labels(_relaxed(density, start, ROUNDS))
    counts = np.maximum(np.bincount(labels.ravel(), minlength=TILES), 1)
    means = [
        np.bincount(labels.ravel(), c.ravel(), TILES) / counts for c in photograph.T.swapaxes(1, 2)
    ]
    tiles = np.stack(means, 1)[labels]
    edges = np.zeros(labels.shape, bool)
    edges[1:] |= labels[1:] != labels[:-1]
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    return np.where(edges[..., None], 0.8 * tiles, tiles).astype(np.uint8)


def _shapes(side: int) -> tuple[Grid, Grid]:
    """A ring, and a horse."""
    x, y = _coordinates(side)
    ring = np.clip(0.5 + side * (0.06 - np.abs(np.hypot(x - 0.5, y - 0.5) - 0.3)), 0, 1)
    horse = np.pad(np.logical_not(data.horse()), 40)
    horse = transform.resize(horse.astype(float), (side, side), anti_aliasing=True)
    soft = [gaussian_filter(shape, 1.0) for shape in (ring, horse)]
    return _square(soft[0]), _square(soft[1])
