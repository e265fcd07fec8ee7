"""Thousands of mixed jobs in one process: does it keep what it should let go of?

    python experiments/soak.py [--jobs 2000] [--json FILE]

Jobs are the commands, called in this process as a service would call them, on pictures of random
sizes (a few usual ones and odd ones, 20 to 72 pixels), kinds, methods and looks. After every 50:
resident memory (VmRSS, from /proc, so this needs Linux), after Python's garbage collection, as it
is and once the C library has given back what it holds free (malloc_trim); open files, threads,
compiled programs, temporary files. After a warm-up, the first half, memory should be flat: told is
the slope of a straight line through the last half, in MB per 1,000 jobs.
"""

import argparse
import contextlib
import ctypes
import gc
import io
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import harness
import jax
import numpy as np
from kills_cases import make
from PIL import Image

from jaxcolor.cli.main import main as command

EVERY = 50
USUAL = (24, 32, 48, 64)  # sides
ODD = 20, 73
SUFFIXES = (".png", ".jpg", ".webp", ".tif", ".exr", ".hdr")
METHODS = ("gaussian", "reinhard", "histogram", "sliced", "mixture")
PACKAGES = ("jax", "jaxlib", "numpy", "pillow", "av")

Words = list[str]


class Jobs:
    """Random jobs in a folder.

    Args:
        folder: for pictures and results.
        seed: of the draws.
    """

    def __init__(self, folder: Path, seed: int):
        self.folder, self.rng = folder, np.random.default_rng(seed)
        make(folder / "in")
        self.given = folder / "in"

    def any(self, *choices: str) -> str:
        return str(choices[self.rng.integers(len(choices))])

    def side(self) -> int:
        if self.rng.random() < 0.5:
            return int(self.rng.choice(USUAL))
        return int(self.rng.integers(*ODD))

    def picture(self, name: str) -> str:
        """A new picture: RGB mostly, else grey or with transparency, of 8 bits."""
        few = self.rng.integers(0, 256, (4, 5, 3)).astype(np.uint8)
        size = self.side(), self.side()
        image = Image.fromarray(few).resize(size, Image.Resampling.BICUBIC)
        mode = self.any("RGB", "RGB", "RGB", "L", "RGBA")
        path = self.folder / f"{name}.png"
        image.convert(mode).save(path)
        return str(path)

    def out(self, suffix: str = ".png") -> str:
        return str(self.folder / f"out{suffix}")

    def method(self) -> Words:
        words = ["--method", self.any(*METHODS)]
        return [*words, "--bases", "2"] if words[1] == "sliced" else words

    def transfer(self) -> Words:
        source = self.picture("a")
        with Image.open(source) as image:
            transparent = image.mode == "RGBA"
        suffix = ".png" if transparent else self.any(*SUFFIXES)
        words = ["transfer", source, self.picture("b"), "-o", self.out(suffix), *self.method()]
        if self.rng.random() < 0.2:
            words += ["--lut", self.out(".cube"), "--lut-size", "9"]
        return [*words, "--smooth", "guided"] if self.rng.random() < 0.2 else words

    def look(self) -> Words:
        look = self.any("natural", "faithful", "gentle")
        return ["transfer", self.picture("a"), self.picture("b"), "-o", self.out(), "--look", look]

    def newton(self) -> Words:
        words = ["transfer", self.picture("a"), self.picture("b"), "-o", self.out()]
        return [*words, "--method", "newton", "--blur", "0.3"]

    def animation(self) -> Words:
        return ["transfer", str(self.given / "film.gif"), self.picture("b"), "-o",
                self.out(".gif"), "--method", "gaussian"]  # fmt: skip

    def bands(self) -> Words:
        first, second = (str(self.given / name) for name in ("a.tif", "b.tif"))
        return ["transfer", first, second, "-o", self.out(".tif"), "--bands"]

    def deep(self) -> Words:
        return ["transfer", str(self.given / "deep.tif"), self.picture("b"), "-o",
                self.out(self.any(".png", ".tif", ".exr")), "--method", "gaussian"]  # fmt: skip

    def harmonize(self) -> Words:
        pictures = [self.picture(f"h{number}") for number in range(3)]
        return ["harmonize", *pictures, "-o", self.fresh(), "--method", "gaussian"]

    def batch(self) -> Words:
        words = ["batch", "--images", str(self.given / "photos"), "--reference", self.picture("b")]
        return [*words, "-o", self.fresh(), *self.method()]

    def morph(self) -> Words:
        words = ["morph", self.picture("a"), self.picture("b"), "-o", self.fresh()]
        return [*words, "--steps", "3", *self.method()]

    def lut(self) -> Words:
        cube = str(self.given / "l.cube")
        return [
            ["lut", "apply", self.picture("a"), cube, "-o", self.out()],
            ["lut", "convert", cube, self.out(self.any(".cube", ".png")), "--size", "9"],
            ["lut", "identity", self.out(".cube"), "--size", str(self.rng.integers(2, 20))],
        ][self.rng.integers(3)]

    def palette(self) -> Words:
        words = ["palette", self.picture("a"), "-o", self.out(".json"), "--k", "8"]
        return [*words, "--swatch", self.out()]

    def labels(self) -> Words:
        drawings = [str(self.given / name) for name in ("ink.png", "dots.png")]
        return ["labels", *drawings, "-o", self.out(self.any(".png", ".csv", ".npz")), "--n", "60",
                "--seed", str(self.rng.integers(99))]  # fmt: skip

    def texture(self) -> Words:
        if self.rng.random() < 0.5:
            return ["texture", "synth", str(self.given / "a.png"), "-o", self.out(), "--size",
                    f"{self.side()}x{self.side()}"]  # fmt: skip
        both = [str(self.given / name) for name in ("a.png", "b.png")]
        return ["texture", "mix", *both, "-o", self.out()]

    def video(self) -> Words:
        return ["video", str(self.given / "clip.mp4"), self.picture("b"), "-o", self.out(".mp4"),
                "--method", "gaussian"]  # fmt: skip

    def refused(self) -> Words:
        """What fails keeps nothing either."""
        return ["transfer", str(self.given / "l.cube"), self.picture("b"), "-o", self.out()]

    def fresh(self) -> str:
        shutil.rmtree(self.folder / "many", ignore_errors=True)
        return str(self.folder / "many")

    def draw(self) -> tuple[str, Words]:
        """The next job, and what it is called."""
        shares: dict[Callable[[], Words], float] = {
            self.transfer: 20, self.look: 2, self.newton: 1, self.animation: 8, self.bands: 14,
            self.deep: 4, self.harmonize: 3, self.batch: 6, self.morph: 5, self.lut: 18,
            self.palette: 12, self.labels: 3, self.texture: 4, self.video: 1, self.refused: 6,
        }  # fmt: skip
        weights = np.array(list(shares.values()))
        job = list(shares)[self.rng.choice(len(shares), p=weights / weights.sum())]
        return job.__name__, [*job(), "--overwrite"]


