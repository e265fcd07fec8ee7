"""Figures for people: what each says, which way is better, how it is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

UNTOUCHED = "untouched"  # stands for a method where a result is the source itself
# the sign that stands in a heading, and the same in words
DIRECTIONS = {
    "low": ("\N{DOWNWARDS ARROW}", "lower is better"),
    "high": ("\N{UPWARDS ARROW}", "higher is better"),
    "zero": ("\N{RIGHTWARDS ARROW}0", "0 is best"),
    "one": ("\N{RIGHTWARDS ARROW}1", "1 is best"),
    "": ("", "neither good nor bad"),
}


@dataclass(frozen=True)
class Figure:
    """What a column of figures says.

    Attributes:
        heading: its short name.
        says: what it measures.
        better: a key of `DIRECTIONS`.
        digits: after the point.
    """

    heading: str
    says: str = ""
    better: str = ""
    digits: int = 4

    def rank(self, value) -> float | None:
        """How far from the best, for sorting; None where there is no number.

        Example:
            >>> FIGURES["tv"].rank(0.75), FIGURES["ssim"].rank(0.75), FIGURES["ssim"].rank(None)
            (0.25, -0.75, None)
        """
        if not isinstance(value, int | float):
            return None
        ranks = {"high": -value, "zero": abs(value), "one": abs(value - 1)}
        return ranks.get(self.better, value)

    def show(self, value) -> str:
        """A figure as text.

        Example:
            >>> FIGURES["sw2"].show(0.1), FIGURES["blockiness"].show(-1e-9)
            ('0.1000', '0.0000')
        """
        if isinstance(value, int | float):
            return f"{value:z.{self.digits}f}"
        return "\N{EN DASH}" if value is None else str(value)


FIGURES = {
    "sw2": Figure("SW2", "sliced Wasserstein distance of the colours to the reference's", "low"),
    "w2": Figure(
        "W2",
        "Wasserstein distance of 1,000 pixels to 1,000 of the reference; the draw alone gives .05",
        "low",
    ),
    "bures": Figure("Bures", "distance of mean and covariance to the reference's", "low"),
    "ssim": Figure("SSIM", "how much of the source's structure of lightness is kept", "high", 3),
    "gradient": Figure("gradient", "correlation of edges with those of the source", "high", 3),
    "tv": Figure("TV", "total variation, as a multiple of the source's", "one", 3),
    "noise": Figure("noise", "grain where the source is flat, as a multiple of its own", "one", 3),
    "banding": Figure("banding", "share of smooth gradients that became steps", "zero"),
    "blockiness": Figure("blockiness", "what the edges of JPEG blocks gained in height", "zero"),
    "clipped": Figure("clipped", "share of pixels newly at an end of the scale", "low"),
    "delta_e": Figure(
        "\N{GREEK CAPITAL LETTER DELTA}E",
        "how far colours went (mean CIEDE2000 to the source)",
        "",
        2,
    ),
    "seconds": Figure("seconds", "time of a run, once compiled", "low", 3),
}


def figure(name: str) -> Figure:
    """Of that name; one that is not known here is its name and its figures."""
    return FIGURES.get(name, Figure(name))


def ranks(row: dict) -> dict:
    """`Figure.rank` of each.

    Example:
        >>> ranks({"method": "exact", "ssim": 0.75})
        {'method': None, 'ssim': -0.75}
    """
    return {name: figure(name).rank(value) for name, value in row.items()}


def means(rows: Sequence[dict], groups: Sequence[str]) -> list[dict]:
    """One row for each group: its mean numbers, over the rows that have one; else its first value.

    Example:
        >>> means([{"method": "exact", "sw2": 0.1}, {"method": "exact", "sw2": 0.3}], ["a", "a"])
        [{'method': 'exact', 'sw2': 0.2}]
    """
    found = []
    for group in dict.fromkeys(groups):
        own = [row for row, name in zip(rows, groups, strict=True) if name == group]
        mean = {}
        for name in dict.fromkeys(name for row in own for name in row):
            values = [row[name] for row in own if row.get(name) is not None]
            numbers = [value for value in values if isinstance(value, int | float)]
            mean[name] = round(fmean(numbers), 6) if numbers else next(iter(values), None)
        found.append(mean)
    return found
