"""`jaxcolor batch` and `jaxcolor harmonize` over folders: shared by processes, stopped, resumed."""

import contextlib
import csv
import gc
import os
import threading
import weakref
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from jaxcolor.cli import batch, common_look, harmonize
from jaxcolor.cli.batch_list import outputs_of, pictures_in
from jaxcolor.cli.batch_manifest import Entry, Manifest
from jaxcolor.cli.group import Group
from jaxcolor.cli.main import build_parser
from jaxcolor.image import colors, files
from jaxcolor.recipes import pairs, sheet

QUICK = ("--method", "gaussian")  # the one that takes least
COUNT = 7


@pytest.fixture
def folder(tmp_path, photographs):
    """Seven pictures in a folder and one below it, and things that are none."""
    rng = np.random.default_rng(0)
    place = tmp_path / "in"
    (place / "sub" / "deeper").mkdir(parents=True)
    for k in range(COUNT):
        rows, shift = 20 + 2 * k, rng.integers(0, 60, 3)
        pixels = photographs[k % 2][:rows, k : k + 30] // 2 + shift
        where = place / ("sub/deeper" if k % 3 == 2 else ".") / f"{k}.png"
        files.write(where, files.Picture(pixels.astype(np.uint8)))
    (place / "notes.txt").write_text("Dear reader,")
    (place / ".0.png").write_bytes(b"hidden")
    (place / ".git").mkdir()
    (place / ".git" / "1.png").write_bytes(b"hidden")
    return place


@pytest.fixture
def words(folder, pair, tmp_path):
    """The two commands, on that folder."""

    def line(name: str, out="out", *options) -> list[str]:
        extra = ["--reference", pair[1]] if name == "batch" else []
        return [str(one) for one in (name, "--images", folder, *extra, "-o", tmp_path / out,
                                     *QUICK, *options)]  # fmt: skip

    return line


class Killed(BaseException):
    """What no `except Exception` holds up, as a signal."""


@pytest.fixture
def together(monkeypatch):
    """Run a command in several processes, here threads; the errors, by their number."""
    local = threading.local()

    @contextlib.contextmanager
    def joined(args):
        yield getattr(local, "group", Group())

    for module in (batch, harmonize):
        monkeypatch.setattr(module, "joined", joined)

    def run(count: int, line: list[str]) -> dict[int, BaseException]:
        barrier, errors, met = threading.Barrier(count), {}, []

        def meet(group, place):
            met.append((group.index, place))
            barrier.wait(60)

        def one(index):
            local.group = Group(index, count)
            try:
                args = build_parser().parse_args(line)
                args.run(args)
            except threading.BrokenBarrierError:
                pass  # ended with another
            except BaseException as error:
                errors[index] = error
                barrier.abort()

        monkeypatch.setattr(Group, "meet", meet)
        threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert len(met) == len(set(met))  # no name twice
        return errors

    return run


@pytest.fixture
def read(monkeypatch):
    """How often each file is read, by name."""
    counted, usual = Counter(), files.read

    def once_more(path):
        counted[os.path.basename(path)] += 1
        return usual(path)

    monkeypatch.setattr(files, "read", once_more)
    return counted


def everything(place) -> dict:
    found = (path for path in place.rglob("*") if path.is_file())
    return {str(path.relative_to(place)): path.read_bytes() for path in found}


def identity(place) -> dict:
    stats = {path: path.stat() for path in place.rglob("*.png")}
    return {
        str(path.relative_to(place)): (one.st_ino, one.st_mtime_ns) for path, one in stats.items()
    }


