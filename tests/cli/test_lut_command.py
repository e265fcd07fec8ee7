"""`jaxcolor lut`, and the tables and maps that `jaxcolor transfer` writes."""

import json
from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.cli import tables
from jaxcolor.image import files, hald, lut
from jaxcolor.image.apply import apply
from jaxcolor.recipes import portable

RNG = np.random.default_rng(0)
QUICK = ("--method", "gaussian")
NEGATIVE = "LUT_1D_SIZE 2\n1 1 1\n0 0 0\n"
HALVES = "".join(f"{r} {g} {b}\n" for b in (0, 0.5) for g in (0, 0.5) for r in (0, 0.5))


def told(text):
    """Decibels, levels and CIEDE2000 of a line."""
    words = text.split()
    places = [words.index("dB") - 1, words.index("most") + 1, words.index("CIEDE2000") - 1]
    return [float(words[place]) for place in places]


@pytest.fixture
def negative(tmp_path):
    (tmp_path / "negative.cube").write_text(NEGATIVE)
    return tmp_path / "negative.cube"


class TestApply:
    def test_curves(self, done, pair, small, negative, tmp_path, load):
        out = tmp_path / "out.png"
        assert done("lut", "apply", pair[0], negative, "-o", out) == f"{out}: 60x40\n"
        assert np.array_equal(load(out), 255 - small[0])
        done(
            "lut",
            "apply",
            pair[0],
            negative,
            "-o",
            out,
            "--overwrite",
            "--interpolation",
            "trilinear",
        )
        assert np.array_equal(load(out), 255 - small[0])

    def test_curves_and_a_table(self, done, pair, small, tmp_path, load):
        both = tmp_path / "both.cube"
        both.write_text("LUT_3D_SIZE 2\n" + NEGATIVE + HALVES)
        done("lut", "apply", pair[0], both, "-o", tmp_path / "out.png")
        expected = np.rint((255 - small[0].astype(float)) / 2)
        assert np.abs(load(tmp_path / "out.png") - expected).max() <= 1

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_a_hald_picture(self, done, pair, small, save, tmp_path, load, dtype):
        pixels = RNG.integers(0, np.iinfo(dtype).max + 1, (27, 27, 3)).astype(dtype)
        clut = save("clut.png", pixels)
        for name in ("tetrahedral", "trilinear"):
            out = tmp_path / f"{name}.png"
            done("lut", "apply", pair[0], clut, "-o", out, "--interpolation", name)
            expected = apply(lut.interpolated(hald.load(clut), name), small[0])
            assert np.array_equal(load(out), expected)

    def test_what_is_no_table(self, refused, pair, save, small, tmp_path):
        jpeg = save("x.jpg", small[0])
        for path, says in ((pair[1], "no size of a Hald"), (jpeg, "PNG or TIFF")):
            assert says in refused("lut", "apply", pair[0], path, "-o", tmp_path / "out.png")

    def test_pixels_beyond_it_are_told(self, cli, negative, save, tmp_path, load):
        pixels = np.full((4, 5, 3), 0.25, np.float32)
        pixels[0, :2] = [-1, 0.5, 3]
        wide, out = save("wide.tif", pixels), tmp_path / "out.tif"
        answer = cli("lut", "apply", wide, negative, "-o", out)
        assert answer.code == 0
        [line] = answer.err.splitlines()
        assert line.startswith(f"jaxcolor: warning: 2 of 20 pixels of {wide} are beyond 0..1")
        assert np.allclose(load(out)[0, 0], [1, 0.5, 0], atol=1e-6)
        assert (
            cli("lut", "apply", save("in.tif", pixels[1:]), negative, "-o", tmp_path / "b.tif").err
            == ""
        )


