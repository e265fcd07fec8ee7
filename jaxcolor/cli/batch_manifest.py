"""What a run has done so far, kept in its folder: a table that survives being killed."""

import contextlib
import csv
import hashlib
import io
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

NAME = "manifest.csv"
DONE, FAILED, TODO = "done", "failed", "todo"


@dataclass(frozen=True)
class Entry:
    """A line: a picture, what became of it, and from what.

    Attributes:
        row: its number in the list of what is to be done, from 1.
        source, reference: as in that list. output: within the folder.
        status: DONE, FAILED or TODO. message: why it failed.
        digest: of the output. source_digest, reference_digest: of what it was, or is to be, made
            from.
        settings: how it was made, and by which version.
    """

    row: str
    source: str
    reference: str
    output: str
    status: str
    message: str = ""
    digest: str = ""
    source_digest: str = ""
    reference_digest: str = ""
    settings: str = ""


HEADER = tuple(field.name for field in fields(Entry))


def digest(path: Path) -> str:
    """The first 16 hexadecimal digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


class Manifest:
    """The table of a folder, to which threads may append.

    A picture's line is on the disk before the picture has its name. Killed in between, the line
    speaks of a file that is not there; but no picture is without its line.

    Args:
        folder: of the results.
        part: the table's own name, where it is one of several: no two processes append to one.

    Raises:
        ValueError: where a file of that name is something else.
    """

    def __init__(self, folder: Path, part: str = ""):
        self.path = (folder / NAME).with_suffix(f".{part}.csv" if part else ".csv")
        self.entries = _read(self.path) if self.path.exists() else []
        self._lock = threading.Lock()

    def append(self, entry: Entry) -> None:
        """Add a line; it is on the disk when this returns, or nothing of it is.

        Raises:
            FileNotFoundError: where another run has taken the folder over.
            OSError: where the disk says no.
        """
        line = _lines(astuple(entry))
        # not made, for it has its header; appended to at once
        with self._lock, open(os.open(self.path, os.O_WRONLY | os.O_APPEND), "wb", 0) as file:
            end = os.fstat(file.fileno()).st_size
            try:
                while line:  # of which a disk that is nearly full takes a part, and says nothing
                    line = line[file.write(line) :]
                os.fsync(file.fileno())
            except OSError as error:
                file.truncate(end)
                raise OSError(error.errno, error.strerror, str(self.path)) from error

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Replace the whole table, at once; a torn line goes with it."""
        from jaxcolor.image.files import aside

        self.entries = list(entries)
        with aside(self.path) as temporary:
            temporary.write_bytes(_lines(HEADER, *(astuple(one) for one in self.entries)))


def parts(folder: Path) -> list[Manifest]:
    """The tables that further processes of a run left, manifest.1.csv and so on."""
    stem, suffix = NAME.split(".")
    names = (path.name.split(".") for path in sorted(folder.glob(f"{stem}.*.{suffix}")))
    return [Manifest(folder, name[1]) for name in names if len(name) == 3 and name[1].isdecimal()]


def _lines(*rows: tuple[str, ...]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _read(path: Path) -> list[Entry]:
    """Every whole line; the last may be torn."""
    header, *lines = path.read_bytes().decode(errors="replace").split("\n")[:-1] or [""]
    if header != ",".join(HEADER):
        raise ValueError(f"{path}: is not a manifest of jaxcolor; name another folder")
    try:
        return [Entry(*row) for row in csv.reader(lines) if len(row) == len(HEADER)]
    except csv.Error as error:
        raise ValueError(f"{path}: damaged ({error}); name another folder") from error


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Keep other runs out of a folder, and tell whether that could be done.

    A process that dies lets go of it.
    """
    try:
        import fcntl
    except ImportError:  # Windows cannot lock a folder
        yield False
        return
    handle, held = os.open(folder, os.O_RDONLY), True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise ValueError(f"{folder}: another run is at work there") from error
    except OSError:  # nor can some network drives
        held = False
    try:
        yield held
    finally:
        os.close(handle)
