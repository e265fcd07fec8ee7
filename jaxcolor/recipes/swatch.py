"""A palette as a picture: columns of hues, light to dark, areas by weight."""

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from jaxcolor.image.output import LUMA
from jaxcolor.recipes.palette import Palette
from jaxcolor.recipes.sheet import PAPER

SIZE = 1200, 800  # pixels of all colours together
GAP = 8  # pixels of paper around the columns of a card
GREY = 8.0  # chroma of CIELAB below which a colour belongs to the greys
APART = np.deg2rad(25)  # between hues of two families
CELL = 2.0  # width of a colour by its height, were all the same
ROOM = 92, 36  # pixels that a name needs


def swatch(palette: Palette) -> np.ndarray:
    """Every colour as a rectangle whose area is its weight, without gaps.

    Columns go from the greys, cool to warm, around the circle of hues, from its emptiest place; in
    each, light is above and dark below.

    Returns:
        (800, 1200, 3) uint8. Weights of zero have no area.

    Example:
        >>> picture = swatch(Palette([[0, 0, 0], [100, 0, 0]], [3, 1]))
        >>> picture.shape, float((picture == 0).mean())
        ((800, 1200, 3), 0.75)
    """
    return _drawn(palette, 0)


def card(palette: Palette) -> np.ndarray:
    """The same on paper, columns apart, with '#rrggbb' on colours that have the room.

    Returns:
        (816, w, 3) uint8.

    Example:
        >>> card(Palette([[50, 0, 0], [50, 60, 0]])).shape
        (816, 1224, 3)
    """
    return _drawn(palette, GAP)


def _drawn(palette: Palette, gap: int) -> np.ndarray:
    columns = _columns(palette)
    width, height = SIZE
    page = Image.new("RGB", (width + gap * (len(columns) + bool(gap)), height + 2 * gap), PAPER)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(16)
    inks, codes = palette.levels, palette.codes
    sides = _edges([palette.weights[column].sum(dtype=float) for column in columns], width)
    for place, column in enumerate(columns, 1):
        left, right = sides[place - 1 : place + 1] + gap * place
        ends = _edges(palette.weights[column], height) + gap
        for index, top, bottom in zip(column, ends, ends[1:], strict=False):
            if right > left and bottom > top:
                pen.rectangle((left, top, right - 1, bottom - 1), tuple(inks[index].tolist()))
            if gap and right - left >= ROOM[0] and bottom - top >= ROOM[1]:
                ink = _readable(inks[index])
                pen.text((left + 10, bottom - 10), codes[index], ink, font, anchor="ls")
    return np.asarray(page)


def _edges(weights: ArrayLike, length: int) -> np.ndarray:
    """Where parts of a length begin and end, in whole pixels."""
    sums = np.cumsum([0.0, *np.asarray(weights, float)])
    return np.rint(length * sums / sums[-1]).astype(int)


def _readable(color: np.ndarray) -> tuple[int, ...]:
    """The ink for a colour: it, most of the way to white or to black."""
    end = 0 if color @ LUMA > 115 else 255
    return tuple(np.rint(0.25 * color + 0.75 * end).astype(int).tolist())


def _columns(palette: Palette) -> list[np.ndarray]:
    """Indices of colours: one array for each column, from light to dark."""
    some = np.flatnonzero(palette.weights)
    _, a, b = palette.points[some].T
    hue, grey = np.arctan2(b, a), np.hypot(a, b) < GREY
    cool_to_warm = np.argsort(b, kind="stable")
    parts = cool_to_warm[grey[cool_to_warm]], *_families(hue, ~grey)
    groups = [some[part] for part in parts if len(part)]
    count = np.sqrt(len(some) * SIZE[0] / SIZE[1] / CELL)
    weights = palette.weights.astype(float)
    columns = []
    for group in groups:
        share = weights[group].sum() / weights.sum()
        columns += _cut(group, weights[group], max(1, round(count * share)))
    return [one[np.argsort(-palette.points[one, 0], kind="stable")] for one in columns]


def _families(hue: np.ndarray, some: np.ndarray) -> list[np.ndarray]:
    """Places of hues around the circle, split where it is empty; the greatest gap comes first."""
    order = np.flatnonzero(some)[np.argsort(hue[some], kind="stable")]
    if not len(order):
        return []
    gaps = np.diff(hue[order], append=hue[order[0]] + 2 * np.pi)
    turn = int(gaps.argmax()) + 1
    order, gaps = np.roll(order, -turn), np.roll(gaps, -turn)
    return np.split(order, np.flatnonzero(gaps[:-1] > APART) + 1)


def _cut(group: np.ndarray, weights: np.ndarray, count: int) -> list[np.ndarray]:
    """Consecutive parts of about equal weight, none empty."""
    middle = (np.cumsum(weights) - weights / 2) / weights.sum()
    place = np.minimum((count * middle).astype(int), count - 1)
    return [group[place == k] for k in np.unique(place)]
