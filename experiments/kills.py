"""Every command that writes files, stopped and killed at random moments: is anything lost?

    python experiments/kills.py [--kills 520] [--cases NAME ...] [--json FILE]

Each kill is that of a real process, by SIGINT, SIGTERM or SIGKILL, at a moment drawn uniformly over
the time that the command takes, or over the last third of it, where files are written, or a few
milliseconds after the first file appears among the results. Two to six kills in a row, each on
what the one before has left; then the same command once more, to the end. In half of the rounds
older files lie where the results go, and --overwrite is given.

After each kill: the pictures read are what they were, to the byte; each result is absent, the older
file, or what an undisturbed run writes, to the byte (where two undisturbed runs differ, it has to
be readable to its end); stderr has no traceback, and after SIGINT or SIGTERM one line, with exit
status 130 or 143; no temporary file is left but by SIGKILL; no process of it is alive. After the
run to the end: all results as undisturbed, and no temporary file.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import harness
import numpy as np
from kills_cases import CASES, Case, make
from kills_round import KINDS, Round, Tally, hashes

PACKAGES = ("jax", "jaxlib", "numpy", "pillow", "av")


def undisturbed(case: Case, pictures: Path, place: Path, tally: Tally) -> dict:
    """Digests of the results, None where two runs differ; notes how long a run takes."""
    found = []
    for number in range(2):  # the first compiles
        folder = place / f"whole{number}"
        one = Round(folder, case, pictures, {}, False, tally)
        begin = time.monotonic()
        process = one.start()
        _, err = process.communicate()
        tally.seconds = time.monotonic() - begin
        if process.returncode:
            raise RuntimeError(f"{' '.join(case.words)}: {err}")
        found.append(hashes(one.out))
        shutil.rmtree(folder)
    same = {name: digest if digest == found[0].get(name) else None
            for name, digest in found[1].items()}  # fmt: skip
    tally.not_to_the_byte = [name for name, digest in same.items() if digest is None]
    return same


def kill_case(case: Case, kills: int, pictures: Path, place: Path, seed: int) -> Tally:
    """So many kills of a case, in rounds of two to six."""
    tally, rng = Tally(), np.random.default_rng(seed)
    whole = undisturbed(case, pictures, place, tally)
    number = 0
    while sum(tally.kills.values()) < kills and number < 5 * kills + 5:
        folder = place / f"round{number}"
        old = bool(number % 2) and not case.training
        one = Round(folder, case, pictures, whole, old, tally)
        for _ in range(int(rng.integers(2, 7))):
            if sum(tally.kills.values()) < kills:
                one.kill(rng)
        one.finish()
        shutil.rmtree(folder)
        number += 1
    return tally


def together(before: dict, now: dict) -> dict:
    """The tallies of two runs of a case as one, both as in the record."""
    kept = dict(now)
    for name, value in before.items():
        if isinstance(value, dict):
            kept[name] = dict(Counter(value) + Counter(now[name]))
        elif isinstance(value, list):
            kept[name] = [*value, *(one for one in now[name] if name != "not_to_the_byte")]
        elif name == "longest":
            kept[name] = max(value, now[name])
        elif name != "seconds":
            kept[name] = value + now[name]
    return kept


def shared(kills: int, names: list[str]) -> dict[str, int]:
    """How many kills each case gets: what takes long, few."""
    costly = {"demo": 0.25, "batch --processes 2": 0.4, "compare --html": 0.5, "training": 0.5}
    weights = {name: costly.get(name, 1.0) for name in names}
    return {name: max(1, round(kills * one / sum(weights.values())))
            for name, one in weights.items()}  # fmt: skip


def described(name: str, one: Tally) -> str:
    kills = " / ".join(str(one.kills[kind.name]) for kind in KINDS)
    found = " / ".join(str(one.outcomes[word]) for word in ("absent", "old", "complete"))
    return (
        f"| {name} | {kills} | {found} | {one.leftovers} | {one.reruns} | {one.longest:.1f} "
        f"| {len(one.faults)} |"
    )


HEADER = """| | SIGINT / SIGTERM / SIGKILL | results absent / old / complete | temporary files \
| runs to the end | longest to be gone, s | faults |
|---|---|---|---|---|---|---|"""


def kill_all(kills: int, names: list[str], place: Path, seed: int, note=lambda found: None):
    """The tallies of some cases."""
    make(place / "pictures")
    found = {}
    for number, (name, count) in enumerate(shared(kills, names).items()):
        (place / str(number)).mkdir()
        found[name] = kill_case(CASES[name], count, place / "pictures", place / str(number),
                                seed + number)  # fmt: skip
        print(described(name, found[name]), flush=True)
        for fault in found[name].faults:
            print(f"  FAULT {fault}", flush=True)
        note(found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=520, help="of all cases together")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="also write the record, adding to what is there")
    args = parser.parse_args()
    record = Path(args.json or "")
    before = json.loads(record.read_text())["cases"] if record.is_file() else {}

    def note(found: dict[str, Tally]) -> None:
        if args.json:
            cases = before | {name: together(before.get(name, {}), vars(one))
                              for name, one in found.items()}  # fmt: skip
            harness.save(args.json, {
                "machine": harness.machine(PACKAGES),
                "kills": sum(sum(one["kills"].values()) for one in cases.values()),
                "faults": sum(len(one["faults"]) for one in cases.values()),
                "cases": cases,
            })  # fmt: skip

    print(HEADER)
    with tempfile.TemporaryDirectory() as place:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{place}/programs")
        seed = args.seed + sum(sum(one["kills"].values()) for one in before.values())
        found = kill_all(args.kills, args.cases, Path(place), seed, note)
    faults = sum(len(one.faults) for one in found.values())
    print(f"{sum(sum(one.kills.values()) for one in found.values())} kills, {faults} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
