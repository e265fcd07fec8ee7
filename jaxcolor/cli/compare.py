"""`jaxcolor compare`: every method on one sheet."""

import argparse
import json

from jaxcolor.cli.common import add_coupling, add_overwrite, progress, relaxation, start_jax
from jaxcolor.recipes import METHODS


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="try every method on one pair and see them side by side",
        description="Recolour SOURCE by every method and write one labelled sheet. SW2: distance "
        "of the colours to REFERENCE's, 0 is best. SSIM: how much of SOURCE's structure is kept, "
        "1 is best. Seconds: once compiled.",
    )
    parser.add_argument("source", metavar="SOURCE", help="the picture to recolour")
    parser.add_argument("reference", metavar="REFERENCE", help="the picture to match")
    parser.add_argument("-o", "--out", metavar="SHEET.png", required=True, help="where to write")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_coupling(parser)
    add_overwrite(parser)
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> None:
    relaxed = relaxation(args, "sinkhorn")
    from jaxcolor.image import files

    files.check_output(args.out, args.overwrite)
    with progress(len(METHODS) + 2, "compare") as step:
        step("reading")
        source = files.read(args.source)
        reference = files.convert(files.read(args.reference), source.profile)
        start_jax()
        from jaxcolor.recipes.compare import as_sheet, compare

        results = compare(source.pixels, reference.pixels, step, relaxed)
        step("writing")
        page = as_sheet(source.pixels, reference.pixels, results)
        files.write(args.out, files.Picture(page, source.profile if not _grey(source) else None))
    if args.json:
        print(json.dumps({"sheet": args.out, "results": [one.as_dict() for one in results]}))
        return
    print(f"{args.out}\n{'method':<11}{'space':<12}{'SW2':>8}{'SSIM':>8}{'TV':>8}{'seconds':>9}")
    for one in results:
        s = one.score
        print(
            f"{one.method:<11}{one.space:<12}{s.sw2:8.4f}{s.ssim:8.3f}{s.tv:8.3f}{one.seconds:9.3f}"
        )


def _grey(picture) -> bool:
    return picture.pixels.ndim == 2 or picture.pixels.shape[2] == 2
