"""The list of what a run is to do: pairs in a CSV file, or the pictures in a folder."""

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

COLUMNS = ("source", "reference", "output")
SHOWN = 100  # letters of a line that a message shows
# what a folder is searched for, beside the types that are written too
READABLE = (".avif", ".bmp", ".gif", ".jfif", ".jp2", ".pgm", ".pnm", ".ppm", ".psd", ".tga")


@dataclass(frozen=True)
class Pair:
    """A row of the list.

    Attributes:
        row: its number, from 1.
        source, reference: as written there.
        output: within the folder of results; not empty once it is named.
        folder: of the list.
    """

    row: int
    source: str
    reference: str
    output: str
    folder: Path

    @property
    def inputs(self) -> tuple[Path, Path]:
        return self.folder / self.source, self.folder / self.reference


def read_list(path: Path) -> list[Pair]:
    """The pairs of a table, each with an output of its own.

    Raises:
        ValueError: on missing or unknown columns, empty cells, outputs that lie outside of the
            folder of results, are of an unknown type or the same.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            cells = [[cell.strip() for cell in line] for line in csv.reader(file)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: is not a table in UTF-8; save it as CSV UTF-8") from error
    head, *rows = [line for line in cells if any(line)] or [[]]
    head = [name.lower() for name in head]
    if not set(COLUMNS[:2]) <= set(head) <= set(COLUMNS) or len(set(head)) < len(head):
        raise ValueError(
            f"{path}: the first line must name the columns source, reference and, if wanted, "
            f"output, with commas between, and no others; got {_some(head) or 'nothing'}"
        )
    if not rows:
        raise ValueError(f"{path}: has no pairs")
    pairs = []
    for number, row in enumerate(rows, 1):
        where = f"{path}, row {number}"
        if len(row) > len(head):
            raise ValueError(f"{where}: more cells than columns ({_some(row)})")
        if not all(fits(cell) for cell in row):
            raise ValueError(f"{where}: a line break or the like in a name")
        named = dict(zip(head, row, strict=False))
        if not (named.get("source") and named.get("reference")):
            raise ValueError(f"{where}: source or reference is empty")
        pairs.append(Pair(number, *(named.get(name, "") for name in COLUMNS), folder=path.parent))
    return _named(pairs, path)


def _some(cells: list[str]) -> str:
    """Cells as a message can show them."""
    whole = ", ".join(cells)
    return whole if len(whole) <= SHOWN else f"{whole[:SHOWN]} ..."


def fits(name: str) -> bool:
    """Whether a name is one that a table in UTF-8 holds in a line."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return all(ord(letter) >= 32 for letter in name)


def _named(pairs: list[Pair], path: Path) -> list[Pair]:
    """The same with an output for each; those that a person chose come first."""
    taken: dict[str, int] = {}
    for pair in pairs:
        if pair.output:
            where = f"{path}, row {pair.row}: output {_some([pair.output])}"
            _check_output(Path(pair.output), where)
            first = taken.setdefault(plain(Path(pair.output)), pair.row)
            if first != pair.row:
                raise ValueError(f"{where} is that of row {first} too")
    counts: dict[str, int] = {}
    return [
        replace(pair, output=str(Path(pair.output)) if pair.output
                else _free_name(pair, taken, counts)) for pair in pairs
    ]  # fmt: skip


def _check_output(output: Path, where: str) -> None:
    from jaxcolor.image.files import FORMATS

    if output.is_absolute() or output.drive or ".." in output.parts:
        raise ValueError(f"{where} is not within the folder of results")
    if output.suffix.lower() not in FORMATS:
        raise ValueError(f"{where} is of an unknown file type; use one of {', '.join(FORMATS)}")


def _free_name(pair: Pair, taken: dict[str, int], counts: dict[str, int]) -> str:
    """A name that no other has; `counts` of those of the same pictures, for a long table."""
    from jaxcolor.image.files import FORMATS

    source, reference = Path(pair.source), Path(pair.reference)
    suffix = source.suffix if source.suffix.lower() in FORMATS else ".png"
    stem = f"{source.stem}_as_{reference.stem}"
    name, count = stem + suffix, counts.get(stem + suffix, 1)
    while plain(Path(name)) in taken:
        count += 1
        name = f"{stem}_{count}{suffix}"
    counts[stem + suffix] = count
    taken[plain(Path(name))] = pair.row
    return name


def plain(path: Path) -> str:
    """A path as it looks to a disk that does not tell capitals from small letters."""
    return str(path).casefold()


def pictures_in(folder: Path, out: Path) -> list[Path]:
    """Pictures in a folder and below it, sorted, relative to it; hidden ones, and what lies in
    `out`, are left out.

    Raises:
        ValueError: where there are none, where the folder is `out` itself, for names that do not
            fit into a table.
        OSError: where there is no such folder.
    """
    from jaxcolor.image.files import FORMATS

    own, found = os.path.realpath(out), []
    if own == os.path.realpath(folder):
        raise ValueError(f"{folder}: results go to another folder than their pictures")

    def refuse(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=refuse):
        here = Path(place)
        seen = [name for name in folders if not name.startswith(".")]
        folders[:] = [name for name in seen if os.path.realpath(here / name) != own]
        found += [(here / name).relative_to(folder) for name in names if not name.startswith(".")]
    found = sorted(path for path in found if path.suffix.lower() in {*FORMATS, *READABLE})
    if not found:
        raise ValueError(f"{folder}: has no pictures")
    for path in found:
        if not fits(str(path)):
            raise ValueError(f"{folder}: a line break or the like in the name {str(path)!r}")
    return found


def replaced(inputs: Iterable[Path], outputs: Iterable[Path]) -> Path | None:
    """One of the files that are read, should a result take its place: by another name, too."""
    places = {place: path for path in {*inputs} for place in _places(path)}
    found = (places.get(place) for output in outputs for place in _places(output))
    return next((path for path in found if path is not None), None)


def _places(path: Path) -> list:
    """What tells whether two names are of one file: links lead to it, hard ones are it;
    so is another spelling, on a disk that does not tell capitals from small letters."""
    place = os.path.realpath(path)  # `resolve` stumbles over links in a ring
    try:
        own = path.stat()
    except OSError:  # none as yet
        return [place]
    return [place, (own.st_dev, own.st_ino)]


def outputs_of(sources: Sequence[Path], kept: Iterable[str] = ()) -> list[Path]:
    """The names of results, those of the sources where they can be written, each once.

    Args:
        sources: their names, relative to a folder of their own.
        kept: suffixes beside those of pictures that results may have.

    Example:
        >>> [str(one) for one in outputs_of([Path("a.bmp"), Path("a.png"), Path("b/a.bmp")])]
        ['a_2.png', 'a.png', 'b/a.png']
    """
    from jaxcolor.image.files import FORMATS

    writable, taken, found = {*FORMATS, *kept}, set(), {}
    # those that keep their names come first
    for one in sorted(sources, key=lambda path: path.suffix.lower() not in writable):
        own = one if one.suffix.lower() in writable else one.with_suffix(".png")
        name, count = own, 1
        while plain(name) in taken:
            count += 1
            name = own.with_stem(f"{own.stem}_{count}")
        taken.add(plain(name))
        found[one] = name
    return [found[one] for one in sources]
