"""`jaxcolor batch`: many pairs, named in a table, or a folder of pictures and one reference."""

import argparse
import functools
from collections import Counter
from pathlib import Path

from jaxcolor.cli.batch_job import Job, settings
from jaxcolor.cli.batch_list import outputs_of, pictures_in, read_list, replaced
from jaxcolor.cli.batch_manifest import NAME, TODO, Entry, Manifest
from jaxcolor.cli.batch_run import Write, carry_out, conclude, write_each
from jaxcolor.cli.common import Parser, add_overwrite, out_folder, start_jax
from jaxcolor.cli.group import add_group, check_group, joined
from jaxcolor.cli.matching import add_matching, matching

EPILOG = """PAIRS.csv, its columns in any order:

  source,reference,output
  day1/beach.jpg,looks/sunset.jpg,warm/beach.jpg
  day1/pier.jpg,looks/sunset.jpg,

Paths are relative to the folder of PAIRS.csv, outputs lie in DIR. Without an output, pier.jpg
becomes pier_as_sunset.jpg, or pier_as_sunset_2.jpg where that name is taken (.png for types that
can be read only).

  jaxcolor batch --reference sunset.jpg --images photos -o warm

Every picture in photos, and in folders below it, gets the look of one reference, a picture, a
palette or a clip, and keeps its name, that of its folder too. Hidden files and what is no picture
are left out, and DIR, should it lie there.

DIR/manifest.csv says what became of each pair; one that fails does not keep others from being
done. Stopped, or killed, and started again, the same command goes on where it was, with as many
processes as it is now given: what is finished stays, what failed is tried again. Results of other
settings, of another version or of pictures that have changed since (their content, not their
date), and files that are not its own, are replaced with --overwrite only; without it nothing is
done."""


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="do many pairs, or a folder; go on where it was stopped",
        description="Give each source in PAIRS.csv the colours of its reference, or each picture "
        "in a folder those of one, as `jaxcolor transfer` does, and write the results to DIR.",
        epilog=EPILOG,
    )
    parser.add_argument("pairs", metavar="PAIRS.csv", nargs="?", help="a pair on each row")
    parser.add_argument(
        "--reference", metavar="FILE", help="picture, palette or clip whose look all --images get"
    )
    parser.add_argument("--images", metavar="FOLDER", help="pictures, in folders below it too")
    parser.add_argument("-o", "--out", metavar="DIR", required=True, help="folder to write to")
    add_matching(parser)
    add_overwrite(parser)
    add_group(parser)
    parser.set_defaults(run=run, check=check_usage, parser=parser)


def check_usage(args: argparse.Namespace) -> tuple[Path, list[Entry]]:
    """What is to be done, and what its names are relative to; what makes no sense ends with
    exit 2."""
    matching(args)
    check_group(args)
    parser: Parser = args.parser
    asked = [args.reference is not None, args.images is not None]
    if args.pairs is not None and any(asked):
        parser.error("PAIRS.csv, or --reference and --images: one of both")
    if args.pairs is None and not all(asked):
        parser.error("PAIRS.csv is missing, or else --reference and --images together")
    try:
        base, items = _in_table(args) if args.pairs is not None else _in_folder(args)
    except ValueError as error:
        parser.error(str(error))
    needed = {base / path for item in items for path in (item.source, item.reference)}
    outputs = [NAME, *(item.output for item in items)]
    lost = replaced(
        [Path(args.pairs or args.images), *needed], (Path(args.out) / one for one in outputs)
    )
    if lost is not None:
        parser.error(f"{lost} would be replaced by a result: name another folder")
    return base, items


def _in_table(args: argparse.Namespace) -> tuple[Path, list[Entry]]:
    path = Path(args.pairs)
    pairs = read_list(path)
    return path.parent, [
        Entry(str(one.row), one.source, one.reference, one.output, TODO) for one in pairs
    ]


def _in_folder(args: argparse.Namespace) -> tuple[Path, list[Entry]]:
    folder = Path(args.images)
    names = pictures_in(folder, Path(args.out))
    return Path(), [
        Entry(str(row), str(folder / name), args.reference, str(output), TODO)
        for row, (name, output) in enumerate(zip(names, outputs_of(names), strict=True), 1)
    ]


def run(args: argparse.Namespace) -> None:
    base, items = check_usage(args)
    folder = out_folder(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    with joined(args) as group:
        how = settings(matching(args), strength=args.strength, seed=args.seed)
        job = Job(folder, base, how, group, "batch")
        work = functools.partial(_work, args, job)
        rows = carry_out(job, items, work, overwrite=args.overwrite)
    if job.first:  # said when all have come to an end
        print(conclude(job, rows))


def _work(
    args: argparse.Namespace, job: Job, table: Manifest, plan: list[Entry]
) -> dict[str, Entry]:
    """This process's share of what is left."""
    start_jax()
    import jax

    from jaxcolor.image import files
    from jaxcolor.recipes.pairs import Album, transfer_pair
    from jaxcolor.recipes.transfer import change

    asked, key = matching(args), jax.random.key(args.seed)
    left = [one for one in plan if one.status == TODO]
    share = job.group.share(left)
    uses = Counter(job.base / path for one in share for path in (one.source, one.reference))
    album = Album(kept=[path for path, count in uses.items() if count > 1])

    def recolor(source, goal):
        return change(source, goal, asked, key=key).at(args.strength)

    def make(item: Entry) -> Write:
        places = job.base / item.source, job.base / item.reference
        picture = transfer_pair(*places, recolor, album)
        out = job.folder / item.output
        files.check_alpha(out, picture)
        return functools.partial(files.write, picture=picture, name=out)

    return write_each(job, table, make, left)
