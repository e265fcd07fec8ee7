"""What a palette's file says: from numbers to JSON, and back."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

HEADER = {"version": 1, "space": "lab", "white": "D65"}
HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")


@dataclass(frozen=True, eq=False)
class Listed:
    """Colours as a file gives them.

    Attributes:
        levels: (k, 3) of red, green and blue, 0..255; NaN where not given.
        points: (k, 3) in CIELAB; NaN where not given.
        weights: (k,), or None where not given.
        spread: (k,), 0 where not given.
    """

    levels: np.ndarray
    points: np.ndarray
    weights: list[float] | None
    spread: list[float]


def dump(codes: list[str], weights: np.ndarray, points: np.ndarray, spread: np.ndarray) -> str:
    """The text of a file, a colour on each line.

    Example:
        >>> one = np.ones(1, np.float32)
        >>> print(dump(["#777777"], one, np.array([[50, 0, 0]], np.float32), one / 10))
        {
          "version": 1,
          "space": "lab",
          "white": "D65",
          "colors": [
            {"hex": "#777777", "weight": 1.0, "lab": [50.0, 0.0, 0.0], "spread": 0.100000001}
          ]
        }
    """
    head = [f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in HEADER.items()]
    rows = []
    for code, weight, point, one in zip(codes, weights, points, spread, strict=True):
        lab = [_digits(x) for x in point]
        row = {"hex": code, "weight": _digits(weight), "lab": lab, "spread": _digits(one)}
        rows.append(f"    {json.dumps(row)}")
    return "\n".join(["{", *head, '  "colors": [', ",\n".join(rows), "  ]", "}"])


def _digits(x: np.float32) -> float:
    # nine digits tell every float32 from its neighbours
    return float(f"{x:.9g}")


def parse(text: str) -> Listed:
    """What `dump` wrote, or what another program or a person did.

    Raises:
        ValueError: where it is no such thing; the message names the colour.

    Example:
        >>> parse('["#ff8000"]').levels
        array([[255., 128.,   0.]])
    """
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a palette: it is no JSON ({error})") from error
    if isinstance(table, list):
        table = {"colors": table}
    listed = table.get("colors") if isinstance(table, dict) else None
    if not isinstance(listed, list) or not listed:
        raise ValueError('not a palette: expected colours in a list, or in one under "colors"')
    for name, value in HEADER.items():
        if table.get(name, value) != value:
            known = json.dumps(value)
            told = _short(table[name], json.dumps)
            raise ValueError(f'"{name}" is {told}; only {known} can be read')
    entries = [one if isinstance(one, dict) else {"hex": one} for one in listed]
    numbered = [(entry, f"colour {number}") for number, entry in enumerate(entries, 1)]
    return Listed(
        np.array([_levels(*one) for one in numbered]),
        np.array([_point(*one) for one in numbered]),
        _weights(table, [_amount(*one, "weight") for one in numbered]),
        [_amount(*one, "spread") or 0.0 for one in numbered],
    )


def _levels(entry: dict, where: str) -> list[float]:
    code = entry.get("hex")
    if code is None and entry.get("lab") is None:
        raise ValueError(f'{where} has neither "hex" nor "lab"')
    if code is None:
        return [np.nan] * 3
    found = HEX.fullmatch(code.strip()) if isinstance(code, str) else None
    if found is None:
        raise ValueError(f"{where}: expected a colour like '#ff8000', got {_short(code)}")
    digits = found[1] if len(found[1]) == 6 else "".join(2 * digit for digit in found[1])
    return [float(level) for level in bytes.fromhex(digits)]


def _point(entry: dict, where: str) -> list[float]:
    point = entry.get("lab")
    if point is None:
        return [np.nan] * 3
    if not isinstance(point, list) or len(point) != 3:
        raise ValueError(f'{where}: "lab" must be [L, a, b], got {_short(point)}')
    return [_number(x, f'{where}: "lab"', 1e9) for x in point]


def _short(value: Any, show: Callable[[Any], str] = lambda value: repr(str(value)[:40])) -> str:
    """What a message shows of a value; one that is nested deeply cannot be shown."""
    try:
        return show(value)[:60]
    except (RecursionError, ValueError):
        return "what cannot be shown"


def _amount(entry: dict, where: str, name: str) -> float | None:
    if entry.get(name) is None:
        return None
    value = _number(entry[name], f'{where}: "{name}"')
    if value < 0:
        raise ValueError(f'{where}: "{name}" must be >= 0, got {value:g}')
    return value


def _number(value: Any, what: str, most: float = 1e30) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < most:
        raise ValueError(f"{what} takes finite numbers, got {_short(value)}")
    return float(value)


def _weights(table: dict, each: list[float | None]) -> list[float] | None:
    listed, given = table.get("weights"), [one for one in each if one is not None]
    if (listed is not None and given) or 0 < len(given) < len(each):
        raise ValueError("give a weight with each colour, or all in one list, or none at all")
    if listed is None:
        return given or None
    if not isinstance(listed, list) or len(listed) != len(each):
        raise ValueError(f'"weights" must be a list, one for each of {len(each)} colours')
    return [_number(one, '"weights"') for one in listed]
