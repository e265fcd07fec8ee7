"""`jaxcolor harmonize`: one look for many pictures."""

import argparse
from pathlib import Path

from jaxcolor.cli.batch_job import Job, settings
from jaxcolor.cli.batch_list import fits, outputs_of, pictures_in, plain, replaced
from jaxcolor.cli.batch_manifest import NAME, TODO, Entry
from jaxcolor.cli.batch_run import conclude
from jaxcolor.cli.common import (
    OneOf,
    Parser,
    add_overwrite,
    add_weights,
    check_weights,
    filled_folder,
)
from jaxcolor.cli.common_look import bring_together
from jaxcolor.cli.group import add_group, check_group, joined
from jaxcolor.cli.matching import (
    add_finishing,
    add_mixture,
    add_space,
    add_strength,
    finishing,
    mixing,
)
from jaxcolor.image import is_clip
from jaxcolor.recipes import HARMONIZING, HARMONY_BASES
from jaxcolor.recipes.styles import Style, style

SHEET = "before_after.png"
LOOK = "common look"  # what the manifest calls it
EPILOG = """examples:
  jaxcolor harmonize trip/*.jpg -o trip_in_one_look
  jaxcolor harmonize a.jpg b.jpg c.jpg -o out --weights 3 1 1     # mostly the look of a.jpg
  jaxcolor harmonize scan_*.tif -o out --method gaussian --strength 0.7
  jaxcolor harmonize cam1.mp4 cam2.mp4 still.jpg -o out            # clips too, one map each
  jaxcolor harmonize --images photos -o out --processes 4          # a folder, and those below it

Each picture goes to DIR under its own name, with its own size, depth, transparency and profile,
and some of them, before and after, onto the sheet before_after.png.

All are read twice, first for the common look, which takes them all: where one cannot be read
nothing is made, and DIR/manifest.csv names it. Then each is written as it is done. Stopped, or
killed, and started again, the same command goes on where it was. Results of other settings, of
another version or of another set of pictures, and files that are not its own, are replaced with
--overwrite only."""


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="bring several pictures to one look",
        description="Find the look in the middle of all IMAGES (their colours' Wasserstein "
        "barycenter) and give it to each of them.",
        epilog=EPILOG,
    )
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="two pictures or clips or more")
    parser.add_argument(
        "--images",
        dest="folder",
        metavar="FOLDER",
        help="instead: all pictures in a folder and in those below it, but for hidden ones",
    )
    parser.add_argument("-o", "--out", metavar="DIR", required=True, help="folder to write to")
    add_weights(parser, "picture")
    parser.add_argument(
        "--method",
        type=OneOf(HARMONIZING, "method"),
        default="sliced",
        help="sliced: whole palettes, closest. newton: the same, smoother. gaussian: average, "
        "contrast and colour balance alone; gentlest. mixture: the same for each part of the "
        "palette (default: sliced)",
    )
    add_space(parser, HARMONIZING)
    add_strength(parser)
    add_finishing(parser)
    add_mixture(parser)
    add_overwrite(parser)
    add_group(parser)
    parser.set_defaults(run=run, check=check_usage, parser=parser)


def _style(args: argparse.Namespace) -> Style:
    parser: Parser = args.parser
    try:
        return style(
            method=args.method,
            space=args.space,
            bases=HARMONY_BASES,
            **mixing(args),
            **finishing(args),
        )
    except ValueError as error:
        parser.error(str(error))


def _places(args: argparse.Namespace) -> tuple[list[Path], list[Path]]:
    """Pictures and clips, and where each result goes within DIR.

    Raises:
        ValueError: where that cannot be.
    """
    from jaxcolor.image import video

    if args.folder is not None:
        folder = Path(args.folder)
        names = pictures_in(folder, Path(args.out))
        return [folder / name for name in names], outputs_of(names)
    sources = [Path(image) for image in args.images]
    for source in sources:
        if not fits(str(source)):
            raise ValueError(f"a line break or the like in the name {str(source)!r}")
        if is_clip(source) and source.suffix.lower() not in video.FORMATS:
            kinds = ", ".join(video.FORMATS)
            raise ValueError(f"{source}: unknown file type; use one of {kinds}")
    # one at a time: two of the same name are for a person to sort out
    return sources, [outputs_of([Path(one.name)], video.FORMATS)[0] for one in sources]


def check_usage(args: argparse.Namespace) -> list[Entry]:
    """What is to be made, the sheet last; what makes no sense ends with exit 2."""
    parser: Parser = args.parser
    check_group(args)
    if bool(args.images) == (args.folder is not None):
        parser.error("IMAGE after IMAGE, or --images FOLDER: one of both")
    try:
        sources, outputs = _places(args)
    except ValueError as error:
        parser.error(str(error))
    if len(sources) < 2:
        parser.error("two pictures or more are needed")
    check_weights(args, len(sources), "pictures")
    _style(args)
    if len({plain(path) for path in [*outputs, Path(SHEET)]}) <= len(outputs):
        parser.error(f"two pictures have the same name, or one is called {SHEET}")
    lost = replaced(sources, [Path(args.out) / path for path in [NAME, SHEET, *outputs]])
    if lost is not None:
        parser.error(f"{lost} would be replaced by a result: name another folder")
    items = [
        Entry(str(row), str(source), LOOK, str(output), TODO)
        for row, (source, output) in enumerate(zip(sources, outputs, strict=True), 1)
    ]
    return [*items, Entry("sheet", "", LOOK, SHEET, TODO)]


def run(args: argparse.Namespace) -> None:
    items = check_usage(args)
    with filled_folder(args.out) as folder:
        with joined(args) as group:
            how = settings(_style(args), strength=args.strength, weights=args.weights)
            job = Job(folder, Path(), how, group, "harmonize")
            rows = bring_together(args, job, _style(args), items)
        if job.first:  # it speaks when all have come to an end
            told = conclude(job, rows)
            some = "\n".join(str(folder / one.output) for one in items)
            print(told if args.folder is not None else some)
