"""lut and demo, in process; the essentials of all once more as a person runs them."""

import os
import subprocess
import sys

import numpy as np
import pytest
from image.profiles import display_p3
from PIL import Image

from jaxcolor.cli import demo
from jaxcolor.image import files


class TestLut:
    @pytest.fixture
    def negative(self, tmp_path):
        corners = [(1 - r, 1 - g, 1 - b) for b in (0, 1) for g in (0, 1) for r in (0, 1)]
        rows = "\n".join("{} {} {}".format(*row) for row in corners)
        (tmp_path / "negative.cube").write_text(f"LUT_3D_SIZE 2\n{rows}\n")
        return tmp_path / "negative.cube"

    @pytest.mark.parametrize("interpolation", ["tetrahedral", "trilinear"])
    @pytest.mark.parametrize("dtype", ["uint8", "uint16"])
    def test_negative(self, done, save, negative, tmp_path, load, dtype, interpolation):
        top = np.iinfo(dtype).max
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, top + 1, (9, 11, 4)).astype(dtype)
        path, out = save("a.png", pixels, display_p3()), tmp_path / "out.png"
        text = done("lut", "apply", path, negative, "-o", out, "--interpolation", interpolation)
        assert text == f"{out}: 11x9\n"
        result = files.read(out)
        assert result.profile == display_p3()
        assert result.pixels.dtype == pixels.dtype
        assert np.array_equal(result.pixels[..., 3], pixels[..., 3])
        gap = result.pixels[..., :3].astype(int) - (top - pixels[..., :3].astype(int))
        assert np.abs(gap).max() <= (0 if dtype == "uint8" else 1)

    def test_interpolations_differ_in_a_curved_table(self, done, pair, tmp_path, load):
        rng = np.random.default_rng(0)
        rows = "\n".join("{} {} {}".format(*row) for row in rng.random((27, 3)))
        (tmp_path / "a.cube").write_text(f"LUT_3D_SIZE 3\n{rows}\n")
        for name in ("tetrahedral", "trilinear"):
            out = tmp_path / f"{name}.png"
            done("lut", "apply", pair[0], tmp_path / "a.cube", "-o", out, "--interpolation", name)
        done("lut", "apply", pair[0], tmp_path / "a.cube", "-o", tmp_path / "default.png")
        default, one, other = (
            load(tmp_path / f"{name}.png") for name in ("default", "tetrahedral", "trilinear")
        )
        assert np.array_equal(default, one)
        assert not np.array_equal(one, other)

    def test_overwrite(self, cli, pair, negative, tmp_path):
        out = tmp_path / "out.png"
        out.write_bytes(b"old")
        answer = cli("lut", "apply", pair[0], negative, "-o", out)
        assert answer.code == 1
        assert "exists already" in answer.line
        assert out.read_bytes() == b"old"
        assert cli("lut", "apply", pair[0], negative, "-o", out, "--overwrite").code == 0
        assert out.read_bytes() != b"old"


class TestDemo:
    FILES = {
        *("coffee.png", "rocket.png", "coffee_as_rocket.png"),
        *("coffee_as_rocket.cube", "compare.png"),
    }

    @pytest.fixture(autouse=True)
    def _small_photographs(self, monkeypatch, small):
        monkeypatch.setattr(demo, "photographs", lambda: list(small))

    def test_twice(self, cli, done, only, tmp_path):
        only("gentle")
        folder = tmp_path / "new" / "demo"
        text = done("demo", "-o", folder)
        assert {one.name for one in folder.iterdir()} == self.FILES
        for name in self.FILES - {"coffee_as_rocket.cube"}:
            with Image.open(folder / name) as image:
                image.load()
        assert str(folder / "coffee_as_rocket.png") in text
        before = {one: one.read_bytes() for one in folder.iterdir()}
        answer = cli("demo", "-o", folder)
        assert answer.code == 1
        assert "exists already; --overwrite replaces it" in answer.line
        assert {one: one.read_bytes() for one in folder.iterdir()} == before
        done("demo", "-o", folder, "--overwrite")

    def test_a_file_in_the_way(self, cli, tmp_path):
        (tmp_path / "demo").write_text("")
        answer = cli("demo", "-o", tmp_path / "demo")
        assert answer.code == 1
        assert "is a file; name a folder" in answer.line


def test_demo_without_scikit_image(cli, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    answer = cli("demo", "-o", tmp_path / "demo")
    assert answer.code == 1
    assert "pip install 'jaxcolor[demo]'" in answer.line
    assert not (tmp_path / "demo").exists()


def test_a_person_sees_a_bar(pair, tmp_path, monkeypatch, capfd):
    """And a pipe, as in all other tests, nothing."""
    from jaxcolor.cli.main import main

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["transfer", *map(str, pair), "-o", str(tmp_path / "out.png")]) == 0
    assert "transfer: fitting" in capfd.readouterr().err


class TestProcess:
    def test_transfer(self, process, pair, tmp_path, load):
        done = process("transfer", *pair, "-o", "out.png", "--both", "back.png", "--lut", "a.cube")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[0] == "out.png: 60x40"
        assert load(tmp_path / "out.png").shape == (40, 60, 3)
        assert load(tmp_path / "back.png").shape == (40, 50, 3)
        assert (tmp_path / "a.cube").is_file()

    def test_compiled_programs_are_kept_in_the_cache_folder(self, process, pair, tmp_path):
        cache = tmp_path / "cache"
        env = os.environ | {"XDG_CACHE_HOME": str(cache)}
        done = process("transfer", *pair, "-o", "out.png", "--method", "gaussian", env=env)
        assert (done.returncode, done.stderr) == (0, "")
        assert any((cache / "jaxcolor" / "xla").iterdir())

    def test_a_cache_folder_that_cannot_be(self, process, pair, tmp_path):
        (tmp_path / "file").write_text("")
        env = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "file")}
        done = process("transfer", *pair, "-o", "out.png", "--method", "gaussian", env=env)
        assert (done.returncode, done.stderr) == (0, "")

    def test_failure(self, process, pair, tmp_path):
        deep = np.random.default_rng(0).integers(0, 65536, (40, 60, 3)).astype(np.uint16)
        files.write(tmp_path / "bad.png", files.Picture(deep))
        data = (tmp_path / "bad.png").read_bytes()
        (tmp_path / "bad.png").write_bytes(data[: len(data) // 2])
        done = process("transfer", "bad.png", pair[1], "-o", "out.png")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("jaxcolor: bad.png: damaged")
        assert os.listdir(tmp_path) == ["bad.png"]

    def test_usage(self, process):
        done = process("transfre")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
        assert "did you mean 'transfer'" in done.stderr

    def test_a_reader_that_left(self, pair, tmp_path):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-m", "jaxcolor", "transfer", *map(str, pair), "-o", "out.png"],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONUNBUFFERED": ""},  # or print fails, not the end
        )
        os.close(writer)
        assert (done.returncode, done.stderr) == (1, "")
        assert (tmp_path / "out.png").is_file()

    @pytest.mark.long
    def test_demo(self, process, tmp_path):
        done = process("demo")
        assert (done.returncode, done.stderr) == (0, "")
        assert len(list((tmp_path / "jaxcolor-demo").iterdir())) == 5

    def test_help(self, process):
        done = process("--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert "transfer" in done.stdout
