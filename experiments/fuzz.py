"""Damaged, lying and hostile files into every reader: nothing may break, hang or eat the memory.

    python experiments/fuzz.py [--inputs 10000] [--seed 0] [--corpus FOLDER] [--json FILE]

Inputs are small files that this script makes, changed by what it knows of their formats (see
`fuzz_formats`), and traps made by hand (`fuzz_traps`). Those that run through lines of jaxcolor or
Pillow that none did before, or are refused in other words, join the corpus and are changed further;
with --corpus they stay for the next run. Each is read in a process of its own, which has 30 seconds
and 6 GiB. A fault is an exception that is no ValueError or OSError, a message that names no file or
is no line for a person, a warning that is no UserWarning, a result that cannot be, a process that
dies, hangs or takes more than 4 GiB. Faults are made small and kept. Noise is what libraries in C
write on stderr beside; nothing stops them.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import harness
from fuzz_formats import mutate
from fuzz_seeds import seeds
from fuzz_traps import light, traps

from jaxcolor.cli.common import start_jax

PATIENCE = 30  # seconds of computing for an input, and eight times as many of waiting
MOST = 4 << 30  # bytes that one may take
TRIES = 40  # of making a fault small
NAMES = {"manifest": "manifest.csv", "checkpoint": "state.npz"}
PACKAGES = ("jax", "numpy", "pillow", "openimageio", "av")
COUNTS = "tried", "decoded", "past", "header", "faults", "noise"


def spent(pid: int) -> float:
    """Seconds that a process has computed, by Linux; elsewhere those since some time."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Worker:
    """The process that reads; a new one takes the place of one that is gone."""

    folder: Path
    process: Any = None

    def read(self, kind: str, suffix: str, data: bytes, trace: bool = True) -> dict[str, Any]:
        """What becomes of an input, as `fuzz_worker.tried` tells; with `trace` also the number of
        new lines, which takes longer."""
        path = self.folder / NAMES.get(kind, f"input{suffix}")
        path.write_bytes(data)
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("fuzz_worker.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        task = {"kind": kind, "path": str(path), "trace": trace}
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        heard = self._heard()
        line = self.process.stdout.readline() if heard else ""
        path.unlink(missing_ok=True)
        if line:
            answer = json.loads(line)
            if answer["memory"] > MOST and not answer["fault"]:
                answer["fault"] = f"takes {answer['memory'] / 2**30:.1f} GiB"
            return answer
        self.process.kill()
        code = self.close()
        told = f"dies of signal {-code}" if heard else "hangs"
        return {"outcome": "refused", "message": "", "fault": told, "seconds": float(PATIENCE),
                "memory": 0, "fresh": 0, "warnings": [], "past": True, "noise": ""}  # fmt: skip

    def _heard(self) -> bool:
        """Whether it has something to say, if only that it is gone, before patience ends."""
        before, start = spent(self.process.pid), time.monotonic()
        while not select.select([self.process.stdout], [], [], 1)[0]:
            waited = time.monotonic() - start
            if spent(self.process.pid) - before > PATIENCE or waited > 8 * PATIENCE:
                return False
        return True

    def close(self) -> int:
        """Let it go; what it ends with."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        with process, contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        return process.returncode


@dataclass
class Tally:
    """What became of the inputs of a kind."""

    counts: Counter = field(default_factory=Counter)
    slowest: float = 0.0
    memory: int = 0

    def add(self, answer: dict[str, Any]) -> None:
        where = "past" if answer.get("past") else "header"
        self.counts.update(["tried", "decoded" if answer["outcome"] == "decoded" else where])
        self.counts["faults"] += bool(answer["fault"])
        self.counts["noise"] += bool(answer["noise"])
        self.slowest = max(self.slowest, answer["seconds"])
        self.memory = max(self.memory, answer["memory"])

    def row(self) -> dict[str, Any]:
        deep = (self.counts["decoded"] + self.counts["past"]) / max(self.counts["tried"], 1)
        figures = {name: self.counts[name] for name in COUNTS}
        return figures | {
            "share_past_the_header": round(deep, 3),
            "slowest_seconds": round(self.slowest, 2),
            "most_mib": round(self.memory / 2**20),
        }


def signature(kind: str, told: str) -> str:
    """A message without what differs from input to input."""
    plain = re.sub(r"(9\W*)+", "9", re.sub(r"0x[0-9a-f]+|\d+", "9", told))
    return f"{kind} {plain[:80]}"


class Corpus:
    """Inputs of each kind that reached something new, seeds first."""

    def __init__(self, only: list[str], folder: Path | None):
        self.folder, self.kinds = folder, seeds()
        self.kinds = {
            kind: list(own) for kind, own in self.kinds.items() if kind in only or not only
        }
        self.seeds, self.told = {kind: len(own) for kind, own in self.kinds.items()}, set()
        for path in sorted(folder.glob("*/*")) if folder else []:
            if path.parent.name in self.kinds:
                self.kinds[path.parent.name].append((path.suffix, path.read_bytes()))

    def input(self, kind: str, rng: random.Random) -> tuple[str, bytes]:
        own = self.kinds[kind]
        # those that are read as they are; all; the newest, at which was looked least
        some = rng.choice((own[: self.seeds[kind]], own, own[-20:]))
        suffix, data = rng.choice(some)
        return suffix, mutate(data, rng.choice(own)[1], rng)

    def keep(self, kind: str, suffix: str, data: bytes, answer: dict[str, Any]) -> None:
        words = signature(kind, " ".join([answer["message"], *answer["warnings"]]))
        new = answer["fresh"] > 0 or words not in self.told
        self.told.add(words)
        deep = answer["outcome"] == "decoded" or answer["past"]
        if not new or not deep or answer["fault"] or len(data) > 100_000:
            return
        self.kinds[kind].append((suffix, data))
        if self.folder:
            place = self.folder / kind / (hashlib.sha256(data).hexdigest()[:16] + suffix)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)

    @property
    def grown(self) -> int:
        return sum(len(own) - self.seeds[kind] for kind, own in self.kinds.items())


def inputs(
    corpus: Corpus, count: int, seed: int, heavy: bool
) -> Iterator[tuple[str, str, bytes, bool]]:
    """All seeds, all traps, and changed ones of each kind in turn, as many as are asked for; and
    whether each is no trap."""
    rng, given = random.Random(seed), 0
    first = [(kind, *one) for kind, own in corpus.kinds.items() for one in own]
    for one in first:
        given += 1
        yield *one, True
    for one in traps() if heavy else light():
        if one[0] in corpus.kinds:
            given += 1
            yield *one, False
    names = list(corpus.kinds)
    for k in range(max(count - given, 0)):
        kind = names[k % len(names)]
        yield kind, *corpus.input(kind, rng), True


def smaller(worker: Worker, kind: str, suffix: str, data: bytes, told: str) -> bytes:
    """Less of an input that shows the same fault."""
    size, tries = len(data) // 2, 0
    while size and tries < TRIES and told != "hangs":
        at = 0
        while at < len(data) and tries < TRIES:
            less, tries = data[:at] + data[at + size :], tries + 1
            if signature(kind, worker.read(kind, suffix, less)["fault"]) == signature(kind, told):
                data = less
            else:
                at += size
        size //= 2
    return data


def run(
    count: int, seed: int, *, only: list[str], folder: Path | None, heavy: bool, quiet: bool = False
) -> dict[str, Any]:
    """Try so many inputs; the record of what became of them."""
    corpus, tallies = Corpus(only, folder), defaultdict(Tally)
    faults: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as place:
        worker = Worker(Path(place))
        for number, one in enumerate(inputs(corpus, count, seed, heavy)):
            kind, suffix, data, trace = one
            answer = worker.read(kind, suffix, data, trace)
            tallies[kind].add(answer)
            corpus.keep(kind, suffix, data, answer)
            if not answer["fault"]:
                continue
            name = signature(kind, answer["fault"])
            known = faults.setdefault(name, {"kind": kind, "told": answer["fault"], "count": 0})
            known["count"] += 1
            if known["count"] == 1 and not quiet:
                print(f"input {number}, {kind}: {answer['fault'][:300]}", flush=True)
            if known["count"] == 1 and folder:
                data = smaller(worker, kind, suffix, data, answer["fault"])
                kept = folder / "faults" / f"{kind}-{len(faults)}{suffix}"
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(data)
        worker.close()
    rows = {kind: tally.row() for kind, tally in sorted(tallies.items())}
    whole = Tally()
    for tally in tallies.values():
        whole.counts += tally.counts
        whole.slowest, whole.memory = (
            max(whole.slowest, tally.slowest),
            max(whole.memory, tally.memory),
        )
    return {"seed": seed, "readers": rows, "all": whole.row(), "corpus": corpus.grown,
            "faults": list(faults.values())}  # fmt: skip


def table(record: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        "| | tried | read | refused past the header | at the header | faults | noise "
        "| past the header | slowest | most memory |",
        "|---" * 10 + "|",
    ]
    for kind, row in (record["readers"] | {"all": record["all"]}).items():
        cells = " | ".join(str(row[name]) for name in COUNTS)
        lines.append(
            f"| {kind} | {cells} | {100 * row['share_past_the_header']:.0f} % | "
            f"{row['slowest_seconds']} s | {row['most_mib']} MiB |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", default=[], help="kinds of files: png, cube, ...")
    parser.add_argument("--corpus", type=Path, help="a folder for what is found, and faults")
    parser.add_argument("--light", action="store_true", help="without traps that take long")
    parser.add_argument("--json", type=Path, help="where to keep the record")
    args = parser.parse_args()
    start_jax()
    record = run(args.inputs, args.seed, only=args.only, folder=args.corpus, heavy=not args.light)
    print(table(record))
    print(f"{record['corpus']} inputs joined the corpus; {len(record['faults'])} kinds of faults")
    if args.json:
        harness.save(args.json, harness.machine(PACKAGES) | record)
    return bool(record["faults"])


if __name__ == "__main__":
    sys.exit(main())
