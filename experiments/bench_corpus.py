"""Thousands of pictures through `jaxcolor batch` and `jaxcolor harmonize`: speed, memory, bounds.

    python experiments/bench_corpus.py [--pictures 200 2000] [--processes 1 2] [--json FILE]

The pictures, 480x320, nine in ten JPEG and the others PNG, are crops of photographs, enlarged, each
with a cast and a contrast of its own: those of $JAXCOLOR_DATA where it is set, else scikit-image's.
Each side is the installed command in a process of its own, from files to files, in a folder that
is new, with its programs compiled before. Memory is that of the process and all its children: the
sum of their peaks (VmHWM), as sampled from /proc, so this needs Linux. What bounds a run is told by
the CPU time of each of its parts, measured here on a few pictures, and by the cores it kept busy.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import harness
import numpy as np
from bench_entropic import photographs
from PIL import Image

from jaxcolor.cli.common import start_jax
from jaxcolor.image import files
from jaxcolor.recipes import HARMONY_BASES, reduced
from jaxcolor.recipes.look import Look, room
from jaxcolor.recipes.styles import Style, style
from jaxcolor.recipes.transfer import change

SIZE = 480, 320
PACKAGES = ("jax", "jaxlib", "numpy", "pillow")
COMMAND = Path(sys.executable).with_name("jaxcolor")
EVERY = 0.1  # seconds between looks at the memory
SIDES = {
    "batch, gaussian": ("batch", "--method", "gaussian"),
    "batch, natural": ("batch", "--look", "natural"),
    "harmonize": ("harmonize",),
}
USUAL = ("batch, gaussian", "harmonize")


def make(count: int, folder: Path, size: tuple[int, int] = SIZE) -> None:
    """So many pictures, the same every time."""
    folder.mkdir()
    kept = [Image.fromarray(one) for one in photographs()]
    rng = np.random.default_rng(0)
    for k in range(count):
        whole = kept[k % len(kept)]
        share = rng.uniform(0.4, 1) * min(whole.width / size[0], whole.height / size[1])
        width, height = (max(2, int(share * side)) for side in size)
        left = int(rng.integers(0, whole.width - width + 1))
        top = int(rng.integers(0, whole.height - height + 1))
        box = left, top, left + width, top + height
        pixels = np.asarray(whole.resize(size, Image.Resampling.BICUBIC, box), np.float32)
        pixels = pixels * rng.uniform(0.7, 1.1, 3) + rng.uniform(-20, 20, 3)
        picture = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
        if k % 10:
            picture.save(folder / f"{k:05d}.jpg", quality=92)
        else:
            picture.save(folder / f"{k:05d}.png")


@dataclass(frozen=True)
class Run:
    """What a command took."""

    side: str
    pictures: int
    processes: int
    seconds: float
    per_second: float
    peak_mib: float
    cores: float


def tree(root: int) -> list[int]:
    """A process and its children, theirs too."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                text = (entry / "stat").read_text()
            except OSError:  # it has ended
                continue
            parents[int(entry.name)] = int(text.rpartition(")")[2].split()[1])
    found = [root]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def peak(process: int) -> int:
    """The most memory a process has had, in KiB."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def measured(words: list[str]) -> tuple[float, float, float]:
    """Seconds, MiB and CPU seconds of a command.

    Raises:
        RuntimeError: where it fails.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peaks: dict[int, int] = {}
    while process.poll() is None:
        for one in tree(process.pid):
            peaks[one] = max(peaks.get(one, 0), peak(one))
        time.sleep(EVERY)
    seconds = time.perf_counter() - start
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)}: {said}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, sum(peaks.values()) / 1024, busy


def command(side: str, folder: Path, out: Path, reference: Path, processes: int) -> list[str]:
    name, *options = SIDES[side]
    words = [str(COMMAND), name, "--images", str(folder), "-o", str(out), *options]
    words += ["--processes", str(processes)] if processes > 1 else []
    return [*words, "--reference", str(reference)] if name == "batch" else words


