"""Warm starts for transport between palettes, learned and not, on photographs never trained on.

    python experiments/warm_start.py [--only reproduce starts newton sweep failures pictures]
        [--weights FILE ...] [--plans FILE] [--json experiments/results/warm_start.json]

The problem of a published study (Rob10001/AmortizedOptimalTransport): CIELAB palettes of 128
colours, cost |x - y|, epsilon .1. `reproduce`: its counts of Sinkhorn's sweeps, cold and from its
network, in batches of 8 that stop together. `starts`: sweeps from each start until its rule and
until thresholds of the L1 error. `newton`: steps and passes from each start, and seconds with the
start included. `sweep`: ours against cold over epsilon, tolerance and number of colours.
`failures`: Newton from ours on many pairs. `pictures`: the histogram of all counts in the record,
and photographs of scikit-image recoloured by the guess alone.

Palettes and photographs are those of $JAXCOLOR_DATA, which it needs; settings are tuned on its
training palettes. `--weights` takes files of our network's weights (several: other seeds), else
those of the package; `--plans` a network of `plan_network.py`. Needs the `bench` extra. Parts add
to the record that the file has.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import harness
import jax
import numpy as np
import warm_start_newton as nw
import warm_start_starts as st
import warm_start_sweeps as sw
import warm_start_tables as tables
from bench_transfer import data_folder
from warm_start_pairs import EPSILON, doubled, drawn, palettes, photographed, taken

PARTS = ("reproduce", "starts", "newton", "sweep", "failures", "pictures")
PACKAGES = ("jax", "jaxlib", "numpy", "POT")
PUBLISHED = 3031  # median of the study's cold counts
FOLDER = Path(__file__).parent / "figures"
TUNING = 64  # pairs
FINE = 32  # of the pairs are also swept in float64
FURTHER = {  # iterations that are not plain sweeps, and where they begin
    "zeros, over-relaxed 1.5": ("zeros", sw.RELAXED),
    "zeros, Anderson 5": ("zeros", sw.ANDERSON),
    "annealing, Anderson 5": ("annealing", sw.ANDERSON),
    "exact dual (POT), Anderson 5": ("exact dual (POT)", sw.ANDERSON),
    "ours, Anderson 5": ("ours", sw.ANDERSON),
}
EPSILONS = (0.05, 0.1, 0.3, 1.0, 3.0, 10.0)
TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
COLOURS = (32, 64, 128, 256, 512)


def published() -> dict[str, np.ndarray]:
    """The study's raw counts."""
    stored = np.load(data_folder() / "amortized_k128_iterations.npz")
    return {"cold": stored["cold_iters"], "warm": stored["warm_iters"]}


def described(values) -> dict:
    values = np.asarray(values)
    return {
        "summary": sw.summary(values),
        "mean": float(values.mean()),
        "capped": int((values >= sw.CAP).sum()),
        "values": values.tolist(),
    }


def reproduce(starts: dict[str, st.Start], batches: int) -> dict:
    """The study's counts again, on other photographs; and ours in its manner."""
    pairs = drawn(palettes("val"), batches * sw.GROUP, seed=1)
    named = {"cold": "zeros", "published network": "published network, as published"}
    named["our network"] = "ours"
    rows = {}
    for name, start in named.items():
        g = st.potentials(starts[start], pairs, EPSILON)
        found = sw.count(pairs, g, EPSILON, errors=())
        kinds = {"maxima over 8": sw.maxima(found), "pairs": found.rule}
        rows[name] = {kind: described(values) for kind, values in kinds.items()}
    for name, values in published().items():
        rows[f"published, {name}"] = {"maxima over 8": described(values)}
    median = rows["cold"]["maxima over 8"]["summary"][2]
    return {"rows": rows, "median to published": median / PUBLISHED}


def sweeps(starts: dict[str, st.Start], count: int) -> dict:
    """Sweeps from each start, and by other iterations from some."""
    pairs = drawn(palettes("val"), count, seed=2)
    chosen = {name: (name, sw.PLAIN) for name in starts} | FURTHER
    rows = {}
    for name, (key, iteration) in chosen.items():
        start = starts[key]
        g = st.potentials(start, pairs, EPSILON)
        found = sw.count(pairs, g, EPSILON, iteration)
        with jax.enable_x64(True):
            some, double = taken(pairs, FINE), g[:FINE].astype(np.float64)
            fine = sw.count(doubled(some), double, EPSILON, iteration, (1e-6,), together=False)
        rows[name] = {
            "learned": start.learned,
            "rule": sw.summary(found.rule + start.sweeps),
            "maxima": sw.summary(sw.maxima(found) + start.sweeps),
            "errors": [sw.summary(e + start.sweeps) for e in found.errors.T],
            "double": sw.summary(fine.errors + start.sweeps),
            "capped": int((found.rule >= sw.CAP).sum()),
        }
        print(f"{name}: {tables.five(rows[name]['rule'])}", file=sys.stderr, flush=True)
    return {"pairs": count, "pairs in float64": min(count, FINE), "rows": rows}


