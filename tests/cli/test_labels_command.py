"""`jaxcolor labels`."""

import csv

import numpy as np
import pytest
from PIL import Image, ImageDraw

FEW = "--n", "300"


def drawing(inks: dict[str, tuple[int, int, int, int]], width: int = 100) -> np.ndarray:
    page = Image.new("RGB", (width, 100), "white")
    for ink, box in inks.items():
        ImageDraw.Draw(page).ellipse(box, fill=ink)
    return np.asarray(page)


@pytest.fixture
def two(save):
    """A black disc, and blobs in orange and teal to its left and right."""
    disc = save("disc.png", drawing({"black": (30, 30, 70, 70)}))
    blobs = {"#ff8000": (5, 40, 25, 60), "#008080": (75, 40, 95, 60)}
    return disc, save("blobs.png", drawing(blobs))


def table(path):
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


class TestResults:
    def test_a_picture(self, done, two, tmp_path, load):
        out = tmp_path / "out.png"
        text = done("labels", *two, "-o", out, *FEW)
        assert text == f"{out}: 300 points, confidence 1.00 to 1.00, median 1.00\n"
        result = load(out)
        assert result.shape == (960, 960, 3)
        left, right = result[300:660, 300:420], result[300:660, 540:660]
        assert (left == [255, 128, 0]).all(2).any()
        assert (right == [0, 128, 128]).all(2).any()
        assert not (right == [255, 128, 0]).all(2).any()
        assert (result[:280] == 255).all()

    def test_data_in_both_forms(self, done, two, tmp_path):
        for name in ("out.csv", "out.npz"):
            done("labels", *two, "-o", tmp_path / name, *FEW, "--reach", "0.2")
        rows, arrays = table(tmp_path / "out.csv"), np.load(tmp_path / "out.npz")
        assert list(rows) == ["x", "y", "red", "green", "blue", "confidence"]
        for name, columns in (("points", "x y"), ("labels", "red green blue")):
            expected = np.stack([rows[column] for column in columns.split()], 1)
            np.testing.assert_allclose(arrays[name], expected, atol=1e-5)
        np.testing.assert_allclose(arrays["confidence"], rows["confidence"], atol=1e-5)
        assert np.ptp(rows["confidence"]) > 0.1

    def test_largest_labels_are_main_colours_or_none(self, done, two, tmp_path):
        out = tmp_path / "out.csv"
        options = "--labels", "argmax", "--reach", "0.1", "--least", "0.4"
        text = done("labels", *two, "-o", out, *FEW, *options)
        rows = table(out)
        unlabelled = np.isnan(rows["red"])
        np.testing.assert_array_equal(unlabelled, rows["confidence"] < 0.4)
        assert 0 < unlabelled.mean() < 1
        assert f"{unlabelled.mean():.1%} unlabelled\n" in text
        left = rows["x"][~unlabelled] < 0.5
        colours = np.stack([rows[name][~unlabelled] for name in ("red", "green", "blue")], 1)
        expected = np.where(left[:, None], [1, 128 / 255, 0], [0, 128 / 255, 128 / 255])
        assert (np.abs(colours - expected).max(1) < 1e-5).mean() > 0.95
        text = done("labels", *two, "-o", tmp_path / "out.jpg", *FEW, *options)
        assert "unlabelled (grey)" in text

    def test_kinds_and_seeds_and_scaling(self, done, two, tmp_path):
        def labels(*options):
            done("labels", *two, "-o", tmp_path / "out.npz", *FEW, "--overwrite", *options)
            return np.load(tmp_path / "out.npz")

        reach = "--reach", "0.15"
        raw, mean = labels(*reach), labels(*reach, "--labels", "normalised")
        np.testing.assert_allclose(
            raw["labels"], mean["labels"] * mean["confidence"][:, None], atol=1e-5
        )
        slow = labels(*reach, "--scaling", "0.8")
        np.testing.assert_allclose(slow["labels"], raw["labels"], atol=1e-3)
        assert (labels("--seed", "1")["points"] != raw["points"]).any()

    def test_a_sheet(self, done, two, tmp_path, load):
        out, sheet = tmp_path / "out.png", tmp_path / "sheet.png"
        text = done("labels", *two, "-o", out, *FEW, "--sheet", sheet)
        assert text.endswith(f"\n{sheet}\n")
        page = load(sheet)
        assert page.shape == (556, 1504, 3)
        colourful = np.ptp(page.astype(int), axis=2) > 60
        panels = [colourful[16:496, left : left + 480] for left in (16, 512, 1008)]
        across = [np.flatnonzero(panel.any(0)) for panel in panels]
        assert across[0][0] < 60  # the blobs themselves
        assert across[1][0] > 100  # the disc in their colours
        values = page[16:496, 512:992], page[16:496, 1008:1488]
        assert values[1].max(2).min() < values[0].max(2).min()  # darker with a reach

    def test_wide_pictures_keep_their_shape(self, done, save, tmp_path, load):
        wide = save("wide.png", drawing({"blue": (120, 20, 180, 80)}, width=200))
        out = tmp_path / "out.png"
        done("labels", wide, wide, "-o", out, *FEW)
        result = load(out)
        assert result.shape == (480, 960, 3)
        some = (result == [0, 0, 255]).all(2)
        assert not some[:, :480].any()
        assert some[96:384, 576:864].any()