class TestIdentity:
    @pytest.mark.parametrize("name", ["i.cube", "i.png", "i.tif"])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_changes_no_pixel(self, done, save, tmp_path, load, name, dtype):
        table, size = tmp_path / name, 33 if name == "i.cube" else 64
        assert done("lut", "identity", table) == f"{table}: {size}x{size}x{size}, changes nothing\n"
        path = save("a.png", RNG.integers(0, np.iinfo(dtype).max + 1, (64, 64, 3)).astype(dtype))
        done("lut", "apply", path, table, "-o", tmp_path / "out.png")
        assert np.array_equal(load(tmp_path / "out.png"), load(path))

    def test_sizes(self, cli, done, tmp_path, load):
        assert "5x5x5" in done("lut", "identity", tmp_path / "i.cube", "--size", "5")
        assert lut.load(tmp_path / "i.cube").size == 5
        text = done("lut", "identity", tmp_path / "i.png", "--size", "25")
        assert text.endswith(": 25x25x25, changes nothing of 8 bits, 16 by one level at most\n")
        assert load(tmp_path / "i.png").shape == (125, 125, 3)
        answer = cli("lut", "identity", tmp_path / "j.png", "--size", "33")
        assert answer.code == 2
        assert "has a square of points on each side, not 33: 25 or 36, say" in answer.line

    def test_files(self, refused, tmp_path):
        (tmp_path / "i.cube").write_text("old")
        assert "exists already" in refused("lut", "identity", tmp_path / "i.cube")
        assert "use one of .cube, .png, .tif, .tiff" in refused("lut", "identity", tmp_path / "i.x")


class TestConvert:
    @pytest.fixture
    def table(self):
        values = RNG.uniform(0, 1, (9, 9, 9, 3)).astype(np.float32)
        return lut.Lut(jnp.asarray(values), jnp.asarray(np.array([[0] * 3, [1] * 3], np.float32)))

    def test_there_and_back_is_exact(self, done, table, tmp_path):
        paths = [tmp_path / name for name in ("a.cube", "b.png", "c.cube", "d.tif")]
        table.save(paths[0])
        for one, other in pairwise(paths):
            size = ("--size", "9") if other.suffix == ".png" else ()
            text = done("lut", "convert", one, other, *size)
            assert text.startswith(f"{other}: 9x9x9, at most ")
            assert text.endswith(f" CIEDE2000 from {one}\n")
            assert float(text.split()[4]) < 0.003
        np.testing.assert_allclose(hald.load(paths[1]).table, table.table, atol=0.51 / 65535)
        np.testing.assert_allclose(lut.load(paths[2]).table, hald.load(paths[1]).table, atol=6e-8)
        np.testing.assert_array_equal(hald.load(paths[3]).table, hald.load(paths[1]).table)

    def test_to_a_size_that_has_all_points(self, done, table, tmp_path):
        """Tetrahedra are cut into tetrahedra: the same function."""
        table.save(tmp_path / "a.cube")
        text = done("lut", "convert", tmp_path / "a.cube", tmp_path / "b.cube", "--size", "33")
        assert text.startswith(f"{tmp_path / 'b.cube'}: 33x33x33, ")
        assert float(text.split()[4]) < 0.001
        text = done("lut", "convert", tmp_path / "a.cube", tmp_path / "c.cube", "--size", "5")
        assert float(text.split()[4]) > 10  # and here it is not, and it is told

    @pytest.mark.parametrize(
        ("size", "expected"),
        [(9, 9), (17, 64), (65, 81), pytest.param(129, 121, marks=pytest.mark.long)],
    )
    def test_usual_sizes_of_a_hald_picture(self, done, tmp_path, load, size, expected):
        done("lut", "identity", tmp_path / "a.cube", "--size", size)
        text = done("lut", "convert", tmp_path / "a.cube", tmp_path / "b.png")
        assert f": {expected}x{expected}x{expected}, at most 0.00" in text
        assert len(load(tmp_path / "b.png")) == round(expected**1.5)

    def test_curves_become_a_table(self, done, negative, tmp_path):
        done("lut", "convert", negative, tmp_path / "a.cube", "--size", "3")
        table = lut.load(tmp_path / "a.cube")
        assert isinstance(table, lut.Lut)
        np.testing.assert_allclose(table(jnp.array([[0.1, 0.5, 1.0]])), [[0.9, 0.5, 0]], atol=1e-6)
        assert "33x33x33" in done("lut", "convert", negative, tmp_path / "b.cube")
        assert "64x64x64" in done("lut", "convert", negative, tmp_path / "c.png")

    def test_numbers_that_are_cut_off_are_told(self, done, tmp_path):
        (tmp_path / "a.cube").write_text("LUT_1D_SIZE 2\n-1 0 0\n1 1 1\n")
        text = done("lut", "convert", tmp_path / "a.cube", tmp_path / "a.png", "--size", "4")
        assert text.splitlines()[1].endswith(
            ": 32 of 192 numbers were beyond 0..1, and are cut off"
        )

    def test_domains(self, done, refused, tmp_path):
        (tmp_path / "a.cube").write_text("LUT_1D_SIZE 2\nDOMAIN_MAX 4 4 4\n0 0 0\n4 4 4\n")
        line = refused("lut", "convert", tmp_path / "a.cube", tmp_path / "a.png")
        assert "for colours from 0 to 4, and a HaldCLUT ends at 0 and 1: write a .cube" in line
        done("lut", "convert", tmp_path / "a.cube", tmp_path / "b.cube")
        np.testing.assert_array_equal(lut.load(tmp_path / "b.cube").domain, [[0] * 3, [4] * 3])
        (tmp_path / "c.cube").write_text("LUT_1D_SIZE 2\nDOMAIN_MAX .5 .5 .5\n0 0 0\n1 1 1\n")
        done("lut", "convert", tmp_path / "c.cube", tmp_path / "c.png", "--size", "9")
        assert float(hald.load(tmp_path / "c.png").table[5, 0, 0, 0]) == 1

    def test_usage(self, cli, refused, negative, tmp_path):
        assert cli("lut", "convert", negative, tmp_path / "a.png", "--size", "5").code == 2
        same = cli("lut", "convert", negative, negative)
        assert (same.code, "would be replaced by a result" in same.line) == (2, True)
        (negative.parent / "old.cube").write_text("old")
        line = refused("lut", "convert", negative, negative.parent / "old.cube")
        assert "exists already" in line
        assert "use one of .cube" in refused("lut", "convert", negative, tmp_path / "a.3dl")


