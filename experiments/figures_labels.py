"""Figures on labels carried along a plan: GeomLoss's page on label transfer, and colourization."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from figures_common import bare, show
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter
from skimage import data

from jaxcolor.image import filters
from jaxcolor.image.spaces import Lab
from jaxcolor.recipes.labels import carry, draw

COUNT = 10_000
LAB = Lab()


RING = (((45, 45, 157, 153), "black"), ((72, 64, 146, 138), "white"),
        ((104, 95, 130, 121), "black"))  # fmt: skip
BLOBS = (
    ((14, 14, 66, 86), "red"), ((38, 12, 90, 76), "white"),
    ((108, 4, 194, 78), "lime"), ((92, 40, 166, 114), "white"),
    ((24, 138, 76, 190), "blue"), ((44, 126, 92, 172), "white"),
)  # fmt: skip


def drawings() -> tuple[np.ndarray, np.ndarray]:
    """The page's two pictures where $JAXCOLOR_DATA has them, else much the same."""
    try:
        folder = Path(os.environ["JAXCOLOR_DATA"])
        first, second = (np.asarray(Image.open(folder / f"threeblobs_{k}.png")) for k in "ab")
        return first, second
    except (KeyError, FileNotFoundError):
        return sketched(RING), sketched(BLOBS)


def sketched(ellipses: tuple) -> np.ndarray:
    """Ellipses within boxes (left, top, right, bottom), one over the other, on a white page."""
    page = Image.new("RGB", (200, 200), "white")
    for box, colour in ellipses:
        ImageDraw.Draw(page).ellipse(box, fill=colour)
    return np.asarray(page)


def labels() -> Figure:
    """Both clouds; the labels of a balanced plan; those of one that gives up beyond .2."""
    keys = jax.random.split(jax.random.key(0))
    (x, _), (y, colours) = (draw(p, COUNT, k) for p, k in zip(drawings(), keys, strict=True))
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.6))
    scatter(panels[0], x, "#b8b8b8")
    scatter(panels[0], y, colours)
    panels[0].set_title("unlabelled points (grey), labelled points")
    for panel, reach in zip(panels[1:], (None, 0.2), strict=True):
        found = carry(x, y, colours, reach=reach, kind="raw")
        scatter(panel, x, np.clip(found.values, 0, 1))
        panel.set_title("balanced" if reach is None else f"reach {reach}: what is far goes black")
    return figure


def scatter(panel: Axes, points: np.ndarray, colours) -> None:
    panel.scatter(*points.T, s=2.2, c=colours, lw=0)
    bare(panel)
    panel.set(xlim=(0, 1), ylim=(0, 1))


# --- colourization ------------------------------------------------------------------------------

STEP = 2  # pixels that a cell has along each side
SCALES = 2, 6  # cells: standard deviations of the windows
PLACE = 0.3  # weight of the place, the longer side being 1
LABELLED = 3000  # coloured cells
BLUR, REACH = 0.02, 0.3
GUIDED = filters.Guided(8, 1e-3)


def features(lightness: np.ndarray, across: np.ndarray) -> np.ndarray:
    """What is known of a cell (h * w, 7): lightness in 0..1, its mean and twice its deviation in
    two windows, and its place, `across` (w,) being the distance to a common edge."""
    found = [lightness]
    for scale in SCALES:
        mean = gaussian_filter(lightness, scale)
        variance = gaussian_filter(lightness**2, scale) - mean**2
        found += [mean, 2 * np.sqrt(np.maximum(variance, 0))]
    down = np.arange(len(lightness))
    place = np.stack(np.meshgrid(down, across, indexing="ij")) * PLACE / max(lightness.shape)
    return np.stack([*found, *place], -1).reshape(-1, 7).astype(np.float32)


def colorized(left: np.ndarray, lightness: np.ndarray) -> np.ndarray:
    """(H, W, 3) the right half of a picture, given its L of CIELAB and the left half in colour.

    The chroma of cells is the label, carried along the plan between features; then it follows the
    edges of the lightness by a guided filter, channel by channel.
    """
    cells = encoded(Image.fromarray(left).reduce(STEP))
    grey = np.asarray(Image.fromarray(lightness).reduce(STEP))
    known = features(cells[..., 0] / 100, np.arange(cells.shape[1])[::-1])
    asked = features(grey / 100, np.arange(grey.shape[1]))
    some = np.random.default_rng(0).choice(len(known), LABELLED, replace=False)
    chroma = cells[..., 1:].reshape(-1, 2)[some]
    found = carry(asked, known[some], chroma, blur=BLUR, reach=REACH, kind="normalised").values
    size = lightness.shape[::-1]
    planes = [
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC))
        for plane in np.moveaxis(found.reshape(*grey.shape, 2), -1, 0)
    ]
    guide = lightness[..., None] / np.float32(100)
    smooth = [filters.displacement(GUIDED, guide, plane[..., None]) for plane in planes]
    return np.concatenate([lightness[..., None], *smooth], -1)


def encoded(picture) -> np.ndarray:
    """A picture in CIELAB, (H, W, 3) float32."""
    rgb = np.asarray(picture, np.float32) / np.float32(255)
    return np.asarray(LAB.encode(jnp.asarray(rgb.reshape(-1, 3)))).reshape(rgb.shape)


def decoded(coordinates: np.ndarray) -> np.ndarray:
    rgb = np.asarray(LAB.decode(jnp.asarray(coordinates.reshape(-1, 3)))).reshape(coordinates.shape)
    return np.rint(255 * np.clip(rgb, 0, 1)).astype(np.uint8)


def colorization() -> Figure:
    """The left half of a photograph lends its colours to the right half, a grey picture."""
    figure, panels = plt.subplots(2, 3, figsize=(13, 6.2))
    for row, picture in zip(panels, (data.chelsea(), data.coffee()), strict=True):
        middle = picture.shape[1] // 2
        left, right = picture[:, :middle], encoded(picture[:, middle:])
        lightness = np.ascontiguousarray(right[..., 0])
        grey = np.dstack([lightness, np.zeros_like(right[..., 1:])])
        result = colorized(left, lightness)
        titles = "given: colours of the left half", "carried to the right half", "as it was"
        for panel, half, title in zip(row, (grey, result, right), titles, strict=True):
            away = float(np.linalg.norm(half - right, axis=2).mean())
            note = f" (chroma off by {away:.1f})" if half is not right else ""
            show(panel, np.hstack([left, decoded(half)]), title + note)
    return figure
