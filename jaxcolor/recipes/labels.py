"""Labels carried from one drawing's points to another's, along an optimal plan."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from PIL import Image, ImageDraw

from jaxcolor.image.metrics import as_rgb
from jaxcolor.image.pixels import view
from jaxcolor.iterate import Info, check
from jaxcolor.measure import point_cloud
from jaxcolor.recipes import LABELS, known
from jaxcolor.transport import sinkhorn
from jaxcolor.transport.coupling import Coupling, average, confidence
from jaxcolor.transport.kernels import Cloud
from jaxcolor.transport.marginals import BALANCED, KL
from jaxcolor.transport.solvers import epsilon_from_blur, rho_from_reach, solve

JITTER = 0.5  # standard deviation of a drawn point about its pixel's centre, in pixels
APART = 0.25  # between the main colours of a drawing, full scale = 1
LEAST = 0.01  # of its points: what a main colour has
UNLABELLED = 0.72  # the grey of a point without a label
SIDE = 960  # pixels along the longer side of a plot
COVER = 0.2  # radius of a plotted point, times sqrt(n) and over the side
SMOOTH = 4  # subpixels along each axis of a plot


@dataclass(frozen=True, eq=False)
class Labels:
    """What the points of one cloud got from those of another.

    Attributes:
        values: (n, k) labels.
        confidence: (n,) carried mass over own: one where all of a point found a partner.
        info: how the solve ended.
    """

    values: np.ndarray
    confidence: np.ndarray
    info: Info


def carry(
    points: ArrayLike,
    labelled_points: ArrayLike,
    labels: ArrayLike,
    *,
    blur: float = 0.05,
    reach: float | None = None,
    kind: str = "raw",
    least: float = 0.5,
    scaling: float | None = None,
) -> Labels:
    """Labels of points by the optimal plan P between them and labelled ones.

        l(x_i) = sum_j P_ij l_j / sum_j P_ij

    with cost |x - y|^2 / 2, entropy blur^2 and, where there is a reach, both marginals relaxed by
    reach^2 KL. Each cloud has mass one, equally shared.

    Args:
        points: (n, d), without labels. labelled_points: (m, d).
        labels: (m, k), one-hot classes or anything that may be averaged, such as colours.
        blur: distance below which differences do not count.
        reach: distance beyond which partners are given up; by default none is.
        kind: 'normalised', the mean above; 'raw', that times the confidence, so that what has no
            partner fades to zero; 'argmax', one for the largest of the k and zero for the others,
            all zero where the confidence is below `least`.
        least: 0 .. 1, for 'argmax'.
        scaling: within (0, 1): solve by Sinkhorn updates whose blur is multiplied by this; by
            default by Newton steps. The labels are the same.

    Raises:
        ValueError: an unknown kind, shapes that do not match, numbers that make no sense.
        RuntimeError: where the plan was not found.

    Example:
        >>> x, y = np.array([[0.1], [0.8], [3.0]]), np.array([[0.0], [1.0]])
        >>> carry(x[:2], y, np.eye(2)).values.round(2)
        array([[1., 0.],
               [0., 1.]], dtype=float32)
        >>> carry(x, y, np.eye(2), reach=0.5, kind="argmax").values
        array([[1., 0.],
               [0., 1.],
               [0., 0.]], dtype=float32)

    Reference:
        Feydy, Roussillon, Trouve, Gori (2019), Fast and scalable optimal transport for brain
        tractograms; the relaxation is that of Chizat et al. (2018).
    """
    known(kind, LABELS, "kind of labels")
    plan = couple(points, labelled_points, blur=blur, reach=reach, scaling=scaling)
    return read(plan, labels, kind=kind, least=least)


def couple(
    points: ArrayLike,
    labelled_points: ArrayLike,
    *,
    blur: float = 0.05,
    reach: float | None = None,
    scaling: float | None = None,
) -> Coupling:
    """The plan of `carry`, for labels to be read off; arguments and errors are its.

    Example:
        >>> plan = couple([[0.1], [0.8]], [[0.0], [1.0]])
        >>> read(plan, [[10.0], [20.0]]).values.round()
        array([[10.],
               [20.]], dtype=float32)
    """
    for name, value in (("blur", blur), ("reach", reach)):
        if value is not None and not 0 < value < np.inf:
            raise ValueError(f"{name} must be a positive number, got {value}")
    if scaling is not None and not 0 < scaling < 1:
        raise ValueError(f"scaling must be between 0 and 1, got {scaling}")
    mu, nu = point_cloud(points), point_cloud(labelled_points)
    relaxed = BALANCED if reach is None else KL(rho_from_reach(reach))
    problem: dict[str, Any] = {"epsilon": epsilon_from_blur(blur)}
    problem |= {"source_marginal": relaxed, "target_marginal": relaxed}
    if scaling is None:
        plan = solve(mu, nu, **problem)
    else:  # epsilon goes as the square of the blur
        clouds = Cloud(mu.points, nu.points), mu.weights, nu.weights
        plan = sinkhorn.solve(*clouds, scaling=scaling**2, **problem)
    assert isinstance(plan, Coupling)
    check(plan.info)
    return plan


def read(plan: Coupling, labels: ArrayLike, *, kind: str = "raw", least: float = 0.5) -> Labels:
    """The labels that a plan carries to its source; arguments, result and errors as for `carry`."""
    known(kind, LABELS, "kind of labels")
    labels = jnp.asarray(labels, plan.b.dtype)
    if labels.ndim != 2 or labels.shape[:1] != plan.b.shape:
        raise ValueError(f"labels must be ({plan.b.shape[0]}, k) for as many points, "
                         f"got {labels.shape}")  # fmt: skip
    values, sure = (np.asarray(part) for part in (average(plan, labels), confidence(plan)))
    if kind == "raw":
        values = values * sure[:, None]
    elif kind == "argmax":
        values = np.eye(values.shape[1], dtype=values.dtype)[values.argmax(1)]
        values[sure < least] = 0
    return Labels(values, sure, plan.info)


def draw(
    picture: ArrayLike, n: int, key: Array, name: str = "picture"
) -> tuple[np.ndarray, np.ndarray]:
    """Points of a drawing, dark on white, in proportion to its ink 1 - (R + G + B) / 3.

    Where pixel (row, column) is drawn its point is (column + 1/2, height - row - 1/2) over the
    longer side, plus normal noise of half a pixel: x to the right and y up.

    Args:
        picture: (H, W), (H, W, 3) or (H, W, 4), uint8, uint16 or float; alpha lies on white.
        n: how many points, drawn independently.
        key: typed PRNG key.
        name: what messages call the picture.

    Returns:
        Points (n, 2), and the colours (n, 3) of their pixels, within [0, 1]; both float32.

    Raises:
        ValueError: n < 1, a picture of white alone, or none.

    Example:
        >>> page = np.full((5, 5, 3), 255, np.uint8)
        >>> page[0, 4] = 255, 0, 0
        >>> points, colours = draw(page, 100, jax.random.key(0))
        >>> points.mean(0).round(1), colours[0]
        (array([0.9, 0.9], dtype=float32), array([1., 0., 0.], dtype=float32))
    """
    if n < 1:
        raise ValueError(f"n must be at least 1 point, got {n}")
    seen = view(picture, None, name)
    alpha = seen.weight(slice(0, len(seen)))
    rgb = as_rgb(picture).reshape(-1, 3)
    if alpha is not None:
        rgb = 1 - alpha[:, None] * (1 - rgb)
    ink = 1 - rgb.mean(1, dtype=np.float64)
    if ink.max() < 1 / 255:
        raise ValueError(f"{name}: has no ink: nothing on it is darker than white")
    height, width = seen.shape[:2]
    where, shift = jax.random.split(key)
    total = np.cumsum(ink)
    share = np.asarray(jax.random.uniform(where, (n,)), np.float64)
    drawn = np.minimum(np.searchsorted(total, share * total[-1], "right"), len(ink) - 1)
    centres = np.stack([drawn % width + 0.5, height - drawn // width - 0.5], 1)
    noise = np.asarray(jax.random.normal(shift, (n, 2)))
    points = (centres + JITTER * noise) / max(height, width)
    return points.astype(np.float32), rgb[drawn].astype(np.float32)


def classes(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The main colours of a drawing's points, and which of them each point has.

    The most frequent colour is the first; of those further than a quarter of full scale from all
    before, the most frequent is the next, and so on while it stands for a hundredth of the points.

    Args:
        colours: (n, 3) within [0, 1].

    Returns:
        (k, 3) colours, and (n, k) one-hot classes: that of the nearest.

    Example:
        >>> red, blue = [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]
        >>> main, one_hot = classes(np.array([red, blue, red, [0.9, 0.1, 0.1]]))
        >>> main.tolist(), one_hot[3].tolist()
        ([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [1.0, 0.0])
    """
    distinct, counts = np.unique(colours, axis=0, return_counts=True)
    main, far = [], np.ones(len(distinct), bool)
    while far.any():
        first = np.where(far, counts, 0).argmax()
        around = far & (np.linalg.norm(distinct - distinct[first], axis=1) <= APART)
        far &= ~around
        if not main or counts[around].sum() >= LEAST * len(colours):
            main.append(distinct[first])
    away = np.linalg.norm(colours[:, None] - np.stack(main), axis=2)
    return np.stack(main), np.eye(len(main), dtype=np.float32)[away.argmin(1)]


