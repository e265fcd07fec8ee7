"""A long run over many pictures, shared between processes: each once, whatever stops it.

The first process of the group holds the folder, decides what is left to do and tells the others in
`manifest.todo.csv`. Each notes what it has made in a table of its own, and at the end the first
puts these together. Killed at any moment, what they noted is found by the next run, whether that
has as many processes or not.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import jaxcolor
from jaxcolor.cli.batch_manifest import (
    DONE,
    FAILED,
    NAME,
    TODO,
    Entry,
    Manifest,
    alone,
    digest,
    parts,
    sweep,
)
from jaxcolor.cli.common import describe, progress
from jaxcolor.cli.group import Group
from jaxcolor.recipes.looks import Style

LEFT = "todo"  # the table that says what is left to do
READERS = 8  # files at a time whose digests are taken

Write = Callable[[Path], None]
Make = Callable[[Entry], Write]  # does all that can be done before the file is opened


@dataclass(frozen=True)
class Job:
    """What all pictures of a run share.

    Attributes:
        folder: of the results.
        base: what the sources' and references' names are relative to.
        settings: all that decides the pixels, but for the pictures.
        group: the processes at work.
        title: of the bar.
        digest: of a picture that is read, computed once.
    """

    folder: Path
    base: Path
    settings: str
    group: Group
    title: str
    digest: Callable[[Path], str] = field(default_factory=lambda: functools.cache(digest))

    @property
    def first(self) -> bool:
        """Whether this process speaks for all."""
        return self.group.index == 0

    def made_from(self, item: Entry) -> tuple[str, str]:
        """The digests of what an item is made from, as planned or as the files are now."""
        if item.reference_digest:
            return item.source_digest, item.reference_digest
        source, reference = (self.digest(self.base / one) for one in (item.source, item.reference))
        return source, reference


def settings(asked: Style, **others) -> str:
    """All that decides the pixels, but for the pictures, in words."""
    chosen = asked.fitting | asdict(asked.finish) | others
    words = [f"{name}={value}" for name, value in chosen.items() if value is not None]
    return " ".join([f"jaxcolor {jaxcolor.__version__}", *words])


# what a process does with the items of a run, all of them; the lines that tell of its own
Work = Callable[[Manifest, list[Entry]], dict[str, Entry]]


def carry_out(
    job: Job, items: list[Entry], work: Work, *, overwrite: bool, last: Make | None = None
) -> list[Entry]:
    """Make what is not finished, together with the other processes.

    Args:
        job: what items share.
        items: lines that are still TODO; those of the first process count.
        work: makes this process's share of those in its list that are TODO.
        overwrite: replace what else has their names.
        last: makes the item without a source, if there is one, when all others are done.

    Returns:
        In the first process a line for each item, in their order; in others none.

    Raises:
        ValueError: where something else stands in the way.
    """
    with alone(job.folder) if job.first else contextlib.nullcontext():
        before = _recovered(job.folder) if job.first else []
        finished = _finished(job, items, before, overwrite) if job.first else {}
        mine, plan = _begin(job, items, before, finished)
        left = any(one.status == TODO and one.source for one in plan)
        made = work(mine, plan) if left else {}
        job.group.meet("done")
        if not job.first:
            return []
        told = {one.output: one for part in parts(job.folder) for one in part.entries}
        entries = told | made | finished
        entries |= _last(job, mine, last, items, entries)
        rows = [replace(entries.get(one.output, one), row=one.row) for one in items]
        # results of another list that lie here too
        known = {one.output for one in items if one.output in entries}
        others = {one.output: one for one in before if one.digest and one.output not in known}
        mine.rewrite([*rows, *others.values()])
        _clear(job.folder)
    return rows


def _recovered(folder: Path) -> list[Entry]:
    """What earlier runs noted, those that were killed too; no line twice."""
    lines = [one for table in (Manifest(folder), *parts(folder)) for one in table.entries]
    return list({(one.output, one.digest): one for one in lines}.values())


def _begin(
    job: Job, items: list[Entry], before: list[Entry], finished: dict[str, Entry]
) -> tuple[Manifest, list[Entry]]:
    """The table of this process, and what is to be done by all."""
    if not job.first:
        job.group.meet("planned")
        mine = Manifest(job.folder, str(job.group.index))
        mine.rewrite([])
        return mine, Manifest(job.folder, LEFT).entries
    done, count = (sum(bool(one.source) for one in some) for some in (finished.values(), items))
    if done:
        print(f"resumed: {done} of {count} done already", flush=True)
    mine, left = Manifest(job.folder), Manifest(job.folder, LEFT)
    tables = [mine, left, *parts(job.folder)]
    sweep([*(one.path for one in tables), *(job.folder / item.output for item in items)])
    mine.rewrite(before)
    _clear(job.folder)
    plan = [finished.get(item.output, item) for item in items]
    if job.group.count > 1:
        left.rewrite(plan)
    job.group.meet("planned")
    return mine, plan


def _last(
    job: Job, table: Manifest, make: Make | None, items: list[Entry], entries: dict[str, Entry]
) -> dict[str, Entry]:
    """What needs all others."""
    waiting = [one for one in items if one.output not in entries]
    failed = any(one.status == FAILED for one in entries.values())
    if make is None or failed or any(one.source for one in waiting):
        return {}
    return write_each(job, table, make, waiting)


def _clear(folder: Path) -> None:
    """Remove tables whose lines stand in the manifest."""
    for part in [Manifest(folder, LEFT), *parts(folder)]:
        part.path.unlink(missing_ok=True)


def _finished(
    job: Job, items: list[Entry], before: list[Entry], overwrite: bool
) -> dict[str, Entry]:
    """The lines of what need not be done again, by output.

    Raises:
        ValueError: where something else stands in the way, without `overwrite`.
    """
    known = {(one.output, one.digest): one for one in before}

    def check(item: Entry) -> tuple[Entry | None, str]:
        path = job.folder / item.output
        if not path.exists():
            return None, ""
        entry = known.get((item.output, digest(path)))
        if entry is None:
            return None, "not made by this command, or changed by another"
        if entry.settings != job.settings:
            return None, "made with other settings or by another version"
        return (entry, "") if _is_of(job, entry, item) else (None, "made of pictures that have "
                                                             "changed since")  # fmt: skip

    with ThreadPoolExecutor(READERS) as pool:
        found = dict(zip((item.output for item in items), pool.map(check, items), strict=True))
    in_the_way = {}
    for output, (_, reason) in found.items():
        if reason:
            in_the_way.setdefault(reason, []).append(output)
    if in_the_way and not overwrite:
        told = [f"{_some(names)} ({reason})" for reason, names in in_the_way.items()]
        raise ValueError(f"{job.folder} holds {', '.join(told)}: --overwrite replaces them")
    return {output: entry for output, (entry, _) in found.items() if entry is not None}


def _is_of(job: Job, entry: Entry, item: Entry) -> bool:
    try:
        now = job.made_from(item)
    except OSError:  # a picture that is gone is not the same
        return False
    return now == (entry.source_digest, entry.reference_digest)


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest


def one_by_one(
    job: Job,
    table: Manifest,
    do: Callable[[Entry], Entry | None],
    items: Sequence[Entry],
    told: str = "",
) -> dict[str, Entry]:
    """Each of this process's share of some items, several under way at a time.

    Args:
        job: what items share.
        table: gets a line for each that fails.
        do: one item; its line.
        items: of all processes.
        told: what the bar says is done.

    Returns:
        The lines, those of failures too, by output.
    """
    from jaxcolor.recipes.pairs import side_by_side

    def attempt(item: Entry) -> Entry | None:
        try:
            return do(item)
        except Exception as error:
            if os.environ.get("JAXCOLOR_DEBUG"):
                raise
            entry = replace(item, status=FAILED, message=describe(error), digest="")
            table.append(entry)
            return entry

    share = job.group.share(items)
    lines = {}
    results = side_by_side(attempt, share)
    bar = progress(len(share), job.title, " picture") if job.first else _silence()
    with contextlib.closing(results), bar as step:
        for item in share:
            step(f"{told}{Path(item.output).name}")
            line = next(results)
            if line is not None:
                lines[item.output] = line
    return lines


@contextlib.contextmanager
def _silence():
    yield lambda name: None


def write_each(job: Job, table: Manifest, make: Make, items: Sequence[Entry]) -> dict[str, Entry]:
    """The results of this process's share of some items, each with its line in the table."""

    def one(item: Entry) -> Entry:
        from jaxcolor.image.files import aside

        out = job.folder / item.output
        # before they are read: were a picture exchanged in between, the line would not fit it
        source, reference = job.made_from(item)
        write = make(item)
        out.parent.mkdir(parents=True, exist_ok=True)
        with aside(out) as temporary:
            write(temporary)
            entry = replace(
                item,
                status=DONE,
                digest=digest(temporary),
                source_digest=source,
                reference_digest=reference,
                settings=job.settings,
            )
            table.append(entry)
        return entry

    return one_by_one(job, table, one, items)


def conclude(job: Job, rows: list[Entry]) -> str:
    """What a person is told when all items are done.

    Raises:
        ValueError: where some are not.
    """
    path, count = job.folder / NAME, sum(bool(one.source) for one in rows)
    failed = [one for one in rows if one.status == FAILED]
    if failed:
        first = f"row {failed[0].row}: {failed[0].message}"
        raise ValueError(f"{len(failed)} of {count} failed: see {path} ({first})")
    left = sum(one.status == TODO for one in rows)
    if left:
        raise ValueError(f"{left} of {count} are not done yet: give the same command again")
    return f"{path}: {count} of {count} done"
