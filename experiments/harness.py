"""Interleaved timing: every side once a round, in one process, on equal threads.

A ratio inside one run holds on a noisy machine; an absolute time does not. So rounds alternate the
sides, times are summed up by median and quartiles, and ratios come first.
"""

import argparse
import json
import os
import platform
import socket
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """One side's times, in seconds: `first` includes compilation, the others do not."""

    name: str
    first: float
    median: float
    quartiles: tuple[float, float]
    runs: int


def interleave(
    sides: Mapping[str, Callable[[], object]],
    rounds: int = 7,
    budget: float = 120.0,
    least: int = 3,
) -> dict[str, Timing]:
    """Time each side `rounds` times, alternating, or until `budget` seconds are spent.

    Every side runs at least `least` times after its first, untimed-in-the-median, call; with
    rounds = 0 that first call is all there is. A side must return only when its work is done
    (NumPy arrays, or `jax.block_until_ready`).
    """
    first = {name: _seconds(side) for name, side in sides.items()}
    times: dict[str, list[float]] = {name: [] for name in sides}
    start = time.perf_counter()
    for done in range(rounds):
        if done >= least and time.perf_counter() - start > budget:
            break
        for name, side in sides.items():
            times[name].append(_seconds(side))
    return {name: _summary(name, first[name], ts or [first[name]]) for name, ts in times.items()}


def _seconds(side: Callable[[], object]) -> float:
    start = time.perf_counter()
    side()
    return time.perf_counter() - start


def _summary(name: str, first: float, times: list[float]) -> Timing:
    times = sorted(times)
    n = len(times)
    middle = (times[(n - 1) // 2] + times[n // 2]) / 2
    return Timing(name, first, middle, (times[n // 4], times[(3 * n - 1) // 4]), n)


def equal_threads() -> int:
    """Give OpenCV as many threads as XLA and NumPy take: one per core. Returns the number."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        import cv2

        cv2.setNumThreads(cores or 1)
    except ImportError:
        pass
    return cores or 1


def machine(packages: tuple[str, ...]) -> dict:
    """What may be said of the machine: cores and library versions."""
    versions = {"python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "absent"
    return {"cores": equal_threads(), "versions": versions}


def free_port() -> int:
    """Where the processes of a benchmark may meet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def table(timings: dict[str, Timing], ours: str, extra: dict[str, dict[str, str]]) -> str:
    """Markdown, ratios to `ours` first; `extra` holds further columns by side."""
    columns = list(next(iter(extra.values()))) if extra else []
    lines = [
        "| | times ours | seconds, median (quartiles) | first call |"
        + "".join(f" {c} |" for c in columns),
        "|---" * (4 + len(columns)) + "|",
    ]
    for name, t in timings.items():
        ratio = t.median / timings[ours].median
        row = f"| {name} | {ratio:.1f} | {t.median:.3f} ({t.quartiles[0]:.3f}-{t.quartiles[1]:.3f})"
        row += f" | {t.first:.2f} |" + "".join(f" {extra[name][c]} |" for c in columns)
        lines.append(row)
    return "\n".join(lines)


def save(path: str | Path, record: dict) -> None:
    """JSON beside the table; `Timing` values become objects."""

    def plain(value):
        return asdict(value) if isinstance(value, Timing) else str(value)

    Path(path).write_text(json.dumps(record, indent=1, default=plain) + "\n")


def run_parts(doc: str, parts: Mapping[str, Callable[[int], dict]], packages: tuple[str, ...]):
    """The command of a benchmark in parts: each is given the rounds, and its record is kept."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--only", nargs="+", choices=list(parts), default=list(parts))
    parser.add_argument("--json", help="also write the figures")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")  # the peers' own
    record = {"machine": machine(packages)}
    for name in args.only:
        record[name] = parts[name](args.rounds)
    if args.json:
        save(args.json, record)
