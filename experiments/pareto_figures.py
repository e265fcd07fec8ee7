"""The pictures of `pareto`: all settings as points, and some of their results side by side."""

from collections import defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, ScalarFormatter
from matplotlib.transforms import Bbox
from pareto_analysis import Point, front, means
from peers import PEERS
from photographs import Pair

from jaxcolor.recipes.sheet import Cell, sheet

OURS, OTHERS, INK = "#2f6db3", "#d9552b", "#333333"
FLOOR = 0.55
HALO = [patheffects.withStroke(linewidth=2, foreground="white")]
OFFSETS = [(x, y, side) for d in (5, 12, 22, 34) for x, y, side in
           ((d, 0, "left"), (-d, 0, "right"), (d, d, "left"), (-d, -d, "right"),
            (d, -d, "left"), (-d, d, "right"), (0, d, "center"), (0, -d, "center"))]  # fmt: skip


def plot(record: dict, path: str | Path) -> None:
    """A panel per set: SW2 against SSIM, fronts as steps, strengths of one look joined."""
    style = Path(__file__).with_name("figures.mplstyle")
    with plt.style.context(style):
        labels = list(record["pairs"])
        figure, axes = plt.subplots(len(labels), figsize=(11, 7.5 * len(labels)), squeeze=False)
        named: list[list[Point]] = []
        for ax, label in zip(axes[:, 0], labels, strict=True):
            points = means(record, label, PEERS)
            untouched = points.pop("untouched")
            whole = [p for p in points.values() if not p.failed]
            shown = [p for p in whole if p.sw2 < untouched.sw2 and p.ssim > FLOOR]
            named.append(_panel(ax, shown, untouched))
            ax.set_title(f"{label}: {len(record['pairs'][label])} pairs")
            left = ", ".join(p.name for p in whole if p not in shown)
            ax.text(0.01, 0.01, f"out of view: {left}", transform=ax.transAxes, size=7, wrap=True)
        figure.draw_without_rendering()  # only now a name's place on the page is known
        for ax, some in zip(axes[:, 0], named, strict=True):
            _label(ax, some)
        figure.savefig(path)
        plt.close(figure)


def _panel(ax: Axes, points: list[Point], untouched: Point) -> list[Point]:
    """Points, fronts and strengths; what is to be named, most wanted first."""
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.set_xticks([0.005, 0.01, 0.02, 0.05, 0.1, 0.2], minor=False)
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(lw=0.5)
    ax.set_axisbelow(True)
    ax.set(xlabel="SW2 to the reference (left is nearer)",
           ylabel="SSIM to the source (up is truer)")  # fmt: skip
    named: list[Point] = []
    for side, color in ((False, OURS), (True, OTHERS)):
        some = [p for p in points if p.peer == side]
        for members in _families(some).values():
            if len(members) > 1:
                ax.plot([p.sw2 for p in members], [p.ssim for p in members],
                        color=color, lw=0.8, alpha=0.5)  # fmt: skip
        ax.scatter([p.sw2 for p in some], [p.ssim for p in some],
                   s=[_size(p.tv) for p in some], color=color, alpha=0.6, lw=0)  # fmt: skip
        best = front(some)
        ax.step([p.sw2 for p in best], [p.ssim for p in best], where="post", color=color, alpha=0.5)
        named += [*best, *some]
    ax.plot(untouched.sw2, 1, marker="x", color=INK, ls="none")
    ax.annotate("untouched", (untouched.sw2, 1), (6, -3), textcoords="offset points", size=8)
    handles = [
        Line2D([], [], marker="o", ls="none", color=color, label=text, ms=6)
        for color, text in ((OURS, "jaxcolor"), (OTHERS, "other tools"))
    ] + [
        Line2D([], [], marker="o", ls="none", color="#999999", ms=_size(tv) ** 0.5,
               label=f"TV ratio {tv:g}") for tv in (1, 1.25, 1.5)
    ]  # fmt: skip
    ax.legend(handles=handles, loc="upper left")
    return named


def _size(tv: float) -> float:
    """Area of a marker: small is neutral."""
    return 12 + 160 * min(abs(tv - 1), 1)


def _families(points: list[Point]) -> dict[str, list[Point]]:
    """Settings that differ by a last number, in its order."""
    families = defaultdict(list)
    for point in points:
        stem, _, last = point.name.rpartition(" ")
        families[stem if last.replace(".", "").isdigit() else point.name].append(point)
    return families


def _label(ax: Axes, named: list[Point]) -> None:
    """Names beside their points; what finds no free place goes without."""
    points = list(dict.fromkeys(named))
    taken = [Bbox.from_bounds(x - 3, y - 3, 6, 6)
             for x, y in ax.transData.transform([(p.sw2, p.ssim) for p in points])]  # fmt: skip
    inside = ax.get_window_extent()
    ends = {m[k].name for m in _families(points).values() for k in (0, len(m) // 2, -1)}
    for point in points:
        if point.name not in ends:
            continue
        for x, y, side in OFFSETS:
            text = ax.annotate(
                point.name, (point.sw2, point.ssim), (x, y), textcoords="offset points", size=7.5,
                ha=side, va="center", color=OTHERS if point.peer else OURS, path_effects=HALO,
                arrowprops={"arrowstyle": "-", "lw": 0.4, "color": "#999999", "shrinkA": 0,
                            "shrinkB": 2} if max(abs(x), abs(y)) > 5 else None,
            )  # fmt: skip
            box = text.get_window_extent()
            free = not any(box.overlaps(other) for other in taken)
            if free and inside.x0 < box.x0 and box.x1 < inside.x1 and inside.y0 < box.y0:
                taken.append(box)
                break
            text.remove()


def contact_sheet(pairs: list[Pair], columns: dict[str, list[np.ndarray | None]]) -> np.ndarray:
    """A pair a row: source, reference, then what each setting made of it, with its figures."""
    cells = []
    for k, pair in enumerate(pairs):
        source, _, reference = pair.name.partition(" -> ")
        cells += [Cell(pair.source, source), Cell(pair.reference, reference)]
        for name, results in columns.items():
            result = results[k]
            if result is None:
                result, note = np.full_like(pair.source, 255), "failed"
            else:
                score = pair.score(result)
                note = f"SW2 {score.sw2:.3f}  SSIM {score.ssim:.2f}  TV {score.tv:.2f}"
            cells.append(Cell(result, name, note))
    return sheet(cells, columns=2 + len(columns))
