"""A contact sheet: pictures in a grid, with a caption under each."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxcolor.image.metrics import as_rgb

CELL, GAP, INK, PAPER = 480, 16, (32, 32, 32), (250, 250, 250)


@dataclass(frozen=True)
class Cell:
    """One picture of a sheet: its pixels, a title, and a line of figures."""

    pixels: np.ndarray
    title: str
    note: str = ""


def sheet(cells: list[Cell], columns: int = 3) -> np.ndarray:
    """Lay pictures out on a light page, (H, W, 3) uint8.

    Each is scaled to fit a square of 480 pixels; captions say what it is.

    Example:
        >>> sheet([Cell(np.zeros((10, 20, 3), np.uint8), "black")]).shape
        (316, 512, 3)
    """
    title_font, note_font = ImageFont.load_default(20), ImageFont.load_default(16)
    pictures = [Image.fromarray(thumbnail(cell.pixels)) for cell in cells]
    columns = min(columns, len(cells))
    rows = math.ceil(len(cells) / columns)
    tallest = [
        max(p.height for p in pictures[r * columns : (r + 1) * columns]) for r in range(rows)
    ]
    caption = 60
    page = Image.new(
        "RGB",
        (GAP + columns * (CELL + GAP), GAP + sum(tallest) + rows * (caption)),
        PAPER,
    )
    draw = ImageDraw.Draw(page)
    top = GAP
    for r in range(rows):
        for c, (cell, picture) in enumerate(
            zip(cells[r * columns :], pictures[r * columns :][:columns], strict=False)
        ):
            left = GAP + c * (CELL + GAP)
            page.paste(picture, (left + (CELL - picture.width) // 2, top))
            below = top + tallest[r] + 4
            draw.text((left, below), cell.title, INK, title_font)
            draw.text((left, below + 26), cell.note, INK, note_font)
        top += tallest[r] + caption
    return np.asarray(page)


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """A picture as a sheet shows it, (h, w, 3) uint8: all that need be kept of it.

    Example:
        >>> thumbnail(thumbnail(np.zeros((3000, 2000), np.uint8))).shape
        (480, 320, 3)
    """
    picture = picked(pixels, CELL)
    scale = CELL / max(picture.size)
    width, height = (max(1, round(n * scale)) for n in picture.size)
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))


def picked(pixels: np.ndarray, side: int) -> Image.Image:
    """Every few pixels of a picture that is soon to be reduced to a side: bounded memory.

    Example:
        >>> picked(np.zeros((3000, 2000), np.uint8), 100).size
        (286, 429)
    """
    step = max(1, max(pixels.shape[:2]) // (4 * side))
    return Image.fromarray(np.rint(as_rgb(pixels[::step, ::step]) * 255).astype(np.uint8))