def manifest(place) -> list[dict]:
    with (place / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


NAMES = ["0.png", "1.png", "3.png", "4.png", "6.png", "sub/deeper/2.png", "sub/deeper/5.png"]


# a folder


def test_every_picture_gets_the_look_of_the_reference(done, words, folder, pair, tmp_path):
    text = done(*words("batch"))
    out = tmp_path / "out"
    assert text == f"{out / 'manifest.csv'}: 7 of 7 done\n"
    assert sorted(everything(out)) == sorted([*NAMES, "manifest.csv"])
    lines = manifest(out)
    assert [line["output"] for line in lines] == NAMES
    assert [line["source"] for line in lines] == [str(folder / name) for name in NAMES]
    done("transfer", folder / "sub/deeper/5.png", pair[1], "-o", tmp_path / "5.png", *QUICK)
    assert (tmp_path / "5.png").read_bytes() == (out / "sub/deeper/5.png").read_bytes()


def test_a_palette_as_reference(done, folder, pair, tmp_path):
    palette = tmp_path / "look.json"
    done("palette", pair[1], "-o", palette, "--k", "8")
    out = tmp_path / "out"
    done("batch", "--reference", palette, "--images", folder, "-o", out, *QUICK)
    done("transfer", folder / "0.png", palette, "-o", tmp_path / "0.png", *QUICK)
    assert (tmp_path / "0.png").read_bytes() == (out / "0.png").read_bytes()


@pytest.mark.parametrize("name", ["batch", "harmonize"])
def test_results_below_the_pictures_are_no_pictures(done, words, folder, tmp_path, name):
    first = done(*words(name, "in/out"))
    assert "7 of 7 done" in first
    before = identity(folder / "out")
    text = done(*words(name, "in/out"))
    assert text == "resumed: 7 of 7 done already\n" + first
    assert identity(folder / "out") == before


def test_what_a_folder_holds(folder, tmp_path):
    for name in ("a.bmp", "A.PNG", "sub/a.gif", "b.JPG", "c.mp4"):
        (folder / name).write_bytes(b"")
    found = [str(path) for path in pictures_in(folder, tmp_path / "out")]
    assert found == sorted([*NAMES, "a.bmp", "A.PNG", "sub/a.gif", "b.JPG"])
    named = dict(zip(found, map(str, outputs_of(pictures_in(folder, tmp_path))), strict=True))
    # a disk that does not tell capitals from small letters has room for both
    changed = {"a.bmp": "a_2.png", "sub/a.gif": "sub/a.png"}
    assert named == {name: changed.get(name, name) for name in found}


@pytest.mark.skipif(os.name == "nt", reason="there are no such names")
@pytest.mark.parametrize("name", [b"line\nbreak.png", b"latin\xe9.png"])
def test_names_that_fit_into_no_table(cli, words, folder, name):
    with open(os.path.join(os.fsencode(folder), name), "wb"):
        pass
    answer = cli(*words("batch"))
    assert (answer.code, "a line break or the like in the name" in answer.line) == (2, True)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("batch -o out", "PAIRS.csv is missing"),
        ("batch --images in -o out", "or else --reference and --images together"),
        ("batch --reference r.png -o out", "or else --reference and --images together"),
        ("batch p.csv --reference r.png --images in -o out", "one of both"),
        ("batch p.csv --images in -o out", "one of both"),
        ("batch --reference r.png --images in -o in", "results go to another folder"),
        ("batch --reference r.png --images void -o out", "void: has no pictures"),
        ("batch --reference in/0.png --images in/sub -o in/sub/deeper/../..", "replaced by"),
        ("harmonize -o out", "one of both"),
        ("harmonize a.png b.png --images in -o out", "one of both"),
        ("harmonize --images in/sub/deeper -o out --weights 1 2 3", "2 pictures, but 3 weights"),
        ("harmonize --images single -o out", "two pictures or more"),
        ("harmonize a.png b.avi -o out", "b.avi: unknown file type; use one of .mp4"),
    ],
)
def test_usage(cli, folder, tmp_path, monkeypatch, line, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "void").mkdir()
    (tmp_path / "single").mkdir()
    (tmp_path / "single" / "one.png").write_bytes(b"")
    # its result would lie where the reference is
    (folder / "sub" / "0.png").write_bytes((folder / "0.png").read_bytes())
    answer = cli(*line.split())
    assert (answer.code, says in answer.line) == (2, True), answer
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_there(cli, pair, tmp_path):
    words = ("--images", tmp_path / "none", "-o", tmp_path / "out")
    for line in (("batch", "--reference", pair[1]), ("harmonize",)):
        answer = cli(*line, *words)
        assert (answer.code, "none: No such file or directory" in answer.line) == (1, True)


# how much is done, and held


