"""Files that are whole or not there: written aside, then renamed."""

import contextlib
import functools
import hashlib
import os
import platform
import re
import stat
import time
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

from jaxcolor.stop import begin, unfinished

ROOM = 180  # bytes of a name that have room beside what is put around them; file systems take 255
OLD = 86400  # seconds after which a file of another machine is taken for left
PROBE = 1 << 16  # bytes that a disk takes unless it is full
# twice where a picture, itself written aside, waited for its line in a table
_ONE = r"\.(\d+)(?:-([0-9a-f]{8}))?\.tmp"  # earlier versions did not write where
_LEFT = re.compile(rf"\.{{1,2}}(.+?){_ONE}(?:{_ONE})?(\.\w+)", re.DOTALL)


@contextlib.contextmanager
def aside(path: str | PathLike) -> Iterator[Path]:
    """A path beside the wanted one to write to; renamed at the end, removed on any failure.

    Where there is a link of that name, the file takes its place; what it led to stays.
    """
    path = Path(path)
    stem = path.stem if str(path) in unfinished else _short(path.stem)
    temporary = path.with_name(f".{stem}.{os.getpid()}-{_here()}.tmp{path.suffix}")
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
            processes of this machine that are gone, and of others what is old.
        spare: files to keep, whatever they are called.
    """
    ours = {(path.parent, _short(path.stem), path.suffix) for path in map(Path, paths)}
    kept = {os.path.realpath(one) for one in spare}
    for folder in {parent for parent, _, _ in ours if parent.is_dir()}:
        for path in folder.iterdir():
            found = _LEFT.fullmatch(path.name)
            if found is None or (folder, found[1], path.suffix) not in ours:
                continue
            with contextlib.suppress(OSError):  # gone meanwhile, or another's, who may remove it
                left = stat.S_ISREG(path.lstat().st_mode) and (alone or _left(path, found))
                if left and os.path.realpath(path) not in kept:
                    path.unlink()


def _left(path: Path, found: re.Match) -> bool:
    """Whether nobody writes this file any more, as far as that can be known."""
    if found[3] in (None, _here()):
        return _gone(int(found[2]))
    return time.time() - path.stat().st_mtime > OLD


@functools.cache
def _here() -> str:
    """Where the numbers of processes are those of this one: the machine, the container."""
    told = [platform.node()]
    with contextlib.suppress(OSError):  # Linux; two machines may have the same name
        told.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        told.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256(" ".join(told).encode()).hexdigest()[:8]


def _gone(process: int) -> bool:
    """Whether there is no such process here."""
    if os.name != "posix":  # elsewhere to ask is to end it
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return False
