"""`jaxcolor compare`: every method side by side, on a sheet or on a page."""

import argparse
import contextlib
import json
import math
import os
from pathlib import Path

from jaxcolor.cli.batch_list import Pair, read_list
from jaxcolor.cli.common import (
    Parser,
    add_overwrite,
    check_files,
    describe,
    own_folder,
    progress,
    start_jax,
)
from jaxcolor.cli.matching import add_coupling, add_mixture, mixing, relaxation
from jaxcolor.recipes import METHODS
from jaxcolor.recipes.figures import FIGURES, UNTOUCHED, means
from jaxcolor.recipes.relaxation import Relaxation
from jaxcolor.recipes.styles import LOOKS, Style

PAGE = "index.html"
TABLE = ".csv"
EPILOG = """examples:
  jaxcolor compare holiday.jpg sunset.jpg -o sheet.png
  jaxcolor compare holiday.jpg sunset.jpg --html out         # then open out/index.html
  jaxcolor compare holiday.jpg sunset.jpg -o sheet.png --result other_program.png --json
  jaxcolor compare pairs.csv --html out                      # source,reference on each line

The page is one file that needs no network: a slider between before and after, all pictures, and a
table of figures that explains itself. Paths in PAIRS.csv are relative to its folder; a pair that
fails is told on the page and does not keep others from being done."""


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="try every method on a pair, or many, and see them side by side",
        description="Recolour SOURCE by every method and write one labelled sheet, or a page for "
        "a browser. SW2: distance of the colours to REFERENCE's, 0 is best. SSIM: how much of "
        "SOURCE's structure is kept, 1 is best. Seconds: once compiled.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="the picture to recolour; or a table PAIRS.csv, alone"
    )
    parser.add_argument(
        "reference",
        metavar="REFERENCE",
        nargs="?",
        help="the picture to match, or a palette (.json)",
    )
    parser.add_argument("-o", "--out", metavar="SHEET.png", help="the sheet to write")
    parser.add_argument("--html", metavar="DIR", help=f"folder for the page, DIR/{PAGE}")
    parser.add_argument(
        "--result",
        dest="others",
        metavar="FILE",
        action="append",
        default=[],
        help="another program's picture, of SOURCE's size, to be scored with the rest under its "
        "name; may be given again",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_mixture(parser)
    add_coupling(parser)
    add_overwrite(parser)
    parser.set_defaults(run=run, parser=parser)


def check_usage(args: argparse.Namespace) -> list[Pair]:
    """The pairs; what makes no sense ends with exit 2."""
    parser: Parser = args.parser
    tables = [one for one in (args.source, args.reference) if one and one.lower().endswith(TABLE)]
    if not tables:
        if args.reference is None:
            parser.error("REFERENCE is missing (only a table, PAIRS.csv, goes without)")
        if not (args.out or args.html):
            parser.error("name what to write: -o SHEET.png, --html DIR or both")
        names = [*LOOKS, *METHODS, UNTOUCHED, "source", "reference"]
        for other in args.others:
            name = Path(other).stem
            if name in names:
                parser.error(
                    f"--result {other}: there is another {name!r} on the page; rename the file"
                )
            names.append(name)
        return [Pair(1, args.source, args.reference, "", Path())]
    if args.reference is not None:
        parser.error(f"{tables[0]} is a table of pairs: it goes without another picture")
    if args.out or args.others or not args.html:
        parser.error("PAIRS.csv takes --html DIR, and neither -o/--out nor --result")
    try:
        return read_list(Path(args.source))
    except ValueError as reason:
        parser.error(str(reason))


def run(args: argparse.Namespace) -> None:
    relaxed = relaxation(args)
    try:
        relaxed.check("sinkhorn")
    except ValueError as error:
        args.parser.error(str(error))
    pairs = check_usage(args)
    read = [args.source, *args.others, *(path for pair in pairs for path in pair.inputs)]
    check_files(args, read, [args.out, _page(args) if args.html else None])
    from jaxcolor.image import files

    with own_folder(args.html) if args.html else contextlib.nullcontext() as folder:
        if args.out:
            files.check_output(args.out, args.overwrite)
        if folder:
            files.check_output(_page(args), args.overwrite, {".html": "HTML"})
        sections = _do(args, pairs, relaxed)
        if folder:
            from jaxcolor.recipes.page import page

            write_page(_page(args), page(sections))
    _tell(args, pairs, sections)
    failed = [(pair, one) for pair, one in zip(pairs, sections, strict=True) if one.failure]
    if failed:
        pair, one = failed[0]
        first = f"row {pair.row}: {one.failure}"
        raise ValueError(f"{len(failed)} of {len(pairs)} failed: see {_page(args)} ({first})")


def _page(args: argparse.Namespace) -> Path:
    return Path(args.html) / PAGE


def write_page(path: Path, text: str) -> None:
    """Complete or not at all; of a name that is no text, question marks."""
    from jaxcolor.image import files

    with files.aside(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def _do(args: argparse.Namespace, pairs: list[Pair], relaxed: Relaxation) -> list:
    """The sections of the page, one for each pair."""
    start_jax()
    from jaxcolor.recipes.compare import plans
    from jaxcolor.recipes.page import failure

    sections, asked = [], plans(relaxed, **mixing(args))
    with progress(len(pairs) * (len(asked) + 2), "compare") as step:
        for pair in pairs:
            try:
                sections.append(_one(args, pair, len(pairs), step, asked))
            except Exception as error:
                if args.reference is not None or os.environ.get("JAXCOLOR_DEBUG"):
                    raise
                sections.append(failure((pair.source, pair.reference), describe(error)))
    return sections


def _one(args: argparse.Namespace, pair: Pair, pairs: int, step, asked: dict[str, Style]):
    """Compare a pair; write its sheet, if one is wanted; its section of the page."""
    from jaxcolor.image import files
    from jaxcolor.recipes.compare import as_sheet, compare
    from jaxcolor.recipes.page import Section, section, side
    from jaxcolor.recipes.palette import Palette
    from jaxcolor.recipes.references import convert, read, shown

    def told(name: str) -> None:
        step(f"{pair.row}/{pairs} {name}" if pairs > 1 else name)

    told("reading")
    source = files.read(pair.inputs[0]).as_linear(False)
    goal = convert(read(pair.inputs[1]), source.profile)
    reference = shown(goal)
    others = [(Path(name).stem, _other(name, source)) for name in args.others]
    results = compare(
        source.pixels, goal if isinstance(goal, Palette) else goal.pixels, told, asked
    )
    results += [_scored(name, source, reference, pixels) for name, pixels in others]
    told("drawing")
    profile = None if _grey(source) else source.profile
    if args.out:
        sheet = as_sheet(source.pixels, reference.pixels, results)
        files.write(args.out, files.Picture(sheet, profile))
    if not args.html:
        return Section("", "", [one.as_dict() for one in results])
    # in a table names are told apart by their folders
    names = (
        (pair.source, pair.reference)
        if args.reference is None
        else (pair.inputs[0].name, pair.inputs[1].name)
    )
    return section(
        pair.row,
        names,
        source.pixels,
        reference.pixels,
        [_scored(UNTOUCHED, source, reference, source.pixels), *results],
        profile=profile,
        longest=side(pairs),
    )


def _other(path: str, source):
    """Another program's picture, in the source's profile.

    Raises:
        ValueError: where it has not the source's size.
    """
    from jaxcolor.image import files

    picture = files.convert(files.read(path), source.profile).pixels
    size, own = picture.shape[1::-1], source.pixels.shape[1::-1]
    if size != own:
        raise ValueError(
            f"{path}: a result must have the size of SOURCE, {own[0]}x{own[1]}, "
            f"got {size[0]}x{size[1]}"
        )
    return picture


def _scored(name: str, source, reference, pixels):
    from jaxcolor.recipes.compare import Result
    from jaxcolor.recipes.score import report

    figures = report(source.pixels, reference.pixels, pixels)
    return Result(name, "", pixels, figures, math.nan)


def _tell(args: argparse.Namespace, pairs: list[Pair], sections: list) -> None:
    page = {"page": str(_page(args))} if args.html else {}
    sheet = {"sheet": args.out} if args.out else {}
    told = [[row for row in one.rows if row["method"] != UNTOUCHED] for one in sections]
    rows = [row for one in told for row in one]
    mean = means(rows, [row["method"] for row in rows])
    if not args.json:
        print("\n".join([*sheet.values(), *page.values(), *_table(mean)]))
    elif args.reference is not None:
        print(json.dumps(sheet | page | {"results": told[0]}))
    else:
        each = [
            {"source": pair.source, "reference": pair.reference}
            | ({"error": one.failure} if one.failure else {"results": rows})
            for pair, one, rows in zip(pairs, sections, told, strict=True)
        ]
        print(json.dumps(page | {"means": mean, "pairs": each}))


def _table(rows: list[dict]) -> list[str]:
    """What fits a terminal, in lines."""
    columns = {name: FIGURES[name] for name in ("sw2", "ssim", "tv", "seconds")}
    wide = max([9, *(len(row["method"]) for row in rows)]) + 2
    heads = "".join(f"{one.heading:>9}" for one in columns.values())
    lines = [f"{'method':<{wide}}{'space':<12}{heads}"]
    for row in rows:
        cells = "".join(f"{one.show(row.get(name)):>9}" for name, one in columns.items())
        lines.append(f"{row['method']:<{wide}}{row['space'] or '-':<12}{cells}")
    return lines


def _grey(picture) -> bool:
    return picture.pixels.ndim == 2 or picture.pixels.shape[2] == 2
