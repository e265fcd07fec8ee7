"""3-D look-up tables: bake any map, apply, read and write .cube."""

from os import PathLike
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from jaxcolor.image import INTERPOLATIONS
from jaxcolor.image.colors import chunks
from jaxcolor.image.files import aside
from jaxcolor.image.pixels import evaluate, view
from jaxcolor.maps import ColorMap
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
        n = self.table.shape[0]
        low, high = self.domain.astype(colors.dtype)
        t = jnp.clip((colors - low[None]) / (high - low)[None], 0, 1) * (n - 1)
        corner = jnp.minimum(t.astype(jnp.int32), n - 2)
        rest = t - corner.astype(t.dtype)
        table = self.table.astype(colors.dtype).reshape(-1, 3)
        strides = jnp.array([n * n, n, 1])
        start = (corner * strides[None]).sum(1)
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation must be one of {INTERPOLATIONS}")
        weigh = _tetrahedral if self.interpolation == "tetrahedral" else _trilinear
        result = jnp.zeros_like(colors)
        for offset, weight in weigh(rest, strides):
            corner_value = table.at[start + offset].get(mode="promise_in_bounds")
            result = result + weight[:, None] * corner_value
        return result

    @property
    def size(self) -> int:
        return self.table.shape[0]

    def save(self, path: str | PathLike, *, title: str = "jaxcolor") -> None:
        """Write a .cube file, complete or not at all; red varies fastest, values not clamped.

        Raises:
            ValueError: where the table holds NaN or infinity, which no reader takes.
        """
        if not np.isfinite(np.asarray(self.table)).all():
            raise ValueError(f"{path}: the table holds NaN or infinite values")
        lines = [
            "# made by jaxcolor; input and output are encoded (gamma) RGB as in the picture, 0..1",
            f'TITLE "{title}"',
            f"LUT_3D_SIZE {self.size}",
        ]
        domain = np.asarray(self.domain)
        if not (np.array_equal(domain[0], [0] * 3) and np.array_equal(domain[1], [1] * 3)):
            lines += [
                f"DOMAIN_{name} " + " ".join(f"{v:.9g}" for v in row)
                for name, row in zip(("MIN", "MAX"), domain, strict=True)
            ]
        # C order of (blue, green, red): the last axis runs fastest
        rows = np.asarray(self.table).transpose(2, 1, 0, 3).reshape(-1, 3)
        lines += [f"{r:.7f} {g:.7f} {b:.7f}" for r, g, b in rows.tolist()]
        with aside(path) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _trilinear(rest: Array, strides: Array) -> list[tuple[Array, Array]]:
    """The eight corners of a cell: offset into the table, weight (n,)."""
    corners = []
    for index in np.ndindex(2, 2, 2):
        weights = [rest[:, c] if up else 1 - rest[:, c] for c, up in enumerate(index)]
        corners.append((jnp.array(index) @ strides, weights[0] * weights[1] * weights[2]))
    return corners


def _tetrahedral(rest: Array, strides: Array) -> list[tuple[Array, Array]]:
    """The four corners on the way from a cell's black to its white, greatest fraction first."""
    order = jnp.argsort(-rest, axis=1)
    falling = jnp.take_along_axis(rest, order, 1)
    steps = jnp.cumsum(strides[order], 1)
    return [
        (jnp.zeros_like(steps[:, 0]), 1 - falling[:, 0]),
        (steps[:, 0], falling[:, 0] - falling[:, 1]),
        (steps[:, 1], falling[:, 1] - falling[:, 2]),
        (steps[:, 2], falling[:, 2]),
    ]


