"""`jaxcolor palette`, and palettes where other commands take a reference."""

import csv
import json

import numpy as np
import pytest
from image.profiles import display_p3

from jaxcolor.image import files
from jaxcolor.recipes.palette import extract, read, write
from jaxcolor.recipes.score import sw2

GAUSSIAN = "--method", "gaussian"


@pytest.fixture(scope="module")
def palette(small, tmp_path_factory):
    """The reference's colours in a file."""
    path = tmp_path_factory.mktemp("palette") / "reference.json"
    write(path, extract(small[1]))
    return path


# making one


def test_palette_and_swatch(done, pair, small, tmp_path, load):
    out, swatch = tmp_path / "p.json", tmp_path / "p.png"
    text = done("palette", pair[1], "-o", out, "--k", 12, "--swatch", swatch)
    found = read(out)
    assert len(found) == 12
    first, second = text.splitlines()
    assert first.startswith(f"{out}: 12 colours, ")
    assert f" from the picture's in CIELAB; mostly {found.codes[0]} {found.weights[0]:.1%}" in first
    assert second == str(swatch)
    assert load(swatch).shape[0] == 816
    same = extract(small[1], 12)
    assert np.array_equal(found.points, same.points)
    assert len(json.loads(out.read_text())["colors"]) == 12


def test_mask_and_seed(done, pair, small, save, tmp_path):
    mask = np.zeros(small[1].shape[:2], np.uint8)
    mask[:, :20] = 255
    done("palette", pair[1], "-o", tmp_path / "m.json", "--k", 9, "--mask", save("mask.png", mask))
    part = extract(small[1][:, :20], 9)
    np.testing.assert_allclose(read(tmp_path / "m.json").points, part.points, atol=1e-3)
    for seed in (0, 1):
        done("palette", pair[1], "-o", tmp_path / f"{seed}.json", "--k", 9, "--seed", seed)
    first, second = (read(tmp_path / f"{seed}.json").points for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_one_colour_is_told_as_one(done, save, tmp_path):
    flat = save("flat.png", np.full((4, 4, 3), (255, 128, 0), np.uint8))
    told = done("palette", flat, "-o", tmp_path / "p.json")
    expected = "1 colour, 0.0 from the picture's in CIELAB; mostly #ff8000 100.0%"
    assert told == f"{tmp_path / 'p.json'}: {expected}\n"


def test_colours_are_srgb_whatever_the_profile(done, save, tmp_path):
    picture = save("p3.png", np.full((4, 4, 3), (234, 51, 35), np.uint8), display_p3())
    done("palette", picture, "-o", tmp_path / "p.json")
    [red] = read(tmp_path / "p.json").levels.astype(int)
    np.testing.assert_allclose(red, [255, 0, 0], atol=2)


def test_what_goes_wrong(refused, done, pair, save, small, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"nonsense")
    out = tmp_path / "p.json"
    assert "bad.png" in refused("palette", tmp_path / "bad.png", "-o", out)
    assert "unknown file type; use one of .json" in refused("palette", pair[1], "-o", "p.png")
    assert "does not exist" in refused("palette", pair[1], "-o", tmp_path / "no" / "p.json")
    bad_swatch = "--swatch", tmp_path / "p.gif"
    assert "unknown file type" in refused("palette", pair[1], "-o", out, *bad_swatch)
    small_mask = save("mask.png", small[0][:3, :3])
    told = refused("palette", pair[1], "-o", out, "--mask", small_mask)
    assert "a mask must have the size of its picture" in told
    clear = save("clear.png", np.zeros((4, 4, 4), np.uint8))
    assert "nothing to fit" in refused("palette", clear, "-o", out)
    out.write_text("kept")
    assert "exists already" in refused("palette", pair[1], "-o", out)
    done("palette", pair[1], "-o", out, "--k", 3, "--overwrite")
    assert len(read(out)) == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["a.png"], "-o/--out"),
        (["-o", "p.json"], "IMAGE"),
        (["a.png", "-o", "p.json", "--k", "0"], "a whole number within 1..4096, got '0'"),
        (["a.png", "-o", "p.json", "--k", "many"], "got 'many'"),
        (["a.png", "-o", "p.json", "--swatch", "./a.png"], "would be replaced"),
    ],
)
def test_usage(cli, words, says):
    answer = cli("palette", *words)
    assert answer.code == 2
    assert says in answer.line


def test_help_shows_what_can_be_written_by_hand(cli, tmp_path):
    text = cli("palette", "--help").out
    assert "a palette (.json)" in " ".join(cli("transfer", "--help").out.split())
    hand = tmp_path / "hand.json"
    start = text.index('{"colors"')
    hand.write_text(text[start : text.index("}", start) + 1])
    assert read(hand).codes == ["#264653", "#e9c46a"]


def test_as_a_person_does(process, pair, palette, tmp_path):
    made = process("palette", pair[1], "-o", "own.json")
    assert made.returncode == 0, made.stderr
    assert made.stderr == ""
    assert [one.name for one in tmp_path.iterdir()] == ["own.json"]
    assert (tmp_path / "own.json").read_bytes() == palette.read_bytes()


# as a reference


