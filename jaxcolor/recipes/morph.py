"""One look turning into another, and one shape into another."""

from collections.abc import Iterator
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image
from scipy.ndimage import gaussian_filter

from jaxcolor.image.colors import Neutral
from jaxcolor.image.metrics import as_rgb
from jaxcolor.image.pixels import evaluate, view
from jaxcolor.iterate import check
from jaxcolor.measure import Grid, nodes
from jaxcolor.recipes.finish import Change
from jaxcolor.transport.coupling import average
from jaxcolor.transport.solvers import solve

TOL = 1e-3  # of the plan between two shapes
SOFT = 1.0  # pixels: what keeps a lattice that is pulled apart from showing


def looks(change: Change, steps: int, *, strength: float = 1.0) -> Iterator[np.ndarray]:
    """A picture on the way to the look of another: displacement interpolation of its colours.

    Frame k of `steps` is (1 - t) x + t T(x), t = k / (steps - 1): the first frame is the source,
    the last has the look of the reference.

    Args:
        change: all of the way, as `transfer.change` makes it.
        steps: frames, at least two.
        strength: 0 .. 1, where the last frame is.

    Raises:
        ValueError: steps < 2.

    Example:
        >>> from jaxcolor.recipes.look import Look
        >>> from jaxcolor.recipes.styles import style
        >>> from jaxcolor.recipes.transfer import change
        >>> dark, light = (np.full((4, 4, 3), v, np.uint8) for v in (50, 150))
        >>> whole = change(dark, Look([light]), style(method="gaussian"))
        >>> [int(frame[0, 0, 0]) for frame in looks(whole, 3)]
        [50, 100, 150]

    Reference:
        McCann (1997), A convexity principle for interacting gases, section 1.
    """
    _check(steps)
    return (change.at(float(t)) for t in np.linspace(0, strength, steps))


@dataclass(frozen=True)
class Shape:
    """A picture as ink on a ground.

    Attributes:
        ink: (h, w) how far each pixel is from the ground, >= 0.
        ground: lightness of the ground, 0..1.
        peak: lightness of the most ink, less the ground.
    """

    ink: np.ndarray
    ground: float
    peak: float


def shapes(
    first: ArrayLike, second: ArrayLike, steps: int, *, size: int = 128
) -> Iterator[np.ndarray]:
    """The ink of one picture flowing into that of another, along the optimal plan.

    Frame k of `steps` is mu_t = sum_ij P_ij delta((1 - t) x_i + t y_j), t = k / (steps - 1), P the
    entropic plan with cost |x - y|^2 and a blur of one pixel, each pixel of either picture going
    to the mean of its partners. Ink is what differs in lightness from the ground, the median of
    the picture's border.

    Args:
        first, second: pictures (H, W), (H, W, 3) or (H, W, 4) of any two sizes, dark on light or
            light on dark.
        steps: frames, at least two.
        size: pixels along the longer side of the frames, at least 8.

    Yields:
        (h, w) uint8 grey frames; first and last are the pictures themselves, scaled to fit.

    Raises:
        ValueError: steps < 2, size < 8, or a picture without ink.
        RuntimeError: where the plan was not found.

    Example:
        >>> left, right = (np.full((9, 9), 255, np.uint8) for _ in range(2))
        >>> left[4, 1] = right[4, 7] = 0
        >>> _, middle, _ = shapes(left, right, 3, size=9)
        >>> [int(i) for i in np.unravel_index(middle.argmin(), middle.shape)]
        [4, 4]

    Reference:
        McCann (1997), A convexity principle for interacting gases, section 1.
    """
    _check(steps)
    if size < 8:
        raise ValueError(f"size must be at least 8, got {size}")
    ends = _on_one_canvas([_shape(picture, size) for picture in (first, second)])
    return _between(ends, steps)


def _check(steps: int) -> None:
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps}")


def _shape(picture: ArrayLike, size: int) -> Shape:
    seen = view(picture, None, "picture")
    alpha = seen.weight(slice(0, len(seen)))
    rgb = as_rgb(np.asarray(picture)).astype(np.float32)
    light = evaluate(Neutral(), rgb.reshape(-1, 3))[:, 0].reshape(rgb.shape[:2])
    if alpha is not None:  # on white
        light = 1 - alpha.reshape(light.shape) * (1 - light)
    light = Image.fromarray(light.astype(np.float32))
    scale = size / max(light.size)
    width, height = (max(1, round(n * scale)) for n in light.size)
    grey = np.asarray(light.resize((width, height), Image.Resampling.BOX), float)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ground = float(np.median(border))
    away = grey - ground
    if np.abs(away).max() < 1 / 255:
        raise ValueError("a picture of one colour has no shape")
    # ink is on one side of the ground: that with more of it
    sign = 1.0 if away.sum() > 0 else -1.0
    ink = np.maximum(sign * away, 0)
    return Shape(ink, ground, sign * ink.max())


def _on_one_canvas(both: list[Shape]) -> list[Shape]:
    """Centred, with ground around."""
    height, width = (max(one.ink.shape[k] for one in both) for k in range(2))

    def centred(ink: np.ndarray) -> np.ndarray:
        top, left = (height - ink.shape[0]) // 2, (width - ink.shape[1]) // 2
        around = (top, height - ink.shape[0] - top), (left, width - ink.shape[1] - left)
        return np.pad(ink, around)

    return [Shape(centred(one.ink), one.ground, one.peak) for one in both]


def _between(ends: list[Shape], steps: int) -> Iterator[np.ndarray]:
    masses = [one.ink / one.ink.sum() for one in ends]
    flights = _flights(masses)
    for t in np.linspace(0, 1, steps):
        mass, height, ground, peak = (
            (1 - t) * start + t * end
            for start, end in (
                [_splat(*flight, t) for flight in flights] if 0 < t < 1 else masses,
                [one.max() for one in masses],
                [one.ground for one in ends],
                [one.peak for one in ends],
            )
        )
        light = ground + peak * np.minimum(mass / height, 1)
        yield np.rint(255 * np.clip(light, 0, 1)).astype(np.uint8)


def _flights(masses: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For either side's pixels: mass, where they are at t = 0 and where at t = 1, in pixels."""
    axes = tuple(jnp.arange(n, dtype=jnp.float32) for n in masses[0].shape)
    densities = [Grid(axes, jnp.asarray(mass, jnp.float32)) for mass in masses]
    coupling = solve(densities[0], densities[1], epsilon=1.0, tol=TOL)
    check(coupling.info)
    own = np.asarray(nodes(axes), float)
    there, back = (np.asarray(average(coupling, nodes(axes), axis=k), float) for k in (1, 0))
    return [(masses[0], own, there), (masses[1], back, own)]


def _splat(mass: np.ndarray, start: np.ndarray, end: np.ndarray, t: float) -> np.ndarray:
    """The mass under way, each pixel's shared between the four around where it is."""
    place = (1 - t) * start + t * end
    corner = np.floor(place).astype(int)
    total = np.zeros(mass.size)
    for ahead in np.ndindex(2, 2):
        share = np.prod(1 - np.abs(place - corner - ahead), 1)
        at = [np.clip(corner[:, k] + ahead[k], 0, mass.shape[k] - 1) for k in range(2)]
        index = np.ravel_multi_index(at, mass.shape)
        total += np.bincount(index, share * mass.ravel(), mass.size)
    return gaussian_filter(total.reshape(mass.shape), SOFT)
