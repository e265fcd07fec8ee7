"""Look-up tables as maps: channel curves, 3-D tables, curves before a table; .cube in and out."""

from dataclasses import replace
from os import PathLike
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.image import cube
from jaxcolor.image.files import aside
from jaxcolor.image.pixels import BLOCK, Pixels, each
from jaxcolor.lattice import corners
from jaxcolor.maps import lookup
from jaxcolor.tree import pytree, static


@pytree
class Lut:
    """A map given by its values on an even grid; clamped to its domain, as every player does.

    Attributes:
        table: (n, n, n, 3), encoded RGB out; axes in the order red, green, blue.
        domain: (2, 3), least and greatest encoded RGB in; zeros and ones unless a file says so.
        interpolation: 'tetrahedral' or 'trilinear' (static).
    """

    table: Array
    domain: Array
    interpolation: str = static(default="tetrahedral")

    def __call__(self, colors: Array) -> Array:
        low, high = self.domain.astype(colors.dtype)
        table = self.table.astype(colors.dtype).reshape(-1, 3)
        result = jnp.zeros_like(colors)
        unit = (colors - low[None]) / (high - low)[None]
        for place, weight in corners(unit, self.size, self.interpolation):
            value = table.at[place].get(mode="promise_in_bounds")
            result = result + weight[:, None] * value
        return result

    @property
    def size(self) -> int:
        return self.table.shape[0]

    def save(self, path: str | PathLike, *, title: str = "jaxcolor") -> None:
        """Write a .cube file, complete or not at all; red varies fastest, values not clamped.

        Raises:
            ValueError: where the table holds NaN or infinity, which no reader takes.
        """
        _save(path, title, self)


@pytree
class Curves:
    """A map of each channel by itself, linear between its knots; clamped to its domain.

    Attributes:
        table: (n, 3), a column for each channel.
        domain: (2, 3), least and greatest encoded RGB in.

    Example:
        >>> unit = jnp.array([[0.0] * 3, [1.0] * 3])
        >>> Curves(jnp.array([[0.0, 0.0, 1.0], [1.0, 0.5, 0.0]]), unit)(jnp.full((1, 3), 0.5))
        Array([[0.5 , 0.25, 0.5 ]], dtype=float32)
    """

    table: Array
    domain: Array

    def __call__(self, colors: Array) -> Array:
        table = self.table.astype(colors.dtype)
        low, high = self.domain.astype(colors.dtype)
        step = (high - low) / (self.size - 1)
        return jax.vmap(lookup)(colors.T, low, step, table.T).T

    @property
    def size(self) -> int:
        return self.table.shape[0]

    def save(self, path: str | PathLike, *, title: str = "jaxcolor") -> None:
        """Write a 1-D .cube file, as `Lut.save` does a 3-D one."""
        _save(path, title, self)


@pytree
class Shaped:
    """Curves, then a 3-D table on what they give: a .cube file that holds both.

    Attributes:
        curves: they act first.
        lut: it acts on their output.
    """

    curves: Curves
    lut: Lut

    def __call__(self, colors: Array) -> Array:
        return self.lut(self.curves(colors))

    @property
    def domain(self) -> Array:
        return self.curves.domain

    @property
    def size(self) -> int:
        return self.lut.size

    def save(self, path: str | PathLike, *, title: str = "jaxcolor") -> None:
        """Write a .cube file of both tables, as DaVinci Resolve does.

        Raises:
            ValueError: as `Lut.save`; for a domain that differs between channels.
        """
        _save(path, title, self.curves, self.lut)


AnyLut = Lut | Curves | Shaped


def _save(path: str | PathLike, title: str, *parts: Lut | Curves) -> None:
    try:
        text = cube.dump(
            [cube.Table(np.asarray(one.table), np.asarray(one.domain)) for one in parts], title
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    with aside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def load(path: str | PathLike) -> AnyLut:
    """Read a .cube file: 3-D, 1-D, or both, in which case the 1-D table acts first.

    Raises:
        ValueError: where it is not one; the message names the line.
        OSError: where it cannot be read.
    """
    data = Path(path).read_bytes()
    if b"\0" in data:
        raise ValueError(f"{path}: not a .cube file (it is not text)")
    try:
        # a title in an old code page is no reason to refuse the numbers
        tables = cube.parse(data.decode("utf-8-sig", "replace"))
    except ValueError as error:
        comma = ", " if str(error).startswith("line") else ": "
        raise ValueError(f"{path}{comma}{error}") from error
    parts = [(jnp.asarray(one.values), jnp.asarray(one.domain)) for one in tables]
    if len(parts) == 2:
        return Shaped(Curves(*parts[0]), Lut(*parts[1]))
    return Lut(*parts[0]) if tables[0].values.ndim == 4 else Curves(*parts[0])


def interpolated(table: AnyLut, interpolation: str) -> AnyLut:
    """The table with another interpolation between the points of its 3-D part, if it has one.

    Example:
        >>> unit = jnp.array([[0.0] * 3, [1.0] * 3])
        >>> interpolated(Lut(jnp.zeros((2, 2, 2, 3)), unit), "trilinear").interpolation
        'trilinear'
    """
    if isinstance(table, Shaped):
        return replace(table, lut=replace(table.lut, interpolation=interpolation))
    return replace(table, interpolation=interpolation) if isinstance(table, Lut) else table


def beyond(table: AnyLut, picture: Pixels) -> int:
    """How many pixels of a picture are outside a table's domain, where it clamps them.

    Example:
        >>> from jaxcolor.image.pixels import view
        >>> unit = jnp.array([[0.0] * 3, [1.0] * 3])
        >>> hdr = np.array([[[0, 0.5, 1], [0, 0, 7]]], np.float32)
        >>> beyond(Lut(jnp.zeros((2, 2, 2, 3)), unit), view(hdr))
        1
    """
    low, high = np.asarray(table.domain, np.float64)

    def count(rows: slice) -> int:
        values = picture.values(rows)
        return int(((values < low) | (values > high)).any(1).sum())

    return sum(each(count, picture.tiles(BLOCK)))