def plot(
    points: np.ndarray, colours: np.ndarray, size: tuple[float, float] = (1.0, 1.0)
) -> np.ndarray:
    """Points as discs on white, the later over the earlier, y up.

    Args:
        points: (n, 2) within [0, width] x [0, height].
        colours: (n, 3) within [0, 1]; NaN, which is drawn grey, for none.
        size: (width, height), the larger one drawn 960 pixels long.

    Returns:
        (h, w, 3) uint8.

    Example:
        >>> picture = plot(np.array([[0.5, 0.25]]), np.zeros((1, 3)), (1.0, 0.5))
        >>> picture.shape, int(picture[240, 480, 0]), int(picture[0, 0, 0])
        ((480, 960, 3), 0, 255)
    """
    scale = SIDE * SMOOTH / max(size)
    width, height = (max(1, round(SIDE * part / max(size))) for part in size)
    page = Image.new("RGB", (SMOOTH * width, SMOOTH * height), "white")
    pen = ImageDraw.Draw(page)
    radius = max(COVER * SIDE / np.sqrt(len(points)), 1.5) * SMOOTH
    inks = np.where(np.isnan(colours), UNLABELLED, np.clip(colours, 0, 1))
    inks = np.rint(255 * inks).astype(int)
    for (x, y), ink in zip(scale * (points * [1, -1] + [0, size[1]]), inks, strict=True):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(ink.tolist()))
    return np.asarray(page.reduce(SMOOTH))
