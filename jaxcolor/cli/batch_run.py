"""A long run over many pictures, shared between processes: each once, whatever stops it.

The first process of the group holds the folder, decides what is left to do and tells the others in
`manifest.todo.csv`. Each notes what it has made in a table of its own, and at the end the first
puts these together. Killed at any moment, what they noted is found by the next run, whether that
has as many processes or not.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from jaxcolor.cli.batch_job import Job, finished
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
)
from jaxcolor.cli.common import describe, progress

LEFT = "todo"  # the table that says what is left to do

Write = Callable[[Path], None]
Make = Callable[[Entry], Write]  # does all that can be done before the file is opened


# what a process does with the items of a run, all of them; the lines that tell of its own
Work = Callable[[Manifest, list[Entry]], dict[str, Entry]]


def carry_out(
    job: Job,
    items: list[Entry],
    work: Work,
    *,
    overwrite: bool,
    last: Make | None = None,
    forget: Callable[[], None] = lambda: None,
    kept: Iterable[Path] = (),
) -> list[Entry]:
    """Make what is not finished, together with the other processes.

    Args:
        job: what items share.
        items: lines that are still TODO; those of the first process count.
        work: makes this process's share of those in its list that are TODO.
        overwrite: replace what else has their names.
        last: makes the item without a source, if there is one, when all others are done.
        forget: removes what was kept on the way, when all are.
        kept: its files; what killed runs left beside them is removed at the beginning.

    Returns:
        In the first process a line for each item, in their order; in others none.

    Raises:
        ValueError: where something else stands in the way.
    """
    with alone(job.folder) if job.first else contextlib.nullcontext(False) as held:
        before = _recovered(job.folder) if job.first else []
        ready = finished(job, items, before, overwrite) if job.first else {}
        if job.first:
            _sweep(job, [*kept, *(job.folder / one.output for one in items)], held)
        mine, plan = _begin(job, items, before, ready)
        left = any(one.status == TODO and one.source for one in plan)
        made = work(mine, plan) if left else {}
        job.group.meet("done")
        rows = _gathered(job, items, before, ready | made, mine, last) if job.first else []
        if rows and all(one.status == DONE for one in rows):
            forget()
    job.group.meet("noted")  # the runtime waits a few seconds only for processes that end later
    return rows


def _gathered(
    job: Job,
    items: list[Entry],
    before: list[Entry],
    made: dict[str, Entry],
    table: Manifest,
    last: Make | None,
) -> list[Entry]:
    """A line for each item, all of them in the one table."""
    told = {one.output: one for part in parts(job.folder) for one in part.entries}
    entries = told | made
    entries |= _last(job, table, last, items, entries)
    rows = [_now(entries.get(one.output, one), one) for one in items]
    # results of another list that lie here too
    known = {one.output for one in items if one.output in entries}
    others = {one.output: one for one in before if one.digest and one.output not in known}
    table.rewrite([*rows, *others.values()])
    _clear(job.folder)
    return rows


def _now(entry: Entry, item: Entry) -> Entry:
    """A line with the names that its pictures have in this run."""
    return replace(entry, row=item.row, source=item.source, reference=item.reference)


def _recovered(folder: Path) -> list[Entry]:
    """What earlier runs noted, those that were killed too; no line twice."""
    lines = [one for table in (Manifest(folder), *parts(folder)) for one in table.entries]
    return list({(one.output, one.digest): one for one in lines}.values())


def _sweep(job: Job, paths: list[Path], held: bool) -> None:
    """Remove what killed runs left, before the other processes begin; of all, where the folder
    is held."""
    from jaxcolor.image.aside import sweep

    tables = [Manifest(job.folder), Manifest(job.folder, LEFT), *parts(job.folder)]
    sweep([*(one.path for one in tables), *paths], alone=held)


def _begin(
    job: Job, items: list[Entry], before: list[Entry], ready: dict[str, Entry]
) -> tuple[Manifest, list[Entry]]:
    """The table of this process, and what is to be done by all."""
    if not job.first:
        job.group.meet("planned")
        mine = Manifest(job.folder, str(job.group.index))
        mine.rewrite([])
        return mine, Manifest(job.folder, LEFT).entries
    done, count = (sum(bool(one.source) for one in some) for some in (ready.values(), items))
    if done:
        print(f"resumed: {done} of {count} done already", flush=True)
    mine, left = Manifest(job.folder), Manifest(job.folder, LEFT)
    mine.rewrite(before)
    _clear(job.folder)
    plan = [_now(ready.get(item.output, item), item) for item in items]
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
            entry = replace(item, status=FAILED, message=describe(error))
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
