"""Results at full size: the files that `jaxcolor transfer` would write."""

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

from jaxcolor.cli.common import make_room
from jaxcolor.cli.tables import save_lut
from jaxcolor.cli.transfer import fitted, read_references
from jaxcolor.image import files
from jaxcolor.recipes.references import convert
from jaxcolor.studio.opened import Opened, telling
from jaxcolor.studio.settings import Settings, arguments, result_name

KINDS = ("picture", "cube", "zip")


def result(
    folder: Path, kind: str, sources: Sequence[Opened], others: Sequence[Opened], asked: Settings
) -> tuple[Path, list[str]]:
    """A file in a new folder, and what is to be told of it, a line each.

    Args:
        folder: where the new one is made; whoever calls removes it.
        kind: 'picture', or 'cube', of the first source; 'zip', pictures of all of them.
        sources: to change.
        others: whose look they get.
        asked: how.

    Raises:
        ValueError: another kind, and as the command.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown result {kind!r}: choose one of {', '.join(KINDS)}")
    make_room()
    place = Path(mkdtemp(dir=folder, prefix="result-"))
    try:
        if kind == "zip":
            return _zipped(place, sources, others, asked)
        return _written(place, sources[0], others, asked, kind == "cube")
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _zipped(
    place: Path, sources: Sequence[Opened], others: Sequence[Opened], asked: Settings
) -> tuple[Path, list[str]]:
    lines, names = [], []
    path = place / f"{Path(result_name('pictures', [one.name for one in others])).stem}.zip"
    with zipfile.ZipFile(path, "w") as archive:  # pictures are compressed already
        for number, source in enumerate(sources, 1):
            made, told = _written(place, source, others, asked, False)
            name = made.name if made.name not in names else f"{made.stem}_{number}{made.suffix}"
            archive.write(made, name)
            names.append(name)
            made.unlink()
            lines += told
    return path, lines


def _written(
    place: Path, source: Opened, others: Sequence[Opened], asked: Settings, cube: bool
) -> tuple[Path, list[str]]:
    names = [one.name for one in others]
    out = place / result_name(source.name, names)
    table = place / result_name(source.name, names, ".cube") if cube else None
    lut = None if table is None else str(table)
    paths = [str(one.path) for one in others]
    args = arguments(str(source.path), paths, str(out), asked, lut)
    with telling() as told:
        picture = files.read(source.path)
        found = [convert(one, picture.profile) for one in read_references(args)]
    files.check_alpha(out, picture)
    change = fitted(args, picture.view(name=source.name), found, None)
    if table is not None:
        with telling() as remarks:
            lines = save_lut(change, args.strength, str(table), args.lut_size, args.lut_1d)
        lines = [line.replace(f"{table}: ", "") for line in [*remarks, *lines]]
        return table, [f"{table.name}: {line}" for line in lines]
    recolored = picture.recolored(change.at(args.strength))
    with telling() as remarks:
        files.write(out, recolored)
    known = {str(one.path): one.name for one in (source, *others)} | {str(out): out.name}
    return out, [_named(line, known) for line in [*told, *remarks]]


def _named(line: str, known: dict[str, str]) -> str:
    for path, name in known.items():
        line = line.replace(path, name)
    return line
