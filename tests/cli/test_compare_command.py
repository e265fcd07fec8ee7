"""`jaxcolor compare`: a sheet, a page, other programs' pictures, tables of pairs."""

import json
import math
import os
from statistics import fmean

import numpy as np
import pytest
from image.profiles import display_p3

from jaxcolor.image import files
from jaxcolor.recipes import METHODS
from jaxcolor.recipes.score import report
from jaxcolor.recipes.styles import LOOKS

FEW = ["gentle", "histogram"]


@pytest.fixture
def few(only):
    """`test_json` tries them all."""
    only(*FEW)


def figures(row: dict) -> list:
    return [value for name, value in row.items() if name not in ("method", "space")]


class TestSheet:
    def test_json(self, done, pair, tmp_path, load):
        sheet = tmp_path / "sheet.png"
        answer = json.loads(done("compare", *pair, "-o", sheet, "--json"))
        assert answer["sheet"] == str(sheet)
        assert "page" not in answer
        assert [one["method"] for one in answer["results"]] == [*LOOKS, *METHODS]
        for one in answer["results"]:
            known = [value for value in figures(one) if value is not None]
            assert len(known) >= 4
            assert all(math.isfinite(value) for value in known)
        assert load(sheet).shape[2] == 3
        assert load(sheet).shape[1] > 1400  # three columns of pictures
        assert os.listdir(tmp_path) == ["sheet.png"]

    @pytest.mark.long
    def test_table(self, done, pair, tmp_path):
        lines = done("compare", *pair, "-o", tmp_path / "sheet.jpg").splitlines()
        assert lines[0] == str(tmp_path / "sheet.jpg")
        assert lines[1].split() == ["method", "space", "SW2", "SSIM", "TV", "seconds"]
        assert [line.split()[0] for line in lines[2:]] == [*LOOKS, *METHODS]

    @pytest.mark.long
    @pytest.mark.parametrize("kind", ["grey", "deep RGBA in P3"])
    def test_other_sources(self, done, pair, small, save, tmp_path, kind):
        """The sheet is RGB whatever the source; its profile is that of the pictures on it."""
        if kind == "grey":
            source, profile = save("a.png", small[0][..., 0].copy()), None
        else:
            alpha = np.full((40, 60, 1), 200, np.uint16)
            deep = np.dstack([small[0].astype(np.uint16) * 257, alpha * 257])
            source, profile = save("a.png", deep, display_p3()), display_p3()
        done("compare", source, pair[1], "-o", tmp_path / "sheet.png", "--html", tmp_path / "page")
        sheet = files.read(tmp_path / "sheet.png")
        assert sheet.pixels.shape[2] == 3
        assert sheet.profile == profile
        assert (tmp_path / "page" / "index.html").is_file()


@pytest.mark.usefixtures("few")
class TestOtherResults:
    def test_are_scored_with_the_rest(self, done, pair, small, save, tmp_path):
        """A picture in another profile is converted as references are."""
        picture = 255 - small[0]
        plain, wide = save("mine.png", picture), save("wide.one.png", picture, display_p3())
        page = tmp_path / "new" / "page"
        page.mkdir(parents=True)
        (page / "index.html").write_text("old")
        words = ("--result", plain, "--result", wide, "--html", page, "--overwrite", "--json")
        answer = json.loads(done("compare", *pair, *words))
        assert answer["page"] == str(page / "index.html")
        assert "sheet" not in answer
        methods = [one["method"] for one in answer["results"]]
        assert methods == [*FEW, "mine", "wide.one"]
        converted = files.convert(files.Picture(picture, display_p3()), None).pixels
        assert not np.array_equal(converted, picture)
        for one, pixels in zip(answer["results"][-2:], (picture, converted), strict=True):
            assert one["seconds"] is None
            for name, value in report(*small, pixels).as_dict().items():
                assert one[name] == value, name
        html = (page / "index.html").read_text()
        assert html.count("data:image/") == 2 + len(FEW) + 2
        assert "source.png in the colours of reference.png, by wide.one" in html
        assert str(pair[0]) not in html  # a page that is passed on tells no folders
        assert ">untouched<" in html

    def test_are_on_the_sheet_and_in_the_table(self, done, pair, small, save, tmp_path, load):
        sheet = tmp_path / "sheet.png"
        mine = save("a picture with a long name.png", small[0])
        lines = done("compare", *pair, "-o", sheet, "--result", mine).splitlines()
        assert lines[0] == str(sheet)
        assert lines[1].split() == ["method", "space", "SW2", "SSIM", "TV", "seconds"]
        assert [line.split()[0] for line in lines[2:-1]] == FEW
        assert lines[-1].startswith("a picture with a long name  -  ")
        assert lines[-1].split()[-2:] == ["1.000", "\N{EN DASH}"]
        assert load(sheet).shape[0] > 2 * 320  # 2 + 2 + 1 pictures, three a row

    def test_of_another_size(self, refused, pair, small, save, tmp_path):
        mine = save("mine.png", small[1])
        line = refused("compare", *pair, "-o", tmp_path / "sheet.png", "--result", mine)
        assert "mine.png: a result must have the size of SOURCE, 60x40, got 50x40" in line

    def test_that_cannot_be_read(self, refused, pair, tmp_path):
        (tmp_path / "mine.png").write_text("Dear reader,")
        words = ("--html", tmp_path / "page", "--result", tmp_path / "mine.png")
        assert "mine.png" in refused("compare", *pair, *words)
        assert not (tmp_path / "page").exists()


