"""Every setting of jaxcolor and of other tools on many pairs: near in colour, true in structure.

    python experiments/pareto.py [--json FILE] [--environments DIR] [--only WORD] [--again WORD]
        [--plot FILE.png] [--sheet FILE.png]

Per setting, on the sets of `photographs` (42 public pairs, 44 of $JAXCOLOR_DATA): SW2 to the
reference (0 is its colours), SSIM to the source (1 is its structure), total variation relative to
the source (1 adds no noise and takes no detail), processor seconds of a warm call, all threads;
means over the pairs, of seconds the median. The figures of every pair are kept in the JSON file,
and only what is missing there is measured. Other tools: `peers`; those that need environments of
their own are looked for in DIR. Needs the `bench` extra.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import harness
import numpy as np
from pareto_analysis import (
    Point,
    dominates,
    front,
    hypervolume,
    matched,
    means,
    table,
    wins,
)
from pareto_figures import contact_sheet, plot
from peers import PEERS, AbsentError, results
from photographs import Pair, pair_sets

import jaxcolor
from jaxcolor.image import files
from jaxcolor.recipes import METHODS, SPACES
from jaxcolor.recipes.finish import Change
from jaxcolor.recipes.look import as_look
from jaxcolor.recipes.styles import style
from jaxcolor.recipes.transfer import change

RECORD = Path(__file__).parent / "results" / "pareto.json"
PACKAGES = ("jax", "jaxlib", "numpy", "scikit-image", "color-matcher", "python-color-transfer",
            "colortrans", "POT")  # fmt: skip
LOOKS: dict[str, dict] = {look: {"look": look} for look in ("natural", "faithful", "gentle")}
FINE = (0.22, *(round(0.05 * k, 2) for k in range(4, 21)))
STRENGTHS = {"natural": FINE, "faithful": (0.9, 0.95, 1.0), "gentle": (0.5, 0.75, 1.0)}
DEFAULT = "natural 1"
SHOWN = ("natural 1", "faithful 1", "gentle 1", "color-matcher hm-mkl-hm",
         "python-color-transfer pdf_transfer regrain", "colorcast lab 1")  # fmt: skip
ROWS = ("coffee -> rocket", "rocket -> coffee", "astronaut -> coffee", "chelsea -> rocket",
        "chelsea -> astronaut", "coffee -> chelsea")  # fmt: skip
TIMED = 12  # pairs, for what compiles

Figures = dict[str, list[float | None]]
Made = tuple[np.ndarray | None, float]


def ours() -> dict[str, dict]:
    """Keywords of `jaxcolor.transfer` by name. sinkhorn finds newton's map; exact is for
    reference."""
    spaces = {"reinhard": (None,), "sinkhorn": (), "exact": ("srgb",)}
    chosen: dict[str, dict] = {}
    for method in METHODS:
        for space in spaces.get(method, SPACES):
            chosen[f"{method} {space or ''}".strip()] = {"method": method, "space": space}
    for name, settings in LOOKS.items():
        for strength in STRENGTHS[name]:
            chosen[f"{name} {strength:g}"] = settings | {"strength": strength}
    return chosen


def by_jaxcolor(pairs: list[Pair], settings: dict) -> list[Made]:
    """All strengths of a look share the work up to them; only whole calls are timed."""
    strength = settings.get("strength", 1.0)
    asked = frozenset((key, value) for key, value in settings.items() if key != "strength")
    made: list[Made] = []
    for k, pair in enumerate(pairs):
        seconds = float("nan")
        result = changed(pair, asked).at(strength)
        if k < TIMED and strength == 1:
            start = time.process_time()
            jaxcolor.transfer(pair.source, pair.reference, **settings)
            seconds = time.process_time() - start
        made.append((result, seconds))
    return made


@lru_cache(maxsize=64)
def changed(pair: Pair, asked: frozenset) -> Change:
    return change(pair.source, as_look(pair.reference), style(**dict(asked)))


def by_peer(pairs: list[Pair], name: str, environments: Path | None) -> list[Made]:
    return results(name, [(pair.source, pair.reference) for pair in pairs], environments)


def makers(environments: Path | None) -> dict[str, Callable[[list[Pair]], list[Made]]]:
    """What each setting makes of pairs: result and seconds, None where it fails."""
    chosen = {"untouched": lambda pairs: [(pair.source, float("nan")) for pair in pairs]}
    chosen |= {name: partial(by_jaxcolor, settings=kept) for name, kept in ours().items()}
    return chosen | {name: partial(by_peer, name=name, environments=environments) for name in PEERS}


def judged(pairs: list[Pair], made: list[Made]) -> Figures:
    """The figures of each pair, null where there is no result."""
    figures: Figures = {"sw2": [], "ssim": [], "tv": [], "seconds": []}
    for pair, (result, seconds) in zip(pairs, made, strict=True):
        score = None if result is None else pair.score(result)
        for measure in ("sw2", "ssim", "tv"):
            value = getattr(score, measure, None)
            figures[measure].append(value if value is None else round(value, 5))
        figures["seconds"].append(None if np.isnan(seconds) else round(seconds, 4))
    return figures


def complete(record: dict, sets: dict[str, list[Pair]], args: argparse.Namespace) -> None:
    """Measure what the record lacks, and keep it on disk after every setting."""
    chosen = makers(args.environments)
    for (label, pairs), (name, maker) in itertools.product(sets.items(), chosen.items()):
        stored = record["settings"].setdefault(name, {})
        known = label in stored and not (args.again and args.again in name)
        if known or args.only not in name:
            continue
        try:
            stored[label] = judged(pairs, maker(pairs))
        except AbsentError as absent:
            print(absent)
            continue
        print(f"{label}: {name}", flush=True)
        save(args.json, record)


def load(path: Path, sets: dict[str, list[Pair]]) -> dict:
    """The record so far, of these very pairs; settings that no longer exist are dropped."""
    record = json.loads(path.read_text()) if path.is_file() else {"pairs": {}, "settings": {}}
    for label, pairs in sets.items():
        names = [pair.name for pair in pairs]
        if record["pairs"].setdefault(label, names) != names:
            raise SystemExit(f"{path} was made from other pairs: choose another file")
    known = {"untouched", *ours(), *PEERS}
    record["settings"] = {n: kept for n, kept in record["settings"].items() if n in known}
    record["machine"] = harness.machine(PACKAGES)
    return record


def save(path: Path, record: dict) -> None:
    """One line per setting and set."""
    lines = [
        f"  {json.dumps(name)}: {{\n"
        + ",\n".join(f"   {json.dumps(label)}: {json.dumps(f)}" for label, f in stored.items())
        + "\n  }"
        for name, stored in record["settings"].items()
        if stored
    ]
    head = {key: value for key, value in record.items() if key != "settings"}
    text = json.dumps(head, indent=1)[:-2] + ',\n "settings": {\n' + ",\n".join(lines) + "\n }\n}\n"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def report(record: dict, label: str) -> str:
    """The table of one set, the fronts, and each other tool against jaxcolor."""
    points = means(record, label, PEERS)
    untouched = points.pop("untouched")
    mine, others = (
        [p for p in points.values() if p.peer == side and not p.failed] for side in (False, True)
    )
    lines = [f"## {label}: {len(record['pairs'][label])} pairs", "", table(points, untouched), ""]
    for side, some in (("jaxcolor", mine), ("the others together", others)):
        share = hypervolume(some, untouched.sw2) / untouched.sw2
        best = ", ".join(point.name for point in front(some))
        lines += [f"Hypervolume of {side}: {share:.4f}; front: {best}.", ""]
    if DEFAULT in points:
        lines.append(versus(record, label, mine, others, points[DEFAULT]))
    return "\n".join(lines)


def versus(record: dict, label: str, mine: list[Point], others: list[Point], default: Point) -> str:
    """Markdown, a row per other tool."""
    lines = [
        f"| other tool | as near and as true | {default.name} dominates it | pairs it wins |",
        "|---|---|---|---|",
    ]
    for peer in sorted(others, key=lambda p: p.sw2):
        able = matched(peer, mine)
        won = wins(record, label, peer.name, default.name)
        lines.append(
            f"| {peer.name} | {able.name if able else '**none**'} "
            f"| {'yes' if dominates(default, peer) else 'no'} | {len(won)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=RECORD, help="where the figures are kept")
    parser.add_argument("--environments", type=Path, help="folder of peers' own environments")
    parser.add_argument("--only", default="", help="measure only settings with this in the name")
    parser.add_argument("--again", help="measure settings with this in the name once more")
    parser.add_argument("--plot", help="draw the figures of all settings, PNG")
    parser.add_argument("--sheet", help="lay out some results on public pairs, PNG")
    args = parser.parse_args()
    sets = pair_sets()
    record = load(args.json, sets)
    complete(record, sets, args)
    for label in sets:
        print(report(record, label), "\n")
    if args.plot:
        plot(record, args.plot)
    if args.sheet:
        rows = [pair for pair in sets["public"] if pair.name in ROWS]
        chosen = makers(args.environments)
        columns = {name: [result for result, _ in chosen[name](rows)] for name in SHOWN}
        files.write(args.sheet, files.Picture(contact_sheet(rows, columns)))


if __name__ == "__main__":
    main()