def test_transfer_does_as_with_the_picture(done, pair, palette, tmp_path, load):
    for name, words in {"natural": (), "gaussian": GAUSSIAN}.items():
        for kind, reference in (("picture", pair[1]), ("palette", palette)):
            done("transfer", pair[0], reference, "-o", tmp_path / f"{name}_{kind}.png", *words)
        both = [load(tmp_path / f"{name}_{kind}.png") for kind in ("picture", "palette")]
        assert sw2(*both) < 0.006 < 0.2 * sw2(load(pair[0]), both[0])


def test_content_tells_a_palette_whatever_its_name(done, pair, palette, tmp_path, load):
    (tmp_path / "looks").write_bytes(palette.read_bytes())
    for name, reference in (("a", palette), ("b", tmp_path / "looks")):
        done("transfer", pair[0], reference, "-o", tmp_path / f"{name}.png", *GAUSSIAN)
    assert np.array_equal(load(tmp_path / "a.png"), load(tmp_path / "b.png"))


def test_between_a_picture_and_a_palette(done, pair, palette, save, small, tmp_path, load):
    other = save("mood.png", small[0] // 2 + 100)
    for name, weights in {"other": (1, 0), "palette": (0, 1), "both": (1, 1)}.items():
        options = "-o", tmp_path / f"{name}.png", "--weights", *weights, *GAUSSIAN
        done("transfer", pair[0], other, palette, *options)
    one, two, both = (load(tmp_path / f"{n}.png") for n in ("other", "palette", "both"))
    assert max(sw2(both, one), sw2(both, two)) < 0.8 * sw2(one, two)


def test_a_source_of_another_profile(done, save, small, palette, tmp_path):
    """As with the same colours in a picture."""
    source = save("p3.png", small[0], display_p3())
    picture = save("reference.png", small[1])
    for name, reference in (("a", picture), ("b", palette)):
        done("transfer", source, reference, "-o", tmp_path / f"{name}.png", *GAUSSIAN)
    first, second = (files.read(tmp_path / f"{name}.png") for name in "ab")
    assert second.profile == display_p3()
    assert sw2(first.pixels, second.pixels) < 0.005


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--both", "b.png"), "is a palette; --both needs a picture"),
        (("--reference-mask", "m.png"), "is a palette; --reference-mask needs a picture"),
        (
            ("--method", "grid", "--counts", "--marginal", "kl", "--reach", "0.1"),
            "a palette has no pixels to count",
        ),
    ],
)
def test_what_needs_a_picture_says_so(refused, pair, palette, tmp_path, words, says):
    words = [tmp_path / one if str(one).endswith(".png") else one for one in words]
    assert says in refused("transfer", pair[0], palette, "-o", tmp_path / "out.png", *words)


def test_a_broken_palette_is_told(refused, pair, tmp_path):
    bad, out = tmp_path / "bad.json", tmp_path / "out.png"
    for text, says in {
        "": "bad.json: not a palette: it is no JSON",
        '{"version": 7, "colors": ["#fff"]}': 'bad.json: "version" is 7',
        '[{"hex": "#fff", "weight": -2}]': 'bad.json: colour 1: "weight" must be >= 0',
    }.items():
        bad.write_text(text)
        assert says in refused("transfer", pair[0], bad, "-o", out)
    assert "no.json: No such file" in refused("transfer", pair[0], tmp_path / "no.json", "-o", out)
    assert "bad.json" in refused("transfer", bad, pair[0], "-o", out)


def test_batch(done, pair, palette, save, small, tmp_path, load):
    save("source.png", small[0])
    save("p3.png", small[0], display_p3())
    (tmp_path / "look.json").write_bytes(palette.read_bytes())
    (tmp_path / "pairs.csv").write_text(
        "source,reference\nsource.png,look.json\np3.png,look.json\n"
    )
    done("batch", tmp_path / "pairs.csv", "-o", tmp_path / "out", *GAUSSIAN)
    with (tmp_path / "out" / "manifest.csv").open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["done", "done"]
    for name in ("source", "p3"):
        done("transfer", tmp_path / f"{name}.png", palette, "-o", tmp_path / "one.png", *GAUSSIAN,
             "--overwrite")  # fmt: skip
        assert np.array_equal(
            load(tmp_path / "out" / f"{name}_as_look.png"), load(tmp_path / "one.png")
        )


def test_morph(done, cli, pair, palette, tmp_path, load):
    done("morph", pair[0], palette, "-o", tmp_path / "out", "--steps", 3, *GAUSSIAN)
    frames = [load(tmp_path / "out" / f"source_{k:02d}.png") for k in (1, 2, 3)]
    done("transfer", pair[0], palette, "-o", tmp_path / "end.png", *GAUSSIAN)
    assert sw2(frames[2], load(tmp_path / "end.png")) < 0.005
    assert sw2(frames[1], frames[2]) < 0.8 * sw2(frames[0], frames[2])


def test_compare(done, only, pair, palette, tmp_path):
    only("faithful")
    text = done("compare", pair[0], palette, "-o", tmp_path / "sheet.png", "--json")
    [found] = json.loads(text)["results"]
    assert found["sw2"] < 0.02
    assert (tmp_path / "sheet.png").exists()