@pytest.mark.usefixtures("few")
class TestPairs:
    @pytest.fixture
    def table(self, save, small, tmp_path):
        """Three pairs, the second of which fails."""
        (tmp_path / "sub").mkdir()
        save("a.png", small[0])
        save("sub/b.png", small[1])
        rows = ("a.png,sub/b.png,", "a.png,none.png,x.png", "sub/b.png,a.png,")
        (tmp_path / "Pairs.CSV").write_text("\n".join(["source,reference,output", *rows]))
        return tmp_path / "Pairs.CSV"

    def test_one_that_fails_does_not_keep_the_others(self, cli, table, tmp_path):
        page = tmp_path / "page"
        answer = cli("compare", table, "--html", page, "--json")
        assert answer.code == 1
        assert answer.err.count("\n") == 1
        reason = f"{tmp_path / 'none.png'}: No such file or directory"
        told = f"1 of 3 failed: see {page / 'index.html'} (row 2: {reason})"
        assert answer.err == f"jaxcolor: {told}\n"
        assert os.listdir(page) == ["index.html"]
        result = json.loads(answer.out)
        first, second, third = result["pairs"]
        assert second == {"source": "a.png", "reference": "none.png", "error": reason}
        assert (third["source"], third["reference"]) == ("sub/b.png", "a.png")
        assert [one["method"] for one in result["means"]] == FEW
        for mean, one, other in zip(
            result["means"], first["results"], third["results"], strict=True
        ):
            assert mean["sw2"] == pytest.approx(fmean([one["sw2"], other["sw2"]]), abs=1e-6)
        html = (page / "index.html").read_text()
        assert html.count("data:image/") == 2 * (2 + len(FEW))
        assert f"Failed: {reason}" in html
        assert "3. sub/b.png in the colours of a.png" in html

    def test_table_of_means(self, cli, table, tmp_path):
        lines = cli("compare", table, "--html", tmp_path).out.splitlines()
        assert lines[0] == str(tmp_path / "index.html")
        assert [line.split()[0] for line in lines[1:]] == ["method", *FEW]

    def test_a_page_that_exists(self, refused, table, pair, tmp_path):
        (tmp_path / "index.html").write_text("old")
        says = f"{tmp_path / 'index.html'}: exists already; --overwrite replaces it"
        assert says in refused("compare", table, "--html", tmp_path)
        assert says in refused("compare", *pair, "--html", tmp_path)

    def test_a_file_in_the_way_of_the_folder(self, refused, table):
        assert "is a file; name a folder" in refused("compare", table, "--html", table)

    def test_no_such_table(self, refused, tmp_path):
        line = refused("compare", tmp_path / "none.csv", "--html", tmp_path)
        assert line == f"jaxcolor: {tmp_path / 'none.csv'}: No such file or directory"


USAGE = {
    "nothing to write": (["a.png", "b.png"], "-o SHEET.png, --html DIR or both"),
    "no reference": (["a.png", "--html", "out"], "REFERENCE is missing"),
    "a table and a picture": (["pairs.csv", "b.png", "--html", "out"], "pairs.csv is a table"),
    "a table as reference": (["a.png", "pairs.csv", "--html", "out"], "pairs.csv is a table"),
    "a sheet of a table": (["pairs.csv", "--html", "out", "-o", "s.png"], "neither -o/--out nor"),
    "a table on a sheet": (["pairs.csv", "-o", "s.png"], "PAIRS.csv takes --html DIR"),
    "a result for a table": (["pairs.csv", "--html", "out", "--result", "c.png"], "nor --result"),
    "a bad table": (["pairs.csv", "--html", "out"], "the first line must name the columns"),
    "a method's name": (
        ["a.png", "b.png", "-o", "s.png", "--result", "x/sliced.png"],
        "another 'sliced' on the page; rename the file",
    ),
    "two of one name": (
        ["a.png", "b.png", "-o", "s.png", "--result", "x/c.png", "--result", "y/c.jpg"],
        "y/c.jpg: there is another 'c'",
    ),
    "three pictures": (["a.png", "b.png", "c.png", "-o", "s.png"], "c.png"),
}


@pytest.mark.parametrize(("words", "says"), USAGE.values(), ids=USAGE)
def test_usage(cli, words, says, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.csv").write_text("from,to\na.png,b.png\n")
    answer = cli("compare", *words)
    assert answer.code == 2
    assert says in answer.line
    assert os.listdir(tmp_path) == ["pairs.csv"]
