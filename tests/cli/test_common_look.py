"""One look for all pictures of a folder: kept on the way, resumed, refused."""

import os

import pytest
from cli.corpus import COUNT, NAMES, QUICK, everything, identity, manifest
from PIL import Image

from jaxcolor.cli import common_look, group, harmonize
from jaxcolor.recipes import sheet


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


def test_what_is_half_measured_is_removed_before_others_begin(
    cli, words, folder, tmp_path, monkeypatch
):
    good = (folder / "3.png").read_bytes()
    (folder / "3.png").write_text("Dear reader,")
    assert cli(*words("harmonize")).code == 1
    (folder / "3.png").write_bytes(good)
    kept = next((tmp_path / "out" / common_look.MEASURES).iterdir())
    half = kept.with_name(f".{kept.stem}.99-0badcafe.tmp.npz")  # another machine's
    half.write_bytes(b"half")
    met = {}
    monkeypatch.setattr(group.Group, "meet", lambda _, place: met.update({place: half.exists()}))
    assert cli(*words("harmonize")).code == 0
    assert met == dict.fromkeys(("planned", "measured", "done", "noted"), False)


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


def test_names_that_harmonize_cannot_note(cli, folder, tmp_path):
    other = folder / "two\nlines.png"
    (folder / "1.png").rename(other)
    answer = cli("harmonize", folder / "0.png", other, "-o", tmp_path / "out", *QUICK)
    assert answer.code == 2
    assert "line break" in answer.line