@pytest.mark.parametrize("count", [1, 2])
def test_nothing_is_done_twice(together, words, read, monkeypatch, count):
    summed, usual = [], colors.moments

    def moments(pixels, *args, **kwargs):
        summed.append(pixels)
        return usual(pixels, *args, **kwargs)

    monkeypatch.setattr(colors, "moments", moments)
    assert together(count, words("batch")) == {}
    due = {os.path.basename(name): 1 for name in NAMES} | {"reference.png": count}
    assert read == due
    assert len(summed) == COUNT + count  # the reference's once a process
    read.clear()
    assert together(count, words("batch")) == {}
    assert not read


def test_harmonize_reads_each_picture_twice(together, words, read, monkeypatch):
    monkeypatch.setattr(common_look, "_sheet", no_sheet)
    assert together(2, words("harmonize")) == {}
    assert read == {os.path.basename(name): 2 for name in NAMES}


def no_sheet(job, members, item):
    return lambda path: path.write_bytes(b"sheet")


@pytest.mark.parametrize("name", ["batch", "harmonize"])
def test_few_pictures_are_held_however_many_there_are(
    done, words, folder, monkeypatch, photographs, name
):
    for k in range(30):
        files.write(folder / f"more{k}.png", files.Picture(photographs[0][k : k + 9, :20]))
    alive, most, usual = weakref.WeakSet(), [], files.read

    def watched(path):
        picture = usual(path)
        alive.add(picture)
        most.append(len(alive))
        return picture

    monkeypatch.setattr(files, "read", watched)
    monkeypatch.setattr(common_look, "_sheet", no_sheet)
    gc.disable()  # nothing may wait for it
    try:
        done(*words(name))
    finally:
        gc.enable()
    assert len(most) == {"batch": COUNT + 31, "harmonize": 2 * (COUNT + 30)}[name]
    # one in each thread, and the reference
    assert max(most) <= pairs.WORKERS + 1


def test_an_album_keeps_what_is_asked_for_again(pair, read):
    album = pairs.Album(kept=[pair[1]])
    for path in (*pair, *pair):
        album.open(path)
    assert read == {"source.png": 2, "reference.png": 1}


def test_the_sheet_shows_some(done, words, load, tmp_path, monkeypatch):
    monkeypatch.setattr(common_look, "SHOWN", 3)
    told, usual = [], sheet.sheet

    def shown(cells, columns):
        told.extend(cells)
        return usual(cells, columns=columns)

    monkeypatch.setattr(sheet, "sheet", shown)
    done(*words("harmonize"))
    assert [cell.title for cell in told[::2]] == ["0.png", "3.png", "6.png"]
    assert told[0].note == "3 of 7 pictures"
    assert max(max(cell.pixels.shape) for cell in told) == sheet.CELL
    assert load(tmp_path / "out" / harmonize.SHEET).shape[1] > 1900


# several processes


@pytest.mark.parametrize("name", ["batch", "harmonize"])
def test_as_many_processes_as_one_likes(together, words, tmp_path, capsys, name):
    assert together(1, words(name, "one")) == {}
    alone = capsys.readouterr().out
    assert together(3, words(name, "three")) == {}
    # the first speaks for all
    assert capsys.readouterr().out == alone.replace("/one/", "/three/")
    assert everything(tmp_path / "one") == everything(tmp_path / "three")
    assert "7 of 7 done" in alone


def test_more_processes_than_pictures(together, words, tmp_path):
    assert together(9, words("batch")) == {}
    assert sorted(everything(tmp_path / "out")) == sorted([*NAMES, "manifest.csv"])


def test_failures_are_told_by_the_first(together, words, folder, tmp_path):
    for name in ("1.png", "3.png"):  # of the second process, of the first
        (folder / name).write_text("Dear reader,")
    errors = together(2, words("batch"))
    assert set(errors) == {0}
    assert str(errors[0]).startswith(f"2 of 7 failed: see {tmp_path / 'out' / 'manifest.csv'} (row")
    lines = {line["output"]: line["status"] for line in manifest(tmp_path / "out")}
    assert lines == {name: "failed" if name in ("1.png", "3.png") else "done" for name in NAMES}


