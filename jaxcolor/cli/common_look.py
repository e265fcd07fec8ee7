"""The work of `jaxcolor harmonize`: all pictures twice, once for their look, once to get it."""

import argparse
import contextlib
import functools
import hashlib
import warnings
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import jaxcolor
from jaxcolor.cli.batch_job import READERS, Job
from jaxcolor.cli.batch_manifest import TODO, Entry, Manifest, digest
from jaxcolor.cli.batch_run import Write, carry_out, one_by_one, write_each
from jaxcolor.cli.common import start_jax
from jaxcolor.cli.video import warn_of_hdr
from jaxcolor.image import is_clip
from jaxcolor.recipes.styles import Style

if TYPE_CHECKING:
    from jaxcolor.recipes.pairs import Album, Opened
    from jaxcolor.recipes.reduced import Common

MEASURES = ".measures"  # the folder, among the results, of what the look needs of each picture
SHOWN = 24  # pictures on the sheet


def bring_together(
    args: argparse.Namespace, job: Job, asked: Style, items: list[Entry]
) -> list[Entry]:
    """Give items, the last of which is the sheet, their common look: see `carry_out`."""
    kept: list[Path] = []
    if job.first:
        items = _planned(items)
        kept = _left(job, items[:-1])
    rows = carry_out(
        job,
        items,
        functools.partial(_work, args, job, asked),
        overwrite=args.overwrite,
        last=functools.partial(_sheet, job, items[:-1]),
        forget=functools.partial(_forget, job.folder / MEASURES),
        kept=kept,
    )
    return rows


def _planned(items: list[Entry]) -> list[Entry]:
    """They, knowing what they are made from: their source, and the look of all sources."""
    with ThreadPoolExecutor(READERS) as pool:
        own = list(pool.map(digest, (Path(one.source) for one in items[:-1])))
    look = hashlib.sha256("\n".join(own).encode()).hexdigest()[:16]
    return [
        replace(one, source_digest=source, reference_digest=look)
        for one, source in zip(items, [*own, ""], strict=True)
    ]


def _work(
    args: argparse.Namespace, job: Job, asked: Style, table: Manifest, plan: list[Entry]
) -> dict[str, Entry]:
    """This process's share: of all pictures' colours, then of the results."""
    start_jax()
    from jaxcolor.recipes import reduced

    members = [one for one in plan if one.source]
    kept = _kept(job, members)
    failed = _measured(job, table, members, kept)
    job.group.meet("measured")
    paths = [kept.path(one) for one in members]
    if not all(path.exists() for path in paths):
        return failed
    common = reduced.Common([reduced.load(path) for path in paths], args.weights)
    make = functools.partial(_recolored, args, job, asked, common, _album())
    return write_each(job, table, make, [one for one in members if one.status == TODO])


@dataclass(frozen=True)
class _Kept:
    """What is kept of pictures between the two passes, and from a run that was stopped.

    Attributes:
        folder: a file for each content of a picture lies there.
        size: how many colours, at most.
    """

    folder: Path
    size: int

    def path(self, item: Entry) -> Path:
        version = jaxcolor.__version__
        return self.folder / f"{item.source_digest}.{self.size}.{version}.npz"

    def usable(self, item: Entry) -> bool:
        """Whether it is there, whole."""
        from jaxcolor.recipes import reduced

        try:
            reduced.load(self.path(item))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return False
        return True


def _kept(job: Job, members: list[Entry]) -> _Kept:
    from jaxcolor.recipes.look import room

    return _Kept(job.folder / MEASURES, room(len(members)))


def _left(job: Job, members: list[Entry]) -> list[Path]:
    """What is kept of pictures, should a run that was stopped have left any of it."""
    if not (job.folder / MEASURES).is_dir():
        return []
    start_jax()
    kept = _kept(job, members)
    return [kept.path(one) for one in members]


def _measured(job: Job, table: Manifest, members: list[Entry], kept: _Kept) -> dict[str, Entry]:
    """See to it that the colours of this process's share of pictures are kept; the failures."""
    from jaxcolor.image import files
    from jaxcolor.recipes import reduced

    kept.folder.mkdir(exist_ok=True)
    album = _album()

    def measure(item: Entry) -> None:
        if not kept.usable(item):
            picture = _opened(item, album).picture
            files.check_alpha(job.folder / item.output, picture)
            own = reduced.reduced(picture, kept.size, Path(item.source).name)
            reduced.save(kept.path(item), own)

    once = {one.source_digest: one for one in members}  # two of the same content are one
    with _silence():  # what is to be said of a file is said when its result is made
        return one_by_one(job, table, measure, list(once.values()), "reading ")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _album() -> "Album":
    from jaxcolor.recipes.pairs import Album

    return Album(kept=())


def _opened(item: Entry, album: "Album") -> "Opened":
    """A picture, or some frames of a clip.

    Raises:
        ValueError: where it is no longer what the look is made from.
    """
    path = Path(item.source)
    if digest(path) != item.source_digest:
        raise ValueError(f"{path}: has changed since this run began; give the same command again")
    return album.open_clip(path) if is_clip(path) else album.open(path)


def _recolored(
    args: argparse.Namespace, job: Job, asked: Style, common: "Common", album: "Album", item: Entry
) -> Write:
    from jaxcolor.image import files
    from jaxcolor.recipes.transfer import change

    own = _opened(item, album)
    files.check_alpha(job.folder / item.output, own.picture)
    change_to = change(own.look, common.look(own.picture.profile), asked)
    if is_clip(item.source):
        warn_of_hdr(item.source)
        return functools.partial(_write_clip, item.source, change=change_to, strength=args.strength)
    picture = own.picture.recolored(change_to.at(args.strength))
    return functools.partial(files.write, picture=picture, name=job.folder / item.output)


def _write_clip(source: str, path: Path, *, change, strength: float) -> None:
    """A clip by the one map of its change, whose smoothing is for pictures."""
    from jaxcolor.image.transcode import Coding, transcode
    from jaxcolor.recipes.clip import by_shot
    from jaxcolor.recipes.finish import by_color
    from jaxcolor.recipes.shots import Shot

    color_map = by_color(change.color_map, strength, change.how)
    transcode(source, path, by_shot([Shot()], [color_map]), Coding())


def _sheet(job: Job, members: list[Entry], item: Entry) -> Write:
    """Pictures before and after, from all over the set."""
    from jaxcolor.image import files
    from jaxcolor.recipes import references
    from jaxcolor.recipes.sheet import Cell, sheet, thumbnail

    count = min(SHOWN, len(members))
    cells = []
    for one in (members[k * len(members) // count] for k in range(count)):
        with _silence():
            before, after = (
                thumbnail(references.shown(references.read(path)).encoded)
                for path in (Path(one.source), job.folder / one.output)
            )
        cells += [Cell(before, Path(one.source).name), Cell(after, "in the common look")]
    if count < len(members):
        cells[0] = replace(cells[0], note=f"{count} of {len(members)} pictures")
    return functools.partial(files.write, picture=files.Picture(sheet(cells, columns=4)))


def _forget(folder: Path) -> None:
    """Remove what is kept of pictures, and nothing that another put there."""
    for path in folder.glob(f"{'[0-9a-f]' * 16}.*.npz"):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty, or none
        folder.rmdir()