def run(words: Words) -> tuple[int, str]:
    """Exit status and stderr of a job."""
    told = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
        try:
            code = command(words)
        except SystemExit as end:
            code = int(end.code or 0)
    return code, told.getvalue()


def resident() -> float:
    """MB that this process has in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000


def sample(jobs: int, folder: Path) -> dict:
    """What the process holds."""
    gc.collect()
    held = resident()
    ctypes.CDLL(None).malloc_trim(0)
    return {
        "jobs": jobs,
        "mb": round(held, 1),
        "trimmed_mb": round(resident(), 1),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "programs": len(jax.devices()[0].client.live_executables()),
        "maps": Path("/proc/self/maps").read_bytes().count(b"\n"),
        "temporary": sum(".tmp" in path.name for path in folder.rglob(".*")),
    }


def slope(samples: list[dict], name: str) -> float:
    """Of a straight line through the last half, per 1,000 jobs."""
    late = samples[len(samples) // 2 :]
    if len(late) < 2:
        return float("nan")
    return float(
        1000 * np.polyfit([one["jobs"] for one in late], [one[name] for one in late], 1)[0]
    )


def soak(jobs: int, folder: Path, seed: int = 0, every: int = EVERY) -> dict:
    """Run so many jobs; the record.

    Raises:
        RuntimeError: where one ends as it should not.
    """
    drawn, samples, done = Jobs(folder, seed), [], Counter()
    begin = time.perf_counter()
    for number in range(1, jobs + 1):
        name, words = drawn.draw()
        code, told = run(words)
        if code != (name == "refused") or "Traceback" in told:
            raise RuntimeError(f"job {number}, {' '.join(words)}, ended with {code}: {told}")
        done[name] += 1
        if number % every == 0:
            samples.append(sample(number, folder))
            print(" | ".join(str(value) for value in samples[-1].values()), flush=True)
    return {
        "jobs": dict(done),
        "seconds": round(time.perf_counter() - begin, 1),
        "slope_mb_per_1000": slope(samples, "mb"),
        "slope_trimmed_mb_per_1000": slope(samples, "trimmed_mb"),
        "samples": samples,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="also write the record")
    args = parser.parse_args()
    print("jobs | MB | MB trimmed | files | threads | programs | maps | temporary files")
    with tempfile.TemporaryDirectory() as place:
        found = soak(args.jobs, Path(place), args.seed)
    held, trimmed = found["slope_mb_per_1000"], found["slope_trimmed_mb_per_1000"]
    print(f"{held:.1f} MB per 1,000 jobs over the last half, {trimmed:.1f} trimmed")
    print(f"{found['seconds']:.0f} s")
    if args.json:
        harness.save(args.json, {"machine": harness.machine(PACKAGES), "seed": args.seed} | found)


if __name__ == "__main__":
    main()
