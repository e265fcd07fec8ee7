"""`jaxcolor labels`: the colours of one drawing carried to the points of another."""

import argparse
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jaxcolor.cli.batch_list import plain
from jaxcolor.cli.common import (
    OneOf,
    Parser,
    add_overwrite,
    add_seed,
    check_files,
    number,
    progress,
    start_jax,
)
from jaxcolor.recipes import LABELS

if TYPE_CHECKING:
    from numpy import ndarray

DATA = (".csv", ".npz")
SHEET_REACH = 0.2  # of a sheet, where none is given
CHROMA = 8 / 255  # between the channels of what passes for grey
EPILOG = """examples:
  jaxcolor labels drawing.png coloured.png -o labelled.png
  jaxcolor labels drawing.png coloured.png -o labelled.png --reach 0.2       # far parts: black
  jaxcolor labels drawing.png coloured.png -o parts.csv --labels argmax --reach 0.2
  jaxcolor labels drawing.png coloured.png -o labelled.png --sheet sheet.png

Both are drawings on white; points are drawn in proportion to darkness, 1 - (R + G + B) / 3. --blur
and --reach are lengths, a picture's longer side being 1. A CSV or NPZ file holds the points (x to
the right, y up), their labels and their confidence: the share of each that found a partner."""


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="carry colours as labels from one drawing to another",
        description="Draw points from IMAGE and from LABELLED, couple them by optimal transport, "
        "and write those of IMAGE in the colours of their partners.",
        epilog=EPILOG,
    )
    parser.add_argument("image", metavar="IMAGE", help="a dark drawing on white")
    parser.add_argument("labelled", metavar="LABELLED", help="another one, in colours")
    parser.add_argument(
        "-o", "--out", metavar="OUT", required=True, help="a picture, or a .csv or .npz file"
    )
    _add_plan(parser)
    _add_reading(parser)
    add_seed(parser, "draw of points")
    parser.add_argument(
        "--sheet",
        metavar="SHEET",
        help="also write a picture of both clouds, of the labels without reach, and with it "
        f"({SHEET_REACH} where --reach is not given)",
    )
    add_overwrite(parser)
    parser.set_defaults(run=run, parser=parser)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--n",
        type=number(10, 100_000, int),
        default=10_000,
        help="points of each, 10..100000; time goes as N squared (default: 10000)",
    )
    parser.add_argument(
        "--blur",
        type=number(0.01, 10),
        default=0.05,
        metavar="B",
        help="distance below which differences do not count (default: 0.05)",
    )
    parser.add_argument(
        "--reach",
        type=number(1e-3, 100),
        metavar="R",
        help="distance beyond which partners are given up (default: all find one)",
    )
    parser.add_argument(
        "--scaling",
        type=number(0.01, 0.999),
        metavar="S",
        help="solve by Sinkhorn updates at blurs that shrink by S, in place of Newton steps: the "
        "same labels, later",
    )


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--labels",
        type=OneOf(LABELS, "kind of labels"),
        default="raw",
        metavar="KIND",
        help="raw: the partners' mean, darker the less of a point found one. normalised: their "
        "mean. argmax: the main colour of LABELLED that most of them have (default: raw)",
    )
    parser.add_argument(
        "--least",
        type=number(0, 1),
        metavar="C",
        help="with --labels argmax: points of less confidence stay unlabelled, grey in a picture, "
        "nan in a file (default: 0.5)",
    )


@dataclass(frozen=True, eq=False)
class Clouds:
    """Points of both drawings, the colours of the second, and (width, height) of either."""

    points: "ndarray"
    labelled: "ndarray"
    colours: "ndarray"
    sizes: tuple[tuple[float, float], tuple[float, float]]


def check_usage(args: argparse.Namespace) -> None:
    """What makes no sense ends with exit 2."""
    parser: Parser = args.parser
    if args.least is not None and args.labels != "argmax":
        parser.error("--least goes with --labels argmax")
    results = [Path(path) for path in (args.out, args.sheet) if path is not None]
    if len({plain(Path(os.path.realpath(path))) for path in results}) < len(results):
        parser.error("--sheet and OUT are one file")
    check_files(args, [args.image, args.labelled], results)


