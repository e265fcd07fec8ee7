"""All ordered pairs of a folder of photographs: `jaxcolor batch` against other tools, pair by pair.

    python experiments/bench_batch.py [--rounds 3] [--json FILE]

Every side reads files and writes JPEG files of quality 95. Ours is the whole command, run in this
process once to compile and then timed; the others loop over the pairs, each picture read once and
kept. SW2 is that of what was written, its mean over all pairs. Photographs are those of
$JAXCOLOR_DATA where it is set, else scikit-image's. Needs the `bench` extra.
"""

import argparse
import contextlib
import io
import shutil
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from itertools import permutations
from pathlib import Path

import harness
import numpy as np
from bench_entropic import photographs
from bench_transfer import PACKAGES
from PIL import Image

from jaxcolor.cli.main import main as command
from jaxcolor.recipes.score import sw2

Write = Callable[[Path], None]


def save(pictures: list[np.ndarray], folder: Path) -> list[Path]:
    paths = [folder / f"{k:02d}.jpg" for k in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture).save(path, quality=95, subsampling=0)
    return paths


def batch(table: Path, options: list[str], out: Path) -> None:
    """The command into a new folder: it would do nothing in one that is finished."""
    shutil.rmtree(out, ignore_errors=True)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = command(["batch", str(table), "-o", str(out), *options])
    if code:
        raise RuntimeError(f"batch ended with {code}")


def loop(pairs: list[tuple[Path, Path]], transfer: Callable, out: Path) -> None:
    """Another tool, one pair after another."""
    out.mkdir(exist_ok=True)
    read = {path: np.asarray(Image.open(path)) for pair in pairs for path in pair}
    for source, reference in pairs:
        result = transfer(read[source], read[reference])
        Image.fromarray(result).save(out / name(source, reference), quality=95, subsampling=0)


def name(source: Path, reference: Path) -> str:
    return f"{source.stem}_as_{reference.stem}.jpg"


def peers() -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    from color_matcher import ColorMatcher
    from python_color_transfer.color_transfer import ColorTransfer

    pitie = ColorTransfer()

    def match(source, reference, method):
        result = ColorMatcher().transfer(src=source, ref=reference, method=method)
        return np.clip(np.rint(result), 0, 255).astype(np.uint8)

    return {
        "color-matcher mkl": partial(match, method="mkl"),
        "color-matcher hm-mkl-hm": partial(match, method="hm-mkl-hm"),
        "python-color-transfer pdf_transfer": lambda source, reference: pitie.pdf_transfer(
            img_arr_in=source, img_arr_ref=reference
        ),
    }


def batches(table: Path) -> dict[str, Write]:
    ours = {
        "jaxcolor batch, sliced": ["--method", "sliced"],
        "jaxcolor batch, sliced, 4 bases": ["--method", "sliced", "--bases", "4"],
        "jaxcolor batch, gaussian": ["--method", "gaussian"],
    }
    return {side: partial(batch, table, words) for side, words in ours.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="also write the figures")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")  # the peers' own
    machine = harness.machine(PACKAGES)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        paths = save(photographs(), folder)
        pairs = list(permutations(paths, 2))
        table = folder / "pairs.csv"
        rows = [f"{source.name},{reference.name}" for source, reference in pairs]
        table.write_text("\n".join(["source,reference", *rows]) + "\n")
        ours = batches(table)
        others = {side: partial(loop, pairs, function) for side, function in peers().items()}
        chosen = {
            side: partial(write, folder / f"out{k}")
            for k, (side, write) in enumerate((ours | others).items())
        }
        # the others compile nothing and take minutes: once
        timings = harness.interleave({side: chosen[side] for side in ours}, args.rounds)
        timings |= harness.interleave({side: chosen[side] for side in others}, 0)
        read = {path: np.asarray(Image.open(path)) for path in paths}
        extra, values = {}, {}
        for k, side in enumerate(chosen):
            values[side] = [
                sw2(np.asarray(Image.open(folder / f"out{k}" / name(*pair))), read[pair[1]])
                for pair in pairs
            ]
            extra[side] = {"mean SW2": f"{np.mean(values[side]):.4f}"}
    print(f"{len(pairs)} ordered pairs of {len(paths)} photographs, {machine['cores']} cores\n")
    print(harness.table(timings, "jaxcolor batch, sliced", extra))
    if args.json:
        harness.save(args.json, {"machine": machine, "timings": timings, "sw2": values})


if __name__ == "__main__":
    main()
