"""`jaxcolor batch`: many pairs, named in a table."""

import argparse
import contextlib
import functools
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import jaxcolor
from jaxcolor.cli.batch_list import Pair, plain, read_list
from jaxcolor.cli.batch_manifest import DONE, FAILED, NAME, Entry, Manifest, alone, digest, sweep
from jaxcolor.cli.common import (
    Parser,
    add_overwrite,
    describe,
    out_folder,
    progress,
    start_jax,
)
from jaxcolor.cli.matching import add_matching, matching

EPILOG = """PAIRS.csv, its columns in any order:

  source,reference,output
  day1/beach.jpg,looks/sunset.jpg,warm/beach.jpg
  day1/pier.jpg,looks/sunset.jpg,

Paths are relative to the folder of PAIRS.csv, outputs lie in DIR. Without an output, pier.jpg
becomes pier_as_sunset.jpg, or pier_as_sunset_2.jpg where that name is taken (.png for types that
can be read only).

DIR/manifest.csv says what became of each pair; one that fails does not keep others from being
done. Stopped, or killed, and started again, the same command goes on where it was: what is finished
stays, what failed is tried again. Results of other settings, of another version or of pictures that
have changed since (their content, not their date), and files that are not its own, are replaced
with --overwrite only; without it nothing is done."""


@dataclass(frozen=True)
class Job:
    """What all pairs share.

    Attributes:
        folder: of the results.
        manifest: theirs.
        settings: all that decides the pixels, but for the pictures.
        digest: of a picture that is read, computed once.
    """

    folder: Path
    manifest: Manifest
    settings: str
    digest: Callable[[Path], str]


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="do many pairs, named in a table; go on where it was stopped",
        description="Give each source in PAIRS.csv the colours of its reference, as `jaxcolor "
        "transfer` does, and write the results to DIR.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pairs", metavar="PAIRS.csv", help="a pair on each row, see below")
    parser.add_argument("-o", "--out", metavar="DIR", required=True, help="folder to write to")
    add_matching(parser)
    add_overwrite(parser)
    parser.set_defaults(run=run, parser=parser)


def check_usage(args: argparse.Namespace) -> list[Pair]:
    """The pairs; what makes no sense ends with exit 2."""
    matching(args)
    parser: Parser = args.parser
    try:
        pairs = read_list(Path(args.pairs))
    except ValueError as error:
        parser.error(str(error))
    needed = [Path(args.pairs), *(path for pair in pairs for path in pair.inputs)]
    places = {plain(path.resolve()): path for path in needed}
    for output in [NAME, *(pair.output for pair in pairs)]:
        lost = places.get(plain((Path(args.out) / output).resolve()))
        if lost is not None:
            parser.error(f"{lost} would be replaced by a result: name another folder")
    return pairs


def run(args: argparse.Namespace) -> None:
    pairs = check_usage(args)
    folder = out_folder(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        job = Job(folder, Manifest(folder), _settings(args), functools.cache(digest))
        before = job.manifest.entries
        entries = _finished(job, pairs, args.overwrite)
        if entries:
            print(f"resumed: {len(entries)} of {len(pairs)} done already", flush=True)
        sweep([job.manifest.path, *(folder / pair.output for pair in pairs)])
        job.manifest.rewrite(before)
        entries |= _do(args, job, [pair for pair in pairs if pair.output not in entries])
        rows = [replace(entries[pair.output], row=str(pair.row)) for pair in pairs]
        # results of another list that lie here too
        others = {one.output: one for one in before if one.digest and one.output not in entries}
        job.manifest.rewrite([*rows, *others.values()])
    failed = [one for one in rows if one.status == FAILED]
    if failed:
        first = f"row {failed[0].row}: {failed[0].message}"
        raise ValueError(f"{len(failed)} of {len(pairs)} failed: see {job.manifest.path} ({first})")
    print(f"{job.manifest.path}: {len(pairs)} of {len(pairs)} done")


def _settings(args: argparse.Namespace) -> str:
    asked = matching(args)
    chosen = asked.fitting | asdict(asked.finish) | {"strength": args.strength, "seed": args.seed}
    words = [f"{name}={value}" for name, value in chosen.items() if value is not None]
    return " ".join([f"jaxcolor {jaxcolor.__version__}", *words])


def _finished(job: Job, pairs: list[Pair], overwrite: bool) -> dict[str, Entry]:
    """The lines of what need not be done again, by output.

    Raises:
        ValueError: where something else stands in the way, without `overwrite`.
    """
    entries, in_the_way = {}, {}
    for pair in pairs:
        path = job.folder / pair.output
        if not path.exists():
            continue
        entry = job.manifest.find(pair.output, digest(path))
        if entry is None:
            reason = "not made by this command, or changed by another"
        elif entry.settings != job.settings:
            reason = "made with other settings or by another version"
        elif not _made_of(entry, pair, job):
            reason = "made of pictures that have changed since"
        else:
            entries[pair.output] = entry
            continue
        in_the_way.setdefault(reason, []).append(pair.output)
    if in_the_way and not overwrite:
        told = [f"{_some(names)} ({reason})" for reason, names in in_the_way.items()]
        raise ValueError(f"{job.folder} holds {', '.join(told)}: --overwrite replaces them")
    return entries


def _made_of(entry: Entry, pair: Pair, job: Job) -> bool:
    try:
        now = [job.digest(path) for path in pair.inputs]
    except OSError:  # a picture that is gone is not the same
        return False
    return now == [entry.source_digest, entry.reference_digest]


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest


def _do(args: argparse.Namespace, job: Job, pairs: list[Pair]) -> dict[str, Entry]:
    """Every one of these pairs; the lines that tell what became of them, by output."""
    if not pairs:
        return {}
    start_jax()
    import jax

    from jaxcolor.recipes.pairs import Album, side_by_side, transfer_pair
    from jaxcolor.recipes.transfer import change

    asked, key = matching(args), jax.random.key(args.seed)

    def recolor(source, goal):
        return change(source, goal, asked, key=key).at(args.strength)

    transfer = functools.partial(transfer_pair, transfer=recolor, album=Album())
    results = side_by_side(functools.partial(_one, job, transfer), pairs)
    entries = {}
    with contextlib.closing(results), progress(len(pairs), "batch", unit=" pair") as step:
        for pair in pairs:
            step(Path(pair.output).name)
            entries[pair.output] = next(results)
    return entries


def _one(job: Job, transfer: Callable, pair: Pair) -> Entry:
    """One pair from files to file, with its line in the manifest."""
    from jaxcolor.image import files

    entry = Entry(str(pair.row), pair.source, pair.reference, pair.output, DONE)
    out = job.folder / pair.output
    try:
        # before they are read: were a picture exchanged in between, the line would not fit it
        source, reference = (job.digest(path) for path in pair.inputs)
        picture = transfer(*pair.inputs)
        files.check_alpha(out, picture)
        out.parent.mkdir(parents=True, exist_ok=True)
        with files.aside(out) as temporary:
            files.write(temporary, picture)
            entry = replace(
                entry,
                digest=digest(temporary),
                source_digest=source,
                reference_digest=reference,
                settings=job.settings,
            )
            job.manifest.append(entry)
    except Exception as error:
        if os.environ.get("JAXCOLOR_DEBUG"):
            raise
        entry = replace(entry, status=FAILED, message=describe(error), digest="")
        job.manifest.append(entry)
    return entry
