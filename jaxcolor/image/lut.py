"""3-D look-up tables: apply, read and write .cube."""

from os import PathLike
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.image.files import aside
from jaxcolor.lattice import corners
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