def test_a_process_that_never_came(together, words, monkeypatch, tmp_path):
    """A barrier that lets the first pass: its own share is kept, and the rest is told of."""

    @contextlib.contextmanager
    def joined(args):
        yield Group(0, 2)

    monkeypatch.setattr(batch, "joined", joined)
    monkeypatch.setattr(Group, "meet", lambda *_: None)
    args = build_parser().parse_args(words("batch"))
    with pytest.raises(ValueError, match="3 of 7 are not done yet: give the same command again"):
        args.run(args)
    states = [line["status"] for line in manifest(tmp_path / "out")]
    assert states == ["done", "todo"] * 3 + ["done"]


@pytest.mark.parametrize("name", ["batch", pytest.param("harmonize", marks=pytest.mark.slow)])
def test_killed_at_any_moment(together, words, tmp_path, monkeypatch, name):
    """By turns with one to three processes; tables are torn, results have no names yet."""
    rng = np.random.default_rng(len(name))
    together(1, words(name, "undisturbed"))
    out, usual, kept = tmp_path / "out", Manifest.append, {}
    for turn in range(6):
        left = [2 + int(rng.integers(0, 2)) if turn == 0 else int(rng.integers(0, 3))]

        def append(table, entry, left=left):
            if left[0] <= 0:
                raise Killed
            left[0] -= 1
            usual(table, entry)

        monkeypatch.setattr(Manifest, "append", append)
        together(1 + turn % 3, words(name))
        now = identity(out)
        assert kept.items() <= now.items()
        if turn % 2:
            tear(out, rng)
        kept = {path: one for path, one in identity(out).items() if "/." not in f"/{path}"}
    monkeypatch.setattr(Manifest, "append", usual)
    assert 0 < len(kept) <= COUNT
    assert together(2, words(name)) == {}
    assert kept.items() <= identity(out).items()
    assert everything(out) == everything(tmp_path / "undisturbed")


def tear(out, rng) -> None:
    """Leave of a folder what a kill just before the last line was whole would have left."""
    tables = sorted(out.glob("manifest*.csv"))
    table = tables[int(rng.integers(len(tables)))]
    whole, _, last = table.read_bytes()[:-1].rpartition(b"\n")
    if not whole or b",done," not in last or table.name == "manifest.todo.csv":
        return
    result = out / last.decode().split(",")[3]
    if result.exists():  # its line comes first
        result.rename(result.with_name(f".{result.stem}.4321.tmp{result.suffix}"))
    table.write_bytes(whole + b"\n" + last[: int(rng.integers(len(last)))])


# one look for all, resumed


def test_a_lost_result_is_made_anew_from_what_is_kept(done, words, tmp_path, read):
    done(*words("harmonize"))
    out = tmp_path / "out"
    whole, before = everything(out), identity(out)
    (out / "4.png").unlink()
    read.clear()
    assert done(*words("harmonize")).startswith("resumed: 6 of 7 done already\n")
    assert everything(out) == whole
    del before["4.png"]
    assert before.items() < identity(out).items()
    (out / harmonize.SHEET).unlink()
    read.clear()
    done(*words("harmonize"))
    assert everything(out) == whole
    assert all(count == 2 for count in read.values())  # before and after


def test_pictures_that_cannot_be_used_stop_all(together, words, folder, read, tmp_path):
    good = (folder / "3.png").read_bytes()
    (folder / "3.png").write_text("Dear reader,")
    errors = together(2, words("harmonize"))
    assert "1 of 7 failed" in str(errors.pop(0))
    assert not errors
    out = tmp_path / "out"
    assert not list(out.rglob("*.png"))
    states = {line["output"]: line["status"] for line in manifest(out)}
    assert states.pop("3.png") == "failed"
    assert set(states.values()) == {"todo"}
    (folder / "3.png").write_bytes(good)
    read.clear()
    assert together(1, words("harmonize")) == {}
    # each for its result, and as it was and is for the sheet; for its colours the new one alone
    names = map(os.path.basename, NAMES)
    assert read == {name: 4 if name == "3.png" else 3 for name in names}
    assert not (out / common_look.MEASURES).exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("picture", "of pictures that have changed"),
        pytest.param("more", "of pictures that have changed", marks=pytest.mark.slow),
        pytest.param("strength", "other settings", marks=pytest.mark.slow),
        ("weights", "other settings"),
    ],
)
def test_another_look_is_another_result(cli, words, folder, tmp_path, change, says):
    assert cli(*words("harmonize")).code == 0
    options = {"strength": ["--strength", "0.5"], "weights": ["--weights", *"1111112"]}
    before, line = everything(tmp_path / "out"), words("harmonize", "out", *options.get(change, []))
    if change == "picture":
        (folder / "0.png").write_bytes((folder / "1.png").read_bytes())
    elif change == "more":
        (folder / "7.png").write_bytes((folder / "1.png").read_bytes())
    answer = cli(*line)
    assert (answer.code, says in answer.line) == (1, True)
    assert "and 5 more" in answer.line  # the sheet too
    assert everything(tmp_path / "out") == before
    assert cli(*line, "--overwrite").code == 0
    assert not set(before.values()) & set(everything(tmp_path / "out").values())