def runs(
    sides: list[str], counts: list[int], processes: list[int], place: Path, size: tuple[int, int]
) -> list[Run]:
    """Every side on every number of pictures, by every number of processes."""
    reference = place / "reference.png"
    Image.fromarray(photographs()[0]).save(reference)
    make(4, place / "few", size)
    for count in counts:
        make(count, place / f"in{count}", size)
    found, number = [], 0
    for side in sides:
        # a first run compiles
        measured(command(side, place / "few", place / f"few {side}", reference, 1))
        for count in counts:
            for several in processes:
                number += 1
                out = place / f"out{number}"
                words = command(side, place / f"in{count}", out, reference, several)
                seconds, mib, busy = measured(words)
                lines = (out / "manifest.csv").read_text().count(",done,")
                if lines < count:
                    raise RuntimeError(f"{lines} of {count} are done in {out}")
                one = Run(side, count, several, seconds, count / seconds, mib, busy / seconds)
                print(row(one), flush=True)
                found.append(one)
    return found


def row(one: Run) -> str:
    return (
        f"| {one.side} | {one.pictures} | {one.processes} | {one.per_second:.1f} | "
        f"{one.peak_mib:.0f} | {one.cores:.2f} | {one.seconds:.0f} |"
    )


HEADER = """| | pictures | processes | pictures a second | peak MiB | cores busy | seconds |
|---|---|---|---|---|---|---|"""


def profile(folder: Path, reference: Path, count: int) -> dict[str, dict[str, float]]:
    """CPU milliseconds of each part, for a picture, by side; `count` says how large a set is."""
    start_jax()
    paths = sorted(folder.iterdir())
    members = [reduced.reduced(files.read(path), room(count)) for path in paths]
    common = Look([one.view(None) for one in members])
    goal = Look([files.read(reference).view()])
    asked = {
        "batch, gaussian": (goal, style(method="gaussian")),
        "batch, natural": (goal, style("natural")),
        "harmonize": (common, style(method="sliced", bases=HARMONY_BASES)),
    }
    found = {}
    for side, (look, how) in asked.items():
        parts(paths[0], look, how, folder.parent)  # compiles, and makes the look
        each = [parts(path, look, how, folder.parent) for path in paths]
        found[side] = {name: float(np.median([one[name] for one in each])) for name in each[0]}
    size = room(count)
    spent = [_milliseconds(lambda path=path: reduced.reduced(files.read(path), size))[0]
             for path in paths]  # fmt: skip
    found["harmonize"]["measure"] = float(np.median(spent))
    # one look for all: its cost grows with their number
    again = Look([one.view(None) for one in members])
    _, how = asked["harmonize"]
    spent, _ = _milliseconds(lambda: change(files.read(paths[0]).view(), again, how).at(1.0))
    found["harmonize"]["look"] = (spent - found["harmonize"]["solve"]) / len(paths)
    return found


def parts(path: Path, look: Look, how: Style, place: Path) -> dict[str, float]:
    decode, picture = _milliseconds(lambda: files.read(path))
    solve, pixels = _milliseconds(lambda: change(picture.view(), look, how).at(1.0))
    encode, _ = _milliseconds(
        lambda: files.write(place / f"part{path.suffix}", picture.recolored(pixels))
    )
    return {"decode": decode, "solve": solve, "encode": encode}


def _milliseconds(call: Callable):
    start = time.process_time()
    result = call()
    return 1000 * (time.process_time() - start), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=USUAL)
    parser.add_argument("--smoke", action="store_true", help="tiny pictures: does it run")
    parser.add_argument("--json", help="also write the figures")
    args = parser.parse_args()
    size = (60, 40) if args.smoke else SIZE
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        print(HEADER)
        found = runs(args.sides, args.pictures, args.processes, folder, size)
        make(8 if args.smoke else 24, folder / "profile", size)
        spent = profile(folder / "profile", folder / "reference.png", max(args.pictures))
    print("\nCPU milliseconds a picture (medians)\n")
    for side, named in spent.items():
        print(f"{side}: " + ", ".join(f"{name} {value:.1f}" for name, value in named.items()))
    if args.json:
        record = {
            "machine": harness.machine(PACKAGES),
            "load": os.getloadavg(),
            "runs": [vars(one) for one in found],
            "milliseconds": spent,
        }
        Path(args.json).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
