"""The list of pairs that a batch is to do: a table in a CSV file."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

COLUMNS = ("source", "reference", "output")


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
            f"output, with commas between, and no others; got {', '.join(head) or 'nothing'}"
        )
    if not rows:
        raise ValueError(f"{path}: has no pairs")
    pairs = []
    for number, row in enumerate(rows, 1):
        where = f"{path}, row {number}"
        if len(row) > len(head):
            raise ValueError(f"{where}: more cells than columns ({', '.join(row)})")
        if any(ord(letter) < 32 for cell in row for letter in cell):
            raise ValueError(f"{where}: a line break or the like in a name")
        named = dict(zip(head, row, strict=False))
        if not (named.get("source") and named.get("reference")):
            raise ValueError(f"{where}: source or reference is empty")
        pairs.append(Pair(number, *(named.get(name, "") for name in COLUMNS), folder=path.parent))
    return _named(pairs, path)


def _named(pairs: list[Pair], path: Path) -> list[Pair]:
    """The same with an output for each; those that a person chose come first."""
    taken: dict[str, int] = {}
    for pair in pairs:
        if pair.output:
            where = f"{path}, row {pair.row}: output {pair.output}"
            _check_output(Path(pair.output), where)
            first = taken.setdefault(plain(Path(pair.output)), pair.row)
            if first != pair.row:
                raise ValueError(f"{where} is that of row {first} too")
    return [
        replace(pair, output=str(Path(pair.output)) if pair.output else _free_name(pair, taken))
        for pair in pairs
    ]


def _check_output(output: Path, where: str) -> None:
    from jaxcolor.image.files import FORMATS

    if output.is_absolute() or output.drive or ".." in output.parts:
        raise ValueError(f"{where} is not within the folder of results")
    if output.suffix.lower() not in FORMATS:
        raise ValueError(f"{where} is of an unknown file type; use one of {', '.join(FORMATS)}")


def _free_name(pair: Pair, taken: dict[str, int]) -> str:
    from jaxcolor.image.files import FORMATS

    source, reference = Path(pair.source), Path(pair.reference)
    suffix = source.suffix if source.suffix.lower() in FORMATS else ".png"
    stem = f"{source.stem}_as_{reference.stem}"
    name, count = stem + suffix, 1
    while plain(Path(name)) in taken:
        count += 1
        name = f"{stem}_{count}{suffix}"
    taken[plain(Path(name))] = pair.row
    return name


def plain(path: Path) -> str:
    """A path as it looks to a disk that does not tell capitals from small letters."""
    return str(path).casefold()