def run(args: argparse.Namespace) -> None:
    check_usage(args)
    from jaxcolor.image import files

    files.check_output(args.out, args.overwrite, files.FORMATS | dict.fromkeys(DATA, "data"))
    reaches = [args.reach]
    if args.sheet is not None:
        files.check_output(args.sheet, args.overwrite)
        reaches += [None, args.reach or SHEET_REACH]
    reaches = list(dict.fromkeys(reaches))
    with progress(len(reaches) + 3, "labels") as step:
        step("reading")
        pictures = [files.convert(files.read(path), None).pixels for path in
                    (args.image, args.labelled)]  # fmt: skip
        step("drawing points")
        start_jax()
        from jaxcolor.recipes import labels

        clouds = _clouds(args, pictures)
        plans = {}
        for reach in reaches:
            step("matching" if reach is None else f"matching, reach {reach:g}")
            plans[reach] = labels.couple(
                clouds.points, clouds.labelled, blur=args.blur, reach=reach, scaling=args.scaling
            )
        step("writing")
        colours, confidence = _labelled(args, clouds, plans[args.reach])
        if args.sheet is not None:
            files.write(args.sheet, files.Picture(_sheet(args, clouds, plans)))
        _write(args.out, clouds, colours, confidence)
    print(_told(args, colours, confidence))


def _clouds(args: argparse.Namespace, pictures: list) -> Clouds:
    import jax
    import numpy as np

    from jaxcolor.recipes import labels

    keys = jax.random.split(jax.random.key(args.seed))
    names = args.image, args.labelled
    (points, _), (labelled, colours) = (
        labels.draw(picture, args.n, key, name)
        for picture, key, name in zip(pictures, keys, names, strict=True)
    )
    if np.ptp(colours, axis=1).max() < CHROMA:
        warnings.warn(f"{args.labelled}: has no colour; the labels are its greys", stacklevel=2)
    first, second = (
        (one.shape[1] / max(one.shape[:2]), one.shape[0] / max(one.shape[:2])) for one in pictures
    )
    return Clouds(points, labelled, colours, (first, second))


def _labelled(args: argparse.Namespace, clouds: Clouds, plan) -> "tuple[ndarray, ndarray]":
    """Colours (n, 3) of the points, NaN where there is no label, and their confidence."""
    import numpy as np

    from jaxcolor.recipes import labels

    if args.labels != "argmax":
        found = labels.read(plan, clouds.colours, kind=args.labels)
        return found.values, found.confidence
    least = 0.5 if args.least is None else args.least
    main, one_hot = labels.classes(clouds.colours)
    found = labels.read(plan, one_hot, kind="argmax", least=least)
    some = found.values.any(1, keepdims=True)
    return np.where(some, found.values @ main, np.nan), found.confidence


def _write(path: str, clouds: Clouds, colours, confidence) -> None:
    """Complete, or not at all."""
    import numpy as np

    from jaxcolor.image import files
    from jaxcolor.recipes import labels

    suffix = Path(path).suffix.lower()
    if suffix not in DATA:
        files.write(path, files.Picture(labels.plot(clouds.points, colours, clouds.sizes[0])))
        return
    with files.aside(path) as temporary, temporary.open("wb") as file:
        if suffix == ".npz":
            columns = {"points": clouds.points, "labels": colours, "confidence": confidence}
            np.savez_compressed(file, **columns)
        else:
            table = np.column_stack([clouds.points, colours, confidence])
            header = "x,y,red,green,blue,confidence"
            np.savetxt(file, table, "%.6g", ",", header=header, comments="")


def _sheet(args: argparse.Namespace, clouds: Clouds, plans: dict):
    """Both clouds; labels without reach; labels with it."""
    import numpy as np

    from jaxcolor.recipes import labels
    from jaxcolor.recipes.sheet import Cell, sheet

    width, height = (max(sides) for sides in zip(*clouds.sizes, strict=True))
    points = np.concatenate([clouds.points, clouds.labelled])
    colours = np.concatenate([np.full_like(clouds.colours, np.nan), clouds.colours])
    names = Path(args.image).name, Path(args.labelled).name
    both = labels.plot(points, colours, (width, height))
    cells = [Cell(both, f"{names[0]} (grey) and {names[1]}")]
    reach = args.reach or SHEET_REACH
    for one, title in ((None, "labels, balanced"), (reach, f"labels, reach {reach:g}")):
        found = labels.read(plans[one], clouds.colours, kind="raw")
        low, high = found.confidence.min(), found.confidence.max()
        note = f"blur {args.blur:g}, confidence {low:.2f} to {high:.2f}"
        cells.append(Cell(labels.plot(clouds.points, found.values, (width, height)), title, note))
    return sheet(cells)


def _told(args: argparse.Namespace, colours, confidence) -> str:
    import numpy as np

    text = f"{args.out}: {len(confidence):,} points, confidence "
    text += f"{confidence.min():.2f} to {confidence.max():.2f}, median {np.median(confidence):.2f}"
    if args.labels == "argmax":
        text += f", {np.isnan(colours[:, 0]).mean():.1%} unlabelled"
        text += "" if Path(args.out).suffix.lower() in DATA else " (grey)"
    return text if args.sheet is None else f"{text}\n{args.sheet}"
