"""`jaxcolor batch` and `jaxcolor harmonize` over folders: shared by processes, stopped, resumed."""

import contextlib
import gc
import os
import weakref

import numpy as np
import pytest
from cli.corpus import COUNT, NAMES, QUICK, everything, identity, manifest, no_sheet

from jaxcolor.cli import batch, common_look
from jaxcolor.cli.batch_list import outputs_of, pictures_in
from jaxcolor.cli.batch_manifest import Entry, Manifest
from jaxcolor.cli.group import Group
from jaxcolor.cli.main import build_parser
from jaxcolor.image import colors, files
from jaxcolor.recipes import pairs


class Killed(BaseException):
    """What no `except Exception` holds up, as a signal."""


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


def test_a_process_of_a_run_that_was_lost_makes_no_table(tmp_path):
    straggler = Manifest(tmp_path, "1")
    straggler.rewrite([])
    straggler.path.unlink()  # by the run that has taken over
    with pytest.raises(FileNotFoundError):
        straggler.append(Entry("1", "a.png", "look", "a.png", "done"))
    assert not straggler.path.exists()


# as people run it


@pytest.mark.slow
@pytest.mark.parametrize("name", ["batch", "harmonize"])
def test_two_processes(process, words, tmp_path, name):
    for count, out in (("2", "two"), ("1", "one")):
        run = process(*words(name, out, "--processes", count))
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout == f"{tmp_path / out / 'manifest.csv'}: 7 of 7 done\n"
    assert everything(tmp_path / "one") == everything(tmp_path / "two")
