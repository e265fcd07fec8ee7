"""What the figures share: colours, photographs that come with scikit-image, picture panels."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from PIL import Image
from skimage import data

matplotlib.use("Agg")
style.use(Path(__file__).with_name("figures.mplstyle"))

BLUE, RED, GREY = "#2f6db3", "#d9552b", "#8a8f98"
BETWEEN = LinearSegmentedColormap.from_list("between", [BLUE, RED])
INKS = np.array([[47, 109, 179], [217, 85, 43], [63, 155, 110], [138, 79, 158]]) / 255


def show(panel: Axes, picture: np.ndarray, title: str = "") -> None:
    panel.imshow(picture)
    panel.set_title(title)
    panel.axis("off")


def bare(panel: Axes, title: str = "") -> None:
    """Points and segments to scale, no axes."""
    panel.set_aspect("equal")
    panel.axis("off")
    panel.set_title(title)


def segments(panel: Axes, x, y, widths: float | np.ndarray) -> None:
    """A line from each x (n, 2) to its y (n, 2)."""
    pairs = np.stack([x, y], 1)
    panel.add_collection(LineCollection(list(pairs), colors=GREY, linewidths=widths, zorder=0))


def cropped(picture: np.ndarray, width: int = 600, height: int = 400) -> np.ndarray:
    """The middle of a picture, scaled to this size."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    size = round(scale * picture.shape[1]), round(scale * picture.shape[0])
    large = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[top : top + height, left : left + width]


def photographs(width: int = 600, height: int = 400) -> dict[str, np.ndarray]:
    """Five photographs of one size."""
    raw = {
        "astronaut": data.astronaut()[:360],
        "cat": data.chelsea(),
        "coffee": data.coffee(),
        "motorcycle": data.stereo_motorcycle()[0],
        "rocket": data.rocket(),
    }
    return {name: cropped(picture, width, height) for name, picture in raw.items()}
