"""Palettes: weighted colours that stand for a picture, made of one or written by hand."""

from functools import cached_property
from os import PathLike
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor.image import colors, files
from jaxcolor.image.pixels import Pixels, evaluate, view
from jaxcolor.image.spaces import Lab
from jaxcolor.measure import Measure, point_cloud
from jaxcolor.recipes import PALETTE
from jaxcolor.recipes.palette_json import dump, parse
from jaxcolor.transport.quantize import assign, quantize

LAB = Lab()
CLOUD = colors.SAMPLE  # points that a palette with spread has for a fit


class Palette:
    """Weighted colours: a reference like a picture, sum_i weights_i delta(points_i).

    Args:
        points: (k, 3) CIELAB of white D65, L in 0..100; may be out of gamut.
        weights: (k,) >= 0, of any total; equal by default. A colour of weight 0 changes nothing.
        spread: (k,) >= 0, root mean square distance in CIELAB of what each stands for; 0 by
            default. A fit sees a cloud of it: a smooth sky would take steps between bare points.

    All are float32, in the order given.

    Raises:
        ValueError: other shapes, NaN or infinity, negative numbers, no positive weight.

    Example:
        >>> two = Palette([[0, 0, 0], [100, 0, 0]], [3, 1])
        >>> len(two), two.codes
        (2, ['#000000', '#ffffff'])
    """

    def __init__(
        self,
        points: ArrayLike,
        weights: ArrayLike | None = None,
        spread: ArrayLike | None = None,
    ):
        given = weights if weights is None else np.asarray(weights, np.float32)
        mu = point_cloud(np.asarray(points, np.float32), given)
        if mu.points.shape[1] != 3:
            raise ValueError(f"points must be (k, 3), got shape {mu.points.shape}")
        self.points, self.weights = np.asarray(mu.points), np.asarray(mu.weights)
        self.spread = np.zeros_like(self.weights) if spread is None else np.array(spread, "f4")
        if (
            self.spread.shape != self.weights.shape
            or not ((self.spread >= 0) & np.isfinite(self.spread)).all()
        ):
            raise ValueError(f"spread must be {len(self)} finite numbers >= 0")

    def __len__(self) -> int:
        return len(self.points)

    @property
    def measure(self) -> Measure:
        """The bare points, as solvers take them; distances are those of CIELAB."""
        return Measure(jnp.asarray(self.points), jnp.asarray(self.weights))

    @cached_property
    def rgb(self) -> np.ndarray:
        """(k, 3) encoded sRGB, unclipped, full scale = 1."""
        return evaluate(_decode, self.points)

    @property
    def levels(self) -> np.ndarray:
        """(k, 3) the same as uint8, clipped."""
        return np.rint(255 * np.clip(self.rgb, 0, 1)).astype(np.uint8)

    @property
    def codes(self) -> list[str]:
        """The same as '#rrggbb'."""
        return [f"#{bytes(one.tolist()).hex()}" for one in self.levels]

    @cached_property
    def pixels(self) -> Pixels:
        """A picture with a row for each colour: a Gaussian cloud of its spread, in gamut.

        The mask is the weights.
        """
        points = self.points[:, None]
        if self.spread.any():
            points = points + self.spread[:, None, None] * _cloud(max(CLOUD // len(self), 8))
        rgb = evaluate(_decode, points.reshape(-1, 3)).reshape(points.shape)
        own = self.rgb[:, None]
        rgb = np.clip(rgb, np.minimum(own, 0), np.maximum(own, 1))
        weights = np.broadcast_to((self.weights / self.weights.max())[:, None], rgb.shape[:2])
        return view(rgb, weights, "palette")


def _cloud(count: int) -> np.ndarray:
    """(count or one less, 3) float32 of mean zero and covariance I / 3, always the same."""
    half = np.random.default_rng(0).normal(size=(count // 2, 3))
    half = half @ np.linalg.inv(np.linalg.cholesky(3 * half.T @ half / len(half))).T
    return np.concatenate([half, -half]).astype(np.float32)


def extract(
    picture: ArrayLike | Pixels,
    k: int = PALETTE,
    *,
    mask: ArrayLike | None = None,
    key: Array | None = None,
) -> Palette:
    """The colours that stand for a picture: weighted k-means in CIELAB, heaviest first.

    Each is the mean of those it stands for, weighs as they do together and knows their spread; the
    weights sum to 1. Up to 32,768 colours of the picture are looked at.

    Args:
        picture: as for `fit`, read as sRGB; alpha counts.
        k: number of colours; fewer come back where the picture has no more.
        mask: (H, W), 0..full scale: what counts.
        key: of the first means; `jax.random.key(0)` by default.

    Raises:
        ValueError: k below one, wrong shapes, nothing that counts.

    Example:
        >>> picture = np.zeros((4, 4, 3), np.uint8)
        >>> picture[0] = 255, 0, 0
        >>> found = extract(picture, 8)
        >>> found.codes, found.weights.tolist()
        (['#000000', '#ff0000'], [0.75, 0.25])

    Reference:
        As `transport.quantize.quantize`.
    """
    mu = colors.sample(view(picture, mask))
    points = jnp.asarray(_encoded(np.asarray(mu.points, np.float32)))
    key = jax.random.key(0) if key is None else key
    masses = mu.weights.astype(jnp.float32)
    found = quantize(Measure(points, masses), k, key)
    centres, weights = np.asarray(found.points), np.asarray(found.weights)
    nearest = np.asarray(assign(points, found.points))
    squared = np.square(np.asarray(points) - centres[nearest]).sum(1) * np.asarray(masses)
    spread = np.sqrt(np.bincount(nearest, squared, k) / np.where(weights > 0, weights, 1))
    order = np.argsort(-weights, kind="stable")[: np.count_nonzero(weights)]
    return Palette(centres[order], weights[order], spread[order])


def from_rgb(
    rgb: np.ndarray, weights: ArrayLike | None = None, spread: ArrayLike | None = None
) -> Palette:
    """A palette of encoded sRGB (k, 3), full scale = 1.

    Example:
        >>> from_rgb(np.array([[1.0, 0.5, 0.0]])).codes
        ['#ff8000']
    """
    return Palette(_encoded(np.asarray(rgb, np.float32)), weights, spread)


def _encoded(rgb: np.ndarray) -> np.ndarray:
    return evaluate(colors.Encode(LAB), rgb)


def _decode(colors: Array) -> Array:
    return LAB.decode(colors)


def write(path: str | PathLike, palette: Palette) -> None:
    """Write a palette as JSON, complete or not at all; `read` gives it back in every bit.

    {"version": 1, "space": "lab", "white": "D65", "colors": [one, ...]}, where each is
    {"hex": "#rrggbb", "weight": w, "lab": [L, a, b], "spread": s}: "hex" for people, sRGB, clipped.

    Raises:
        OSError: where the disk says no.
    """
    text = dump(palette.codes, palette.weights, palette.points, palette.spread)
    with files.aside(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read(path: str | PathLike) -> Palette:
    """Read a palette that `write` made, or one made by hand.

    Enough is a list of colours, ["#264653", "e9c46a", ...], or an object with it under "colors".
    Each may be an object as well, with "hex", "lab" or both, a "weight" and a "spread"; or
    "weights" may be a list beside "colors". Without weights all count the same. What else there
    is, is left alone.

    Raises:
        ValueError: where the file is no such thing; the message names the colour.
        OSError: where it cannot be read.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "two.json"
        >>> _ = path.write_text('{"colors": ["#000", "#ff8000"], "weights": [3, 1]}')
        >>> read(path).codes
        ['#000000', '#ff8000']
    """
    try:
        listed = parse(Path(path).read_text(encoding="utf-8-sig"))
        points = _points(listed.levels, listed.points)
        return Palette(points, listed.weights, listed.spread)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a palette: it is no text") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _points(levels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """CIELAB (k, 3), where not given that of the levels.

    Raises:
        ValueError: where both are given and differ.
    """
    named, exact = (~np.isnan(part[:, 0]) for part in (levels, points))
    seen = np.where(named[:, None], levels, 0).astype(np.float32) / 255
    found = np.where(exact[:, None], points, _encoded(seen)).astype(np.float32)
    shown = np.rint(255 * np.clip(evaluate(_decode, found), 0, 1))
    # a level for another program's rounding
    wrong = named & exact & (np.abs(shown - levels).max(1) > 1)
    if wrong.any():
        number = int(wrong.argmax()) + 1
        raise ValueError(
            f'colour {number}: its "hex" and its "lab" are two colours; leave one of them out'
        )
    return found
