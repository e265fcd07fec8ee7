"""What follows from the figures of `pareto`: means, fronts, hypervolumes, who beats whom."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Point:
    """A setting's means over the pairs of a set (seconds: median), and on how many it failed."""

    name: str
    peer: bool
    sw2: float
    ssim: float
    tv: float
    seconds: float
    failed: int = 0


def means(record: dict, label: str, peers: Collection[str]) -> dict[str, Point]:
    """The points of one set, in the record's order."""
    return {
        name: _point(name, name in peers, stored[label])
        for name, stored in record["settings"].items()
        if label in stored
    }


def _point(name: str, peer: bool, figures: dict) -> Point:
    values = {key: np.array(column, float) for key, column in figures.items()}
    done = np.isfinite(values["sw2"])
    if not done.any():
        return Point(name, peer, *[float("nan")] * 4, failed=len(done))
    sw2, ssim, tv = (float(values[key][done].mean()) for key in ("sw2", "ssim", "tv"))
    timed = values["seconds"][np.isfinite(values["seconds"])]
    seconds = float(np.median(timed)) if len(timed) else float("nan")
    return Point(name, peer, sw2, ssim, tv, seconds, failed=int((~done).sum()))


def dominates(a: Point, b: Point) -> bool:
    """Nearer to the reference, truer to the source, and less noise gained or detail lost."""
    return a.sw2 < b.sw2 and a.ssim > b.ssim and abs(a.tv - 1) < abs(b.tv - 1)


def front(points: Collection[Point]) -> list[Point]:
    """Those that no other betters in SW2 and SSIM, the nearest first."""
    chosen: list[Point] = []
    for point in sorted(points, key=lambda p: (p.sw2, -p.ssim)):
        if not chosen or point.ssim > chosen[-1].ssim:
            chosen.append(point)
    return chosen


def hypervolume(points: Collection[Point], worst: float) -> float:
    """Area of (SW2, 1 - SSIM) that the points dominate, up to (worst, 1).

    Example:
        >>> one = Point("one", False, sw2=0.25, ssim=0.5, tv=1, seconds=0)
        >>> hypervolume([one], 0.75)
        0.25
    """
    area, ceiling = 0.0, 0.0
    for point in front([p for p in points if p.sw2 < worst and p.ssim > 0]):
        area += (worst - point.sw2) * (point.ssim - ceiling)
        ceiling = point.ssim
    return area


def matched(peer: Point, ours: Collection[Point]) -> Point | None:
    """Of ours at least as near and as true as the peer, the truest; None if there is none."""
    able = [p for p in ours if p.sw2 <= peer.sw2 and p.ssim >= peer.ssim]
    return max(able, key=lambda p: p.ssim, default=None)


def wins(record: dict, label: str, peer: str, ours: str) -> list[str]:
    """The pairs on which the peer has both the lower SW2 and the higher SSIM."""
    sides = [record["settings"][name][label] for name in (peer, ours)]
    columns = [side[measure] for side in sides for measure in ("sw2", "ssim")]
    rows = zip(record["pairs"][label], *columns, strict=True)
    return [name for name, a, s, b, t in rows if None not in (a, b) and a < b and s > t]


def table(points: dict[str, Point], untouched: Point) -> str:
    """Markdown, nearest first."""
    lines = [
        "| setting | SW2 | SSIM | TV ratio | CPU seconds |",
        "|---|---|---|---|---|",
    ]
    nearest = sorted(points.values(), key=lambda p: (np.isnan(p.sw2), p.sw2))
    for p in [*nearest, untouched]:
        name = f"**{p.name}**" if not p.peer and p is not untouched else p.name
        note = f" (failed on {p.failed})" if p.failed else ""
        seconds = "" if np.isnan(p.seconds) else f"{p.seconds:.3f}"
        lines.append(f"| {name}{note} | {p.sw2:.4f} | {p.ssim:.3f} | {p.tv:.2f} | {seconds} |")
    return "\n".join(lines)
