"""What the pictures of a run share, and which of them are finished."""

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import jaxcolor
from jaxcolor.cli.batch_manifest import DONE, Entry, digest
from jaxcolor.cli.group import Group
from jaxcolor.recipes.styles import Style

READERS = 8  # files at a time whose digests are taken


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


def finished(
    job: Job, items: list[Entry], before: list[Entry], overwrite: bool
) -> dict[str, Entry]:
    """The lines of what need not be done again, by output.

    Raises:
        ValueError: where something else stands in the way, without `overwrite`.
    """
    known = {(one.output, one.digest): one for one in before}

    def check(item: Entry) -> tuple[Entry | None, str]:
        path = job.folder / item.output
        if not os.path.lexists(path):
            return None, ""
        # a link that leads nowhere is no result of ours
        entry = known.get((item.output, digest(path))) if path.exists() else None
        if entry is None:
            return None, "not made by this command, or changed by another"
        if entry.settings != job.settings:
            return None, "made with other settings or by another version"
        if not _is_of(job, entry, item):
            return None, "made of pictures that have changed since"
        return replace(entry, status=DONE, message=""), ""

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