def newton(starts: dict[str, st.Start], count: int, rounds: int) -> dict:
    """Newton's work from each start, annealed from where it is best on palettes for tuning."""
    practice = drawn(palettes("train"), min(TUNING, count), seed=3)
    pairs = drawn(palettes("val"), count, seed=2)
    rows: dict[str, dict] = {"cold": nw.counted(pairs, None, 0.0) | {"learned": False}}
    for name, start in starts.items():
        level = nw.level(start, practice)
        g = st.potentials(start, pairs, EPSILON)
        rows[name] = nw.counted(pairs, g, level) | {"learned": start.learned}
    part = {"pairs": count, "rows": rows}
    if rounds:
        levels = {name: row["level"] for name, row in rows.items()}
        part["times"] = nw.timed(starts, levels, pairs, rounds)
        for times in part["times"].values():
            for name, row in times.items():
                # POT's plan is no start: it is not compared with them
                row["learned"] = None if name == "POT, exact plan" else _learned(starts, name)
    return part


def _learned(starts: dict[str, st.Start], name: str) -> bool:
    return name in starts and starts[name].learned


def sweep(ours: st.Start, level: float, count: int) -> dict:
    """Cold and ours over epsilon and tolerance, then over the number of colours."""
    pairs = drawn(palettes("val"), count, seed=4)
    rows = {}
    for epsilon in EPSILONS:
        for tol in TOLERANCES:
            rows[f"epsilon {epsilon:g}, L1 {tol:.0e}"] = _both(ours, level, pairs, epsilon, tol)
    for k in COLOURS:
        some = drawn(photographed(k), min(count, 64), seed=5)
        for tol in (1e-2, 1e-4):
            rows[f"{k} colours, L1 {tol:.0e}"] = _both(ours, level, some, EPSILON, tol)
    return rows


def _both(ours: st.Start, level: float, pairs, epsilon: float, tol: float) -> dict:
    """In float32 down to 1e-4, below in float64."""
    g = st.potentials(ours, pairs, epsilon)
    with jax.enable_x64(tol < nw.SINGLE):
        double = doubled(pairs) if tol < nw.SINGLE else pairs
        cold = nw.described(nw.solved(double, epsilon, tol))
        warm = nw.described(nw.solved(double, epsilon, tol, g, max(level, epsilon)))
    row: dict = {"cold": cold, "ours": warm}
    if tol >= nw.SINGLE:
        row["gain"] = nw.gain(ours, pairs, epsilon, tol)
    return row


def failures(ours: st.Start, level: float, count: int) -> dict:
    """Newton on many pairs that no network has seen."""
    pairs = drawn(palettes("val"), count, seed=6)
    g = st.potentials(ours, pairs, EPSILON)
    found = {"cold": nw.solved(pairs, EPSILON, nw.SINGLE)}
    found["ours"] = nw.solved(pairs, EPSILON, nw.SINGLE, g, level)
    quantiles = [1, 5, 25, 50, 75, 95, 99, 100]
    return {
        name: {
            "count": count,
            "failures": int((np.asarray(one.info.status) != 0).sum()),
            "steps": np.percentile(np.asarray(one.info.steps), quantiles).tolist(),
        }
        for name, one in found.items()
    }


def measured(args: argparse.Namespace, record: dict) -> Iterator[str]:
    """Fill the record with the parts asked for, and say when one is done."""
    starts = st.catalogue(args.weights or [None], args.plans)
    ours = starts["ours"]
    level = _level(ours) if {"sweep", "failures"} & set(args.only) else 0.0
    parts = {
        "reproduce": lambda: reproduce(starts, args.batches),
        "starts": lambda: sweeps(starts, args.pairs),
        "newton": lambda: newton(starts, args.pairs, args.rounds),
        "sweep": lambda: sweep(ours, level, args.pairs),
        "failures": lambda: failures(ours, level, args.failures),
    }
    for name, part in parts.items():
        if name in args.only:
            record[name] = part()
            yield name
    if "pictures" in args.only:
        import warm_start_figures as figures

        figures.histogram(record, args.folder / "warm_start.png")
        figures.recoloured(ours, args.folder / "warm_start.jpg")


def _level(ours: st.Start) -> float:
    """Where annealing from ours begins."""
    return nw.level(ours, drawn(palettes("train"), TUNING, seed=3))


def report(record: dict) -> str:
    """The verdict, then a table for each part that the record has."""
    written = {
        "reproduce": tables.reproduction,
        "starts": tables.starts,
        "newton": tables.newton,
        "sweep": tables.sweep,
        "failures": tables.failures,
    }
    parts = [f"## {name}\n\n{write(record[name])}" for name, write in written.items()
             if name in record]  # fmt: skip
    return "\n\n".join([tables.verdict(record), *parts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--weights", nargs="+", type=Path, help="our networks; the first is `ours`")
    parser.add_argument("--plans", type=Path, help="a network trained on plans")
    parser.add_argument("--json", type=Path, help="the record, which parts are added to")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for the pictures")
    parser.add_argument("--batches", type=int, default=64, help="of 8 pairs, to reproduce")
    parser.add_argument("--pairs", type=int, default=128, help="for every other part")
    parser.add_argument("--failures", type=int, default=5000, help="pairs of that part")
    parser.add_argument("--rounds", type=int, default=7, help="of timing; 0: none")
    args = parser.parse_args()
    record = json.loads(args.json.read_text()) if args.json and args.json.exists() else {}
    record["machine"] = harness.machine(PACKAGES)
    for name in measured(args, record):
        if args.json:
            harness.save(args.json, record)
        print(f"{name}: done", file=sys.stderr)
    print(report(record))


if __name__ == "__main__":
    main()
