"""The text of .cube files: a 1-D table, a 3-D one, or both, in which case the 1-D acts first.

The keywords are Adobe's and DaVinci Resolve's.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

LONGEST = 1 << 16  # entries of a 1-D table, as the specification has it
LARGEST = 256  # points along each axis of a 3-D one
UNIT = np.array([[0.0] * 3, [1.0] * 3], np.float32)


@dataclass(frozen=True, eq=False)
class Table:
    """Values on an even grid.

    Attributes:
        values: (n, 3) for three curves, (n, n, n, 3) for a 3-D table, axes red, green, blue.
        domain: (2, 3), least and greatest input.
    """

    values: np.ndarray
    domain: np.ndarray


def dump(tables: list[Table], title: str) -> str:
    """The text of a file of one table, or of curves and what follows them.

    Red varies fastest; values are not clamped.

    Raises:
        ValueError: where a table holds NaN or infinity, which no reader takes; where two have a
            range that differs between channels, for which there is no keyword.

    Example:
        >>> print(dump([Table(np.array([[0, 0, 0], [1, 1, 0.5]]), UNIT)], "half blue"))
        # made by jaxcolor; input and output are encoded (gamma) RGB as in the picture, 0..1
        TITLE "half blue"
        LUT_1D_SIZE 2
        0.0000000 0.0000000 0.0000000
        1.0000000 1.0000000 0.5000000
        <BLANKLINE>
    """
    if not all(np.isfinite(table.values).all() for table in tables):
        raise ValueError("the table holds NaN or infinite values")
    limits = _limits(tables[0]) if len(tables) == 1 else [_range(table) for table in tables]
    sizes = [f"LUT_{_kind(one)}_SIZE {len(one.values)}" for one in tables]
    lines = [_comment(tables), f'TITLE "{_quotable(title)}"', *sizes, *limits]
    for table in tables:
        # C order of (blue, green, red): the last axis runs fastest
        turned = table.values.transpose(2, 1, 0, 3) if table.values.ndim == 4 else table.values
        lines += [f"{r:.7f} {g:.7f} {b:.7f}" for r, g, b in turned.reshape(-1, 3).tolist()]
    return "\n".join(lines) + "\n"


def _kind(table: Table) -> str:
    return "3D" if table.values.ndim == 4 else "1D"


def _comment(tables: list[Table]) -> str:
    """What the numbers mean, for whoever opens the file."""
    words = "# made by jaxcolor; input and output are encoded (gamma) RGB as in the picture"
    words += ", 0..1" if np.array_equal(tables[0].domain, UNIT) else ", input in the range below"
    return words + ("; the 1-D table acts first, the 3-D one on its output" * (len(tables) > 1))


def _quotable(title: str) -> str:
    """A title, often a file's name, that cannot end its line or its quotes."""
    plain = "".join(c if c.isprintable() else " " for c in title.replace('"', "'"))
    return plain.encode("utf-8", "replace").decode("utf-8")  # a name may hold half a character


def _limits(table: Table) -> list[str]:
    if np.array_equal(table.domain, UNIT):
        return []
    rows = zip(("MIN", "MAX"), table.domain, strict=True)
    return [f"DOMAIN_{name} " + " ".join(f"{v:.9g}" for v in row) for name, row in rows]


def _range(table: Table) -> str:
    low, high = table.domain[:, 0]
    if not (table.domain == table.domain[:, :1]).all():
        raise ValueError("a file of two tables has one range for all channels")
    return f"LUT_{_kind(table)}_INPUT_RANGE {low:.9g} {high:.9g}"


def parse(text: str) -> list[Table]:
    """The tables of a file, in the order in which they act.

    Comments and keywords that other programs added are skipped. DOMAIN_MIN and DOMAIN_MAX are of
    the file's input, that is of the first table.

    Raises:
        ValueError: where it is no such file; the message names the line.

    Example:
        >>> [curves] = parse("LUT_1D_SIZE 2 # a comment\\nMAKER x\\n0 0 0\\n1 1 .5")
        >>> curves.values[1]
        array([1. , 1. , 0.5], dtype=float32)
    """
    header: dict[str, Any] = {}
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words or words[0] == "TITLE":
            continue
        try:
            if words[0] in _KEYWORDS:
                header[words[0]] = _KEYWORDS[words[0]](words[1:])
            elif not words[0][0].isalpha() or words[0].lower() in ("nan", "inf", "infinity"):
                rows.append(_three(words))
            # else a keyword that some program added
        except (ValueError, IndexError) as error:
            raise ValueError(f"line {number}: {error}: {line.strip()[:60]!r}") from error
    return _tables(header, rows)


def _tables(header: dict[str, Any], rows: list[list[float]]) -> list[Table]:
    sizes = {kind: header.get(f"LUT_{kind}_SIZE", 0) for kind in ("1D", "3D")}
    if not any(sizes.values()) or len(rows) != sizes["1D"] + sizes["3D"] ** 3:
        told = ", ".join(f"LUT_{kind}_SIZE {size}" for kind, size in sizes.items() if size)
        kind = "1-D" if sizes["1D"] and not sizes["3D"] else "3-D"
        raise ValueError(
            f"not a {kind} .cube file ({told or 'LUT_3D_SIZE missing'}, {len(rows)} rows)"
        )
    values, tables = _stored(rows), []
    for kind, size in sizes.items():
        if not size:
            continue
        low, high = header.get(f"LUT_{kind}_INPUT_RANGE", UNIT.tolist())
        if not tables:
            low, high = header.get("DOMAIN_MIN", low), header.get("DOMAIN_MAX", high)
        domain = _stored([low, high])
        if not (domain[0] < domain[1]).all():
            raise ValueError(f"DOMAIN_MAX must exceed DOMAIN_MIN, got {[low, high]}")
        own, values = np.split(values, [size**3 if kind == "3D" else size])
        if kind == "3D":
            own = np.ascontiguousarray(own.reshape(size, size, size, 3).transpose(2, 1, 0, 3))
        tables.append(Table(own, domain))
    return tables


def _stored(rows: list[list[float]]) -> np.ndarray:
    """Numbers as float32, whose greatest is 3.4e38."""
    values = np.array(rows)
    if np.abs(values).max() > np.finfo(np.float32).max:
        raise ValueError(f"its greatest number, {np.abs(values).max():g}, is out of reach")
    return values.astype(np.float32)


def _finite(count: int, told: str) -> Callable[[list[str]], list[float]]:
    def read(words: list[str]) -> list[float]:
        numbers = [float(word) for word in words]
        if len(numbers) != count or not all(map(math.isfinite, numbers)):
            raise ValueError(f"expected {told} finite numbers")
        return numbers

    return read


_two, _three = _finite(2, "two"), _finite(3, "three")


def _size(most: int) -> Callable[[list[str]], int]:
    def read(words: list[str]) -> int:
        size = int(words[0])
        if not 2 <= size <= most:
            raise ValueError(f"expected a size within 2..{most}")
        return size

    return read


def _input_range(words: list[str]) -> list[list[float]]:
    return [[end] * 3 for end in _two(words)]


_KEYWORDS: dict[str, Callable[[list[str]], Any]] = {
    "LUT_1D_SIZE": _size(LONGEST),
    "LUT_3D_SIZE": _size(LARGEST),
    "LUT_1D_INPUT_RANGE": _input_range,
    "LUT_3D_INPUT_RANGE": _input_range,
    "DOMAIN_MIN": _three,
    "DOMAIN_MAX": _three,
}