class TestTransfer:
    def test_a_hald_picture(self, done, pair, small, tmp_path, load):
        out, clut = tmp_path / "out.png", tmp_path / "look.png"
        text = done("transfer", *pair, "-o", out, *QUICK, "--lut", clut, "--lut-size", "25")
        line = text.splitlines()[1]
        assert line.startswith(f"{clut}: 25x25x25, ")
        assert line.endswith(" CIEDE2000 off")
        assert (load(clut).shape, load(clut).dtype) == ((125, 125, 3), np.uint16)
        done("lut", "apply", pair[0], clut, "-o", tmp_path / "b.png")
        off = np.abs(load(out).astype(int) - load(tmp_path / "b.png"))
        decibels, levels, delta_e = told(line)
        assert decibels > 45
        assert off.max() <= levels + 1
        assert 0 < delta_e < 3

    def test_usual_size_of_a_hald_picture(self, done, pair, tmp_path, load):
        done("transfer", *pair, "-o", tmp_path / "out.png", *QUICK, "--lut", tmp_path / "c.tif")
        assert load(tmp_path / "c.tif").shape == (512, 512, 3)

    @pytest.mark.parametrize("space", ["srgb", "linear"])
    def test_curves_are_exact(self, done, pair, tmp_path, load, space):
        out, cube = tmp_path / "out.png", tmp_path / "look.cube"
        how = ("--method", "histogram", "--space", space, "--strength", "0.8")
        text = done("transfer", *pair, "-o", out, *how, "--lut", cube, "--lut-1d")
        assert text.splitlines()[1].startswith(f"{cube}: 4081 entries for each channel, ")
        assert text.endswith("at most 0.0 of 255 levels and 0.0 CIEDE2000 off\n")
        assert isinstance(lut.load(cube), lut.Curves)
        done("lut", "apply", pair[0], cube, "-o", tmp_path / "b.png")
        assert np.array_equal(load(out), load(tmp_path / "b.png"))

    def test_a_table_for_a_wider_picture(self, done, refused, pair, save, small, tmp_path, load):
        source = save("wide.tif", (small[0] / np.float32(200)) ** 2 - 0.25)
        out, cube = tmp_path / "out.tif", tmp_path / "look.cube"
        how = (*QUICK, "--space", "srgb", "--lut")
        text = done("transfer", source, pair[1], "-o", out, *how, cube).splitlines()
        low, high = np.asarray(lut.load(cube).domain)
        assert text[2].startswith(f"{cube}: for colours from {low.min():.4g} to {high.max():.4g} ")
        assert (low == np.minimum(load(source).min((0, 1)), 0)).all()
        assert (high == np.maximum(load(source).max((0, 1)), 1)).all()
        done("lut", "apply", source, cube, "-o", tmp_path / "b.tif")
        assert np.abs(load(out) - load(tmp_path / "b.tif")).max() < 1e-4
        # what a Hald picture would clamp it refuses, before anything is written
        line = refused(
            "transfer", source, pair[1], "-o", tmp_path / "c.tif", *how, tmp_path / "c.png"
        )
        assert "and a HaldCLUT ends at 0 and 1: write a .cube" in line

    def test_linear_light(self, cli, save, pair, small, tmp_path):
        light = files.Picture((small[0] / np.float32(300)) ** 2, linear=True)
        files.write(tmp_path / "a.exr", light)
        answer = cli(
            *("transfer", tmp_path / "a.exr", pair[1], "-o", tmp_path / "out.exr", *QUICK),
            *("--lut", tmp_path / "a.cube", "--json", tmp_path / "a.json"),
        )
        assert answer.code == 0
        assert answer.out.splitlines()[-1].endswith("a.exr is linear light")

    @pytest.mark.parametrize("how", [QUICK, ("--components", "2"), ("--look", "gentle")])
    def test_json(self, done, pair, small, tmp_path, load, how):
        out, path = tmp_path / "out.png", tmp_path / "look.json"
        text = done("transfer", *pair, "-o", out, *how, "--json", path, "--strength", "0.7")
        lines = text.splitlines()
        assert lines[1] == f"{path}: the map, to evaluate anywhere"
        assert len(lines) == 2 + 2 * ("--look" in how)  # no smoothing, no gamut
        assert json.loads(path.read_text())["steps"][0]["op"] == "blend"
        if "--look" not in how:
            assert np.array_equal(apply(portable.load(path), small[0]), load(out))

    def test_both_goes_one_way(self, done, pair, tmp_path):
        done(
            *("transfer", *pair, "-o", tmp_path / "a.png", "--both", tmp_path / "b.png", *QUICK),
            *("--lut", tmp_path / "a.cube", "--lut-size", "5", "--json", tmp_path / "a.json"),
        )
        assert {path.name for path in tmp_path.iterdir()} >= {"a.cube", "a.json", "b.png"}

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (("--lut", "a.cube", "--lut-1d", *QUICK), "and this one mixes them"),
            (("--lut", "a.cube", "--lut-1d"), "--method histogram in srgb or linear"),
            (("--lut", "a.cube", "--lut-1d", "--method", "histogram", "--space", "lab"), "mixes"),
            (("--lut", "a.png", "--lut-1d", "--method", "histogram"), "writes a .cube file"),
            (
                ("--lut", "a.cube", "--lut-1d", "--method", "histogram", "--lut-size", "33"),
                "takes no --lut-size",
            ),
            (("--lut-1d",), "--lut-1d needs --lut"),
            (("--lut-size", "33"), "--lut-size needs --lut"),
            (("--lut", "a.png", "--lut-size", "50"), "not 50: 49 or 64, say"),
            (("--lut", "a.png", "--lut-size", "129"), "not 129: 121, say"),
            (("--json", "a.json"), "not of sliced: --lut holds any"),
            (("--json", "a.json", "--method", "newton"), "not of newton"),
            (("--json", "a.json", "--draw", "rand"), "--json takes no --draw rand"),
            (("--json", "out.png"), "not of sliced"),
            (("--json", "out.png", *QUICK), "the same name"),
        ],
    )
    def test_usage(self, cli, pair, options, says):
        answer = cli("transfer", *pair, "-o", "out.png", *options)
        assert answer.code == 2
        assert says in answer.line

    def test_equalize_has_no_such_map(self, cli, pair):
        for option in ("--json=a.json", "--lut-1d"):
            answer = cli("transfer", pair[0], "-o", "o.png", "--equalize", "--lut=a.cube", option)
            assert answer.code == 2

    def test_files(self, refused, pair, tmp_path):
        (tmp_path / "a.json").write_text("old")
        where = ("-o", tmp_path / "out.png", *QUICK, "--json")
        assert "exists already" in refused("transfer", *pair, *where, tmp_path / "a.json")
        assert "use one of .json" in refused("transfer", *pair, *where, tmp_path / "a.txt")


def test_squares_are_what_a_hald_picture_holds():
    """Written down once more, where reading them costs no import of NumPy."""
    assert {n for n in range(2, 130) if int(n**0.5 + 1e-9) ** 2 == n} == set(tables.SQUARES)
    assert set(tables.SQUARES) <= {level**2 for level in hald.LEVELS}
    assert set(tables.HALD) == set(hald.FORMATS)
