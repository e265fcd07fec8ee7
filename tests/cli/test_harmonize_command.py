"""`jaxcolor harmonize`, and `jaxcolor transfer` with several references."""

import numpy as np
import pytest
from image.profiles import display_p3

from jaxcolor.cli.harmonize import SHEET
from jaxcolor.image import files
from jaxcolor.recipes.score import sw2


@pytest.fixture
def three(save, small):
    third = small[0][::-1] // 2 + 60
    return [save(f"{k}.png", p) for k, p in enumerate((small[0], small[1], third))]


def test_a_set_comes_together(done, three, tmp_path, load):
    folder = tmp_path / "new" / "folder"
    text = done("harmonize", *three, "-o", folder)
    names = ["0.png", "1.png", "2.png"]
    assert text.splitlines() == [str(folder / name) for name in [*names, SHEET]]
    before, after = ([load(place / name) for name in names] for place in (tmp_path, folder))
    assert [a.shape for a in after] == [b.shape for b in before]

    def spread(p):
        return sw2(p[0], p[1]) + sw2(p[0], p[2]) + sw2(p[1], p[2])

    assert spread(after) < 0.2 * spread(before)
    assert load(folder / SHEET).shape[1] > 1900  # two pairs a row


@pytest.mark.parametrize("method", ["gaussian", pytest.param("newton", marks=pytest.mark.slow)])
def test_methods_strength_space_and_weights(done, three, tmp_path, load, method):
    options = ("--method", method, "--space", "lab", "--strength", "0.9")
    done("harmonize", *three, "-o", tmp_path / "out", *options, "--weights", "1", "0", "0")
    first, second = load(three[0]), load(three[1])
    assert sw2(load(tmp_path / "out" / "0.png"), first) < 0.03
    assert sw2(load(tmp_path / "out" / "1.png"), first) < 0.6 * sw2(second, first)


def test_each_keeps_its_own_kind(done, small, save, tmp_path, load):
    deep = save("deep.png", small[0].astype(np.uint16) * 257, display_p3())
    grey = save("grey.png", small[1][..., 0].copy())
    alpha = np.dstack([small[0], np.full(small[0].shape[:2], 200, np.uint8)])
    clear = save("clear.png", alpha)
    done("harmonize", deep, grey, clear, "-o", tmp_path / "out")
    out = files.read(tmp_path / "out" / "deep.png")
    assert out.pixels.dtype == np.uint16
    assert out.profile == display_p3()
    assert load(tmp_path / "out" / "grey.png").ndim == 2
    assert (load(tmp_path / "out" / "clear.png")[..., 3] == 200).all()


def test_nothing_is_made_when_one_cannot_be_read(refused, three, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"nonsense")
    out = tmp_path / "out"
    line = refused("harmonize", *three, tmp_path / "bad.png", "-o", out)
    assert line.startswith(f"jaxcolor: 1 of 4 failed: see {out / 'manifest.csv'} (row 4: ")
    assert "bad.png: not a picture" in line
    assert not list(out.glob("*.png"))


def test_outputs_that_exist_are_kept(cli, done, three, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "1.png").write_bytes(b"old")
    answer = cli("harmonize", *three, "-o", folder, "--method", "gaussian")
    assert answer.code == 1
    assert "holds 1.png (not made by this command" in answer.line
    assert [one.name for one in folder.iterdir()] == ["1.png"]
    done("harmonize", *three, "-o", folder, "--method", "gaussian", "--overwrite")
    assert {one.name for one in folder.iterdir()} == {
        *(f"{k}.png" for k in range(3)), SHEET, "manifest.csv"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["0.png", "-o", "out"], "two pictures or more"),
        (["0.png", "1.png", "-o", "out", "--weights", "1"], "2 pictures, but 1 weights"),
        (["0.png", "1.png", "-o", "out", "--weights", "0", "0"], "all weights are 0"),
        (["0.png", "sub/0.png", "-o", "out"], "same name"),
        (["0.png", SHEET, "-o", "out"], "same name"),
        (["0.png", "1.png", "-o", "."], "replaced by a result"),
        (["0.png", "1.png", "-o", "out", "--method", "slice"], "did you mean 'sliced'"),
    ],
)
def test_usage(cli, words, says, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    answer = cli("harmonize", *words)
    assert answer.code == 2
    assert says in answer.line


def test_the_sheet_takes_no_link_that_is_read(cli, three, tmp_path):
    link = tmp_path / "out" / SHEET
    link.parent.mkdir()
    link.symlink_to(three[0])
    before = three[0].read_bytes()
    answer = cli("harmonize", *three, "-o", link.parent, "--overwrite")
    assert answer.code == 2
    assert f"{three[0]} would be replaced by a result" in answer.line
    assert (link.is_symlink(), three[0].read_bytes()) == (True, before)


def test_a_file_in_the_way_of_the_folder(refused, three, tmp_path):
    (tmp_path / "out").write_text("")
    assert "is a file; name a folder" in refused("harmonize", *three, "-o", tmp_path / "out")


# several references


def test_the_look_in_the_middle_of_two_references(done, three, tmp_path, load):
    for name, words in {
        "one": three[1:2],
        "two": three[2:],
        "both": three[1:],
        "first": [*three[1:], "--weights", "1", "0"],
    }.items():
        done("transfer", three[0], *words, "-o", tmp_path / f"{name}.png", "--method", "gaussian")
    one, two, both, first = (load(tmp_path / f"{n}.png") for n in ("one", "two", "both", "first"))
    assert sw2(both, one) < 0.8 * sw2(one, two)
    assert sw2(both, two) < 0.8 * sw2(one, two)
    assert sw2(first, one) < 0.01


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--both", "b.png"], "one REFERENCE only"),
        (["--reference-mask", "m.png"], "one REFERENCE only"),
        (["--weights", "1"], "2 references, but 1 weights"),
        (["--weights", "0", "0"], "all weights are 0"),
    ],
)
def test_usage_of_several_references(cli, words, says):
    answer = cli("transfer", "a.png", "b.png", "c.png", "-o", "out.png", *words)
    assert answer.code == 2
    assert says in answer.line