def test_a_picture_that_changes_meanwhile(cli, words, folder, tmp_path, monkeypatch):
    usual = common_look._measured

    def and_then(*args):
        found = usual(*args)
        Image.new("RGB", (9, 9), (250, 0, 0)).save(folder / "1.png")
        return found

    monkeypatch.setattr(common_look, "_measured", and_then)
    answer = cli(*words("harmonize"))
    assert answer.code == 1
    assert "1 of 7 failed" in answer.line
    assert "1.png: has changed since this run began" in answer.line
    assert not (tmp_path / "out" / "1.png").exists()
    assert not (tmp_path / "out" / harmonize.SHEET).exists()


def test_two_of_the_same_content(done, words, folder, tmp_path):
    (folder / "copy.png").write_bytes((folder / "0.png").read_bytes())
    done(*words("harmonize"))
    first, second = (tmp_path / "out" / name for name in ("0.png", "copy.png"))
    assert first.read_bytes() == second.read_bytes()


# as people run it


@pytest.mark.slow
@pytest.mark.parametrize("name", ["batch", "harmonize"])
def test_two_processes(process, words, tmp_path, name):
    for count, out in (("2", "two"), ("1", "one")):
        run = process(*words(name, out, "--processes", count))
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout == f"{tmp_path / out / 'manifest.csv'}: 7 of 7 done\n"
    assert everything(tmp_path / "one") == everything(tmp_path / "two")


def test_pictures_that_have_moved_are_the_same(done, folder, tmp_path):
    def run() -> str:
        return done("harmonize", "--images", folder, "-o", tmp_path / "out", *QUICK)

    run()
    (tmp_path / "out" / "1.png").unlink()
    folder = folder.rename(tmp_path / "moved")
    assert f"resumed: {COUNT - 1} of {COUNT} done already" in run()
    table = (tmp_path / "out" / "manifest.csv").read_text()
    assert str(folder) in table
    assert f"{tmp_path / 'in'}/" not in table


def test_what_was_kept_of_a_picture_and_is_broken_is_made_anew(done, words, tmp_path, monkeypatch):
    done(*words("harmonize"))
    whole = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("[0-9]*.png")}
    monkeypatch.setattr(common_look, "_forget", lambda folder: None)
    done(*words("harmonize", "again"))
    kept = list((tmp_path / "again" / ".measures").iterdir())
    assert len(kept) == COUNT
    for path in kept:
        path.write_bytes(path.read_bytes()[:100])
    for path in (tmp_path / "again").rglob("*.png"):
        path.unlink()
    monkeypatch.undo()
    (tmp_path / "again" / ".measures" / "notes.txt").write_text("mine")
    done(*words("harmonize", "again"))
    again = {path.name: path.read_bytes() for path in (tmp_path / "again").rglob("[0-9]*.png")}
    assert again == whole
    assert [path.name for path in (tmp_path / "again" / ".measures").iterdir()] == ["notes.txt"]


def test_a_process_of_a_run_that_was_lost_makes_no_table(tmp_path):
    straggler = Manifest(tmp_path, "1")
    straggler.rewrite([])
    straggler.path.unlink()  # by the run that has taken over
    with pytest.raises(FileNotFoundError):
        straggler.append(Entry("1", "a.png", "look", "a.png", "done"))
    assert not straggler.path.exists()


def test_names_that_harmonize_cannot_note(cli, folder, tmp_path):
    other = folder / "two\nlines.png"
    (folder / "1.png").rename(other)
    answer = cli("harmonize", folder / "0.png", other, "-o", tmp_path / "out", *QUICK)
    assert answer.code == 2
    assert "line break" in answer.line