class TestFailures:
    def test_pictures(self, refused, two, save, tmp_path):
        blank, out = save("blank.png", np.full((9, 9, 3), 255, np.uint8)), tmp_path / "out.png"
        (tmp_path / "bad.png").write_text("Dear reader,\n" * 9)
        line = refused("labels", blank, two[1], "-o", out)
        assert "blank.png: has no ink" in line
        assert "blank.png: has no ink" in refused("labels", two[0], blank, "-o", out)
        assert "bad.png" in refused("labels", two[0], tmp_path / "bad.png", "-o", out)
        assert "no.png: No such file" in refused("labels", tmp_path / "no.png", two[1], "-o", out)

    def test_outputs(self, refused, two, tmp_path):
        (tmp_path / "old.csv").write_text("x")
        line = refused("labels", *two, "-o", tmp_path / "old.csv")
        assert "exists already" in line
        assert "use one of" in refused("labels", *two, "-o", tmp_path / "out.txt")
        assert "does not exist" in refused("labels", *two, "-o", tmp_path / "no" / "out.csv")
        out, sheet = tmp_path / "out.png", tmp_path / "sheet.csv"
        assert "unknown file type" in refused("labels", *two, "-o", out, "--sheet", sheet)

    def test_labels_without_colour_are_greys_and_it_says_so(self, cli, two, tmp_path):
        answer = cli("labels", two[0], two[0], "-o", tmp_path / "out.npz", *FEW)
        assert answer.code == 0
        assert answer.err.startswith("jaxcolor: warning: ")
        assert "disc.png: has no colour" in answer.err
        assert answer.err.count("\n") == 1
        assert np.ptp(np.load(tmp_path / "out.npz")["labels"], axis=1).max() < 1e-5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["A", "B"], "-o"),
        (["A", "B", "-o", "out.png", "--n", "3"], "within 10..100000"),
        (["A", "B", "-o", "out.png", "--blur", "0"], "within 0.01..10"),
        (["A", "B", "-o", "out.png", "--reach", "-1"], "within 0.001..100"),
        (["A", "B", "-o", "out.png", "--scaling", "1"], "within 0.01..0.999"),
        (["A", "B", "-o", "out.png", "--labels", "argmx"], "did you mean 'argmax'"),
        (["A", "B", "-o", "out.png", "--least", "0.4"], "goes with --labels argmax"),
        (["A", "B", "-o", "out.png", "--sheet", "out.png"], "are one file"),
        (["A", "B", "-o", "A", "--overwrite"], "would be replaced"),
    ],
)
def test_usage_errors(cli, two, tmp_path, words, message):
    paths = {"A": two[0], "B": two[1]}
    answer = cli("labels", *(paths.get(word, word) for word in words))
    assert answer.code == 2
    assert message in answer.line
    assert len(list(tmp_path.iterdir())) == 2


def test_as_a_person_types_it(process, two, tmp_path):
    done = process("labels", *two, "-o", "out.png", *FEW)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("out.png: 300 points, confidence 1.00")
    assert (tmp_path / "out.png").is_file()
    failed = process("labels", *two, "-o", "out.png", *FEW)
    assert failed.returncode == 1
    assert failed.stderr == "jaxcolor: out.png: exists already; --overwrite replaces it\n"