def bake(color_map: ColorMap, size: int = 33) -> Lut:
    """The values of a map on size^3 encoded colours, [0, 1] each way, not clipped.

    Args:
        color_map: a function on encoded RGB (n, 3).
        size: 2..129 per axis; 33 and 65 are what most programs take.

    Raises:
        ValueError: where the size is out of range.

    Example:
        >>> from jaxcolor.maps import Affine
        >>> bake(Affine(jnp.eye(3), jnp.zeros(3)), 5).table.shape
        (5, 5, 5, 3)
    """
    if not 2 <= size <= 129:
        raise ValueError(f"LUT size must be within 2..129, got {size}")
    axis = np.linspace(0, 1, size, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    table = evaluate(color_map, grid).reshape(size, size, size, 3)
    return Lut(jnp.asarray(table), jnp.array([[0.0] * 3, [1.0] * 3], jnp.float32))


def bake_error(lut: Lut, color_map: ColorMap, image: ArrayLike) -> tuple[float, float]:
    """How far a LUT is from its map on the colours of a picture, both clipped to [0, 1].

    Returns:
        PSNR in dB over all pixels and channels, and the greatest difference, full scale = 1.

    Example:
        >>> from jaxcolor.maps import Affine
        >>> half = Affine(0.5 * jnp.eye(3), jnp.zeros(3))
        >>> db, worst = bake_error(bake(half, 2), half, np.zeros((4, 4, 3), np.uint8))
        >>> db > 120, worst < 1e-6
        (True, True)
    """
    total, squares, worst = 0.0, 0.0, 0.0
    for values, mass in chunks(view(image)):
        exact, baked = (np.clip(evaluate(f, values), 0, 1) for f in (color_map, lut))
        gap = np.abs(exact.astype(np.float64) - baked)
        total += mass.sum()
        squares += mass @ (gap**2).mean(1)
        worst = max(worst, float(gap.max()))
    mean = squares / total if total else 0.0
    return (float(-10 * np.log10(mean)) if mean > 0 else float("inf")), worst


def load(path: str | PathLike) -> Lut:
    """Read a 3-D .cube file.

    Raises:
        ValueError: where it is not one; the message names the line.
        OSError: where it cannot be read.
    """
    name = Path(path)
    try:
        text = name.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a .cube file (it is not text)") from error
    size, domain, rows = 0, [[0.0] * 3, [1.0] * 3], []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words or words[0] == "TITLE":
            continue
        try:
            if words[0] == "LUT_3D_SIZE":
                size = int(words[1])
            elif words[0] in ("DOMAIN_MIN", "DOMAIN_MAX"):
                domain[words[0] == "DOMAIN_MAX"] = _three(words[1:])
            elif words[0] == "LUT_3D_INPUT_RANGE":
                low, high = float(words[1]), float(words[2])
                domain = [[low] * 3, [high] * 3]
            elif words[0].startswith("LUT_1D"):
                raise ValueError("1-D tables are not read, only LUT_3D_SIZE")
            elif words[0][0].isalpha() and words[0].lower() not in ("nan", "inf"):
                continue  # a keyword that some program added
            else:
                rows.append(_three(words))
        except (ValueError, IndexError) as error:
            raise ValueError(f"{path}, line {number}: {error}: {line.strip()[:60]!r}") from error
    if not 2 <= size <= 256 or len(rows) != size**3:
        raise ValueError(
            f"{path}: not a 3-D .cube file (LUT_3D_SIZE {size or 'missing'}, {len(rows)} rows)"
        )
    limits = np.array(domain, np.float32)
    if not (limits[1] > limits[0]).all():
        raise ValueError(f"{path}: DOMAIN_MAX must exceed DOMAIN_MIN, got {domain}")
    table = np.array(rows, np.float32).reshape(size, size, size, 3).transpose(2, 1, 0, 3)
    return Lut(jnp.asarray(np.ascontiguousarray(table)), jnp.asarray(limits))


def _three(words: list[str]) -> list[float]:
    numbers = [float(word) for word in words]
    if len(numbers) != 3 or not np.isfinite(numbers).all():
        raise ValueError("expected three finite numbers")
    return numbers
