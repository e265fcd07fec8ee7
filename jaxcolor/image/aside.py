"""Files that are whole or not there: written aside, then renamed."""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

from jaxcolor.stop import begin, unfinished

ROOM = 180  # bytes of a name that have room beside what is put around them; file systems take 255
PROBE = 1 << 16  # bytes that a disk takes unless it is full
# twice where a picture, itself written aside, waited for its line in a table
_LEFT = re.compile(r"\.{1,2}(.+?)\.(\d+)\.tmp(?:\.\d+\.tmp)?(\.\w+)", re.DOTALL)


@contextlib.contextmanager
def aside(path: str | PathLike) -> Iterator[Path]:
    """A path beside the wanted one to write to; renamed at the end, removed on any failure.

    Where there is a link of that name, the file takes its place; what it led to stays.
    """
    path = Path(path)
    stem = path.stem if str(path) in unfinished else _short(path.stem)
    temporary = path.with_name(f".{stem}.{os.getpid()}.tmp{path.suffix}")
    with begin:
        unfinished.add(str(temporary))
    try:
        yield temporary
        _ask(temporary)
        os.replace(temporary, path)
    except Exception as error:
        told = _told(error, temporary, path)
        raise told from error if told is not error else None
    finally:
        temporary.unlink(missing_ok=True)
        unfinished.discard(str(temporary))


def _ask(path: Path, mode: str = "r+b") -> None:
    """Find out whether the disk is full: some encoders do not notice, when the last of what they
    write is lost."""
    with path.open(mode) as file:
        size = file.seek(0, os.SEEK_END)
        file.write(bytes(PROBE))
        file.truncate(size)


def _told(error: Exception, temporary: Path, path: Path) -> Exception:
    """An error, in the disk's own words where it is full, with the name that the person gave."""
    if not isinstance(error, OSError) or error.errno is None:  # an encoder's, which may hide that
        try:
            _ask(temporary, "ab")
        except OSError as reason:
            error = reason
    if not isinstance(error, OSError):
        return error
    name = str(temporary)
    if error.errno is None:
        return type(error)(*(str(word).replace(name, str(path)) for word in error.args))
    if error.filename not in (None, name):
        return error
    return OSError(error.errno, error.strerror, str(path))


def _short(stem: str) -> str:
    """It, or of a long one its beginning and a digest."""
    name = os.fsencode(stem)
    if len(name) <= ROOM:
        return stem
    return f"{stem[:32]}~{hashlib.sha256(name).hexdigest()[:16]}"


def sweep(paths: Iterable[str | PathLike], *, alone: bool = False, spare: Iterable = ()) -> None:
    """Remove what `aside` left beside these paths in a run that was killed.

    Args:
        paths: of whole files.
        alone: whether no other process can be writing them; else what was left is that of
            processes that are gone.
        spare: files to keep, whatever they are called.
    """
    ours = {(path.parent, _short(path.stem), path.suffix) for path in map(Path, paths)}
    kept = {os.path.realpath(one) for one in spare}
    for folder in {parent for parent, _, _ in ours if parent.is_dir()}:
        for path in folder.iterdir():
            found = _LEFT.fullmatch(path.name)
            if found is None or (folder, found[1], found[3]) not in ours:
                continue
            if (alone or _gone(int(found[2]))) and os.path.realpath(path) not in kept:
                path.unlink(missing_ok=True)


def _gone(process: int) -> bool:
    """Whether there is no such process on this machine, as far as that can be known."""
    if os.name != "posix":  # elsewhere to ask is to end it
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return False
