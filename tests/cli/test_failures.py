"""Whatever is wrong: exit 1, one line that says it, nothing written."""

import warnings

import numpy as np
import pytest
from image.profiles import display_p3
from PIL import Image

from jaxcolor.cli.main import main
from jaxcolor.image import files

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (40, 60, 3)).astype(np.uint8)
DEEP = RNG.integers(0, 65536, (40, 60, 3)).astype(np.uint16)


def cut(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


def missing(folder):
    return folder / "bad.png", "bad.png: No such file or directory"


def text(folder):
    (folder / "bad.png").write_text("Dear reader,\n" * 9)
    return folder / "bad.png", "not a picture that can be read"


def empty(folder):
    (folder / "bad.png").write_bytes(b"")
    return folder / "bad.png", "is empty (0 bytes)"


def a_folder(folder):
    (folder / "bad.png").mkdir()
    return folder / "bad.png", "is a folder, not a picture"


def truncated(name, pixels):
    def make(folder):
        files.write(folder / name, files.Picture(pixels))
        return cut(folder / name), f"{name}: damaged"

    make.__name__ = f"truncated-{pixels.dtype}-{name}"
    return make


def nan(folder):
    pixels = (NOISE / 255).astype(np.float32)
    pixels[3, 4, 1] = np.nan
    files.write(folder / "bad.tif", files.Picture(pixels, display_p3()))
    return folder / "bad.tif", "NaN or infinite"


def transparent(folder):
    files.write(folder / "bad.png", files.Picture(np.dstack([NOISE, NOISE[..., 0] * 0])))
    return folder / "bad.png", ""


BAD_PICTURES = [
    missing,
    text,
    empty,
    a_folder,
    truncated("bad.jpg", NOISE),
    truncated("bad.png", NOISE),
    truncated("bad.tif", NOISE),
    truncated("bad.png", DEEP),
    truncated("bad.tif", DEEP),
    truncated("bad.tif", (NOISE / 255).astype(np.float32)),
    nan,
    transparent,
]


class TestPictures:
    @pytest.mark.parametrize("make", BAD_PICTURES, ids=lambda make: make.__name__)
    def test_source(self, refused, pair, tmp_path, make):
        path, message = make(tmp_path)
        assert message in refused("transfer", path, pair[1], "-o", tmp_path / "out.png")

    @pytest.mark.parametrize("make", BAD_PICTURES, ids=lambda make: make.__name__)
    def test_reference(self, refused, pair, tmp_path, make):
        path, message = make(tmp_path)
        assert message in refused("transfer", pair[0], path, "-o", tmp_path / "out.png")

    @pytest.mark.parametrize("make", [missing, text, nan], ids=lambda make: make.__name__)
    def test_of_other_commands(self, refused, pair, tmp_path, make):
        path, message = make(tmp_path)
        assert message in refused("compare", path, pair[1], "-o", tmp_path / "out.png")
        assert message in refused("compare", pair[0], path, "-o", tmp_path / "out.png")
        assert message in refused("transfer", path, "--equalize", "-o", tmp_path / "out.png")
        cube = tmp_path / "a.cube"
        cube.write_text("LUT_3D_SIZE 2\n" + "0 0 0\n" * 8)
        assert message in refused("lut", "apply", path, cube, "-o", tmp_path / "out.png")

    def test_nothing_to_fit_says_so(self, refused, pair, tmp_path):
        path, _ = transparent(tmp_path)
        for method in ("sliced", "gaussian", "histogram", "reinhard"):
            line = refused(
                "transfer", path, pair[1], "-o", tmp_path / "out.png", "--method", method
            )
            assert "transparent or masked out" in line

    def test_one_that_may_not_be_read(self, refused, pair, tmp_path, monkeypatch):
        def refuse(path, *args, **kwargs):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Image, "open", refuse)
        line = refused("transfer", *pair, "-o", tmp_path / "out.png")
        assert line == f"jaxcolor: {pair[0]}: Permission denied"


class TestMasks:
    @pytest.mark.parametrize("option", ["--mask", "--reference-mask"])
    def test_of_another_size(self, refused, pair, save, tmp_path, option):
        mask = save("mask.png", np.full((7, 9), 255, np.uint8))
        line = refused("transfer", *pair, "-o", tmp_path / "out.png", option, mask)
        assert "a mask must have the size of its picture" in line
        assert "got 9x7" in line
        assert ("60x40" if option == "--mask" else "50x40") in line

    @pytest.mark.parametrize("method", ["sliced", "gaussian", "histogram", "reinhard"])
    def test_that_keep_nothing(self, refused, pair, save, tmp_path, method):
        for option, width in (("--mask", 60), ("--reference-mask", 50)):
            mask = save("mask.png", np.zeros((40, width), np.uint8))
            line = refused(
                *("transfer", *pair, "-o", tmp_path / "out.png"),
                *(option, mask, "--method", method),
            )
            assert "mask" in line

    def test_missing(self, refused, pair, tmp_path):
        line = refused("transfer", *pair, "-o", tmp_path / "out.png", "--mask", tmp_path / "no.png")
        assert "no.png: No such file" in line

    def test_the_second_is_checked_before_the_first_output(self, refused, pair, save, tmp_path):
        mask = save("mask.png", np.full((7, 9), 255, np.uint8))
        refused(
            *("transfer", *pair, "-o", tmp_path / "a.png", "--both", tmp_path / "b.png"),
            *("--reference-mask", mask),
        )


class TestOutputs:
    COMMANDS = ("transfer", "compare")

    @pytest.mark.parametrize("command", COMMANDS)
    def test_that_exist(self, refused, done, only, pair, tmp_path, command, load):
        only("gaussian")
        out = tmp_path / "out.png"
        out.write_bytes(b"old")
        line = refused(command, *pair, "-o", out)
        assert line == f"jaxcolor: {out}: exists already; --overwrite replaces it"
        assert out.read_bytes() == b"old"
        done(command, *pair, "-o", out, "--overwrite")
        assert load(out).ndim == 3

    @pytest.mark.parametrize("command", COMMANDS)
    def test_unknown_types(self, refused, pair, tmp_path, command):
        for name in ("out.gif", "out", "out.cube"):
            line = refused(command, *pair, "-o", tmp_path / name)
            assert "unknown file type; use one of .png, .jpg, .jpeg, .tif, .tiff" in line
        if command == "transfer":
            line = refused(command, *pair, "-o", tmp_path / "a.png", "--lut", tmp_path / "lut.3dl")
            assert "unknown file type; use one of .cube" in line

    @pytest.mark.parametrize("command", COMMANDS)
    def test_folders(self, refused, pair, tmp_path, monkeypatch, command):
        (tmp_path / "sub.png").mkdir()
        assert "is a folder; name a file" in refused(command, *pair, "-o", tmp_path / "sub.png")
        line = refused(command, *pair, "-o", tmp_path / "nowhere" / "out.png")
        assert f"the folder {tmp_path / 'nowhere'} does not exist" in line
        monkeypatch.setattr("jaxcolor.image.files.os.access", lambda *args: False)
        assert "cannot be written to" in refused(command, *pair, "-o", tmp_path / "out.png")

    @pytest.mark.parametrize("option", ["--both", "--lut"])
    def test_all_are_checked_before_any_is_written(self, refused, pair, tmp_path, option):
        second = tmp_path / ("old.cube" if option == "--lut" else "old.png")
        second.write_bytes(b"old")
        line = refused("transfer", *pair, "-o", tmp_path / "out.png", option, second)
        assert "exists already" in line

    @pytest.mark.parametrize("error", [PermissionError, OSError])
    def test_a_disk_that_refuses(self, refused, pair, tmp_path, monkeypatch, error):
        def refuse(self, to, *args, **kwargs):
            to.write(b"half")
            raise error(28, "No space left on device")

        monkeypatch.setattr(Image.Image, "save", refuse)
        line = refused("transfer", *pair, "-o", tmp_path / "out.png", "--method", "gaussian")
        assert line == f"jaxcolor: {tmp_path / 'out.png'}: No space left on device"

    def test_jpeg_for_a_transparent_picture(
        self, refused, pair, save, small, tmp_path, monkeypatch
    ):
        alpha = np.full(small[0].shape[:2], 255, np.uint8)
        alpha[3, 4] = 9
        path = save("clear.png", np.dstack([small[0], alpha]))
        message = "JPEG cannot hold transparency; write PNG or TIFF"
        assert message in refused("transfer", path, pair[1], "-o", tmp_path / "out.jpg")
        # known before any work, and before the first output is written
        monkeypatch.setattr("jaxcolor.recipes.transfer.fit", None)
        assert message in refused("transfer", path, pair[1], "-o", tmp_path / "out.jpg")
        both = ("-o", tmp_path / "out.png", "--both", tmp_path / "back.jpg")
        assert message in refused("transfer", pair[0], path, *both)
        cube = tmp_path / "a.cube"
        cube.write_text("LUT_3D_SIZE 2\n" + "0 0 0\n" * 8)
        assert message in refused("lut", "apply", path, cube, "-o", tmp_path / "out.jpg")


class TestCubes:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"LUT_3D_SIZE 2\n" + b"0 0 0\n" * 7, "LUT_3D_SIZE 2, 7 rows"),
            (b"LUT_3D_SIZE 2\n" + b"0 nan 0\n" * 8, "line 2: expected three finite numbers"),
            (bytes(range(256)), "not a .cube file"),
        ],
    )
    def test_bad(self, refused, pair, tmp_path, data, message):
        (tmp_path / "bad.cube").write_bytes(data)
        line = refused("lut", "apply", pair[0], tmp_path / "bad.cube", "-o", tmp_path / "out.png")
        assert "bad.cube" in line
        assert message in line

    def test_missing_or_a_folder(self, refused, pair, tmp_path):
        (tmp_path / "sub.cube").mkdir()
        for name in ("no.cube", "sub.cube"):
            assert name in refused(
                "lut", "apply", pair[0], tmp_path / name, "-o", tmp_path / "out.png"
            )


class TestTheUnexpected:
    @pytest.mark.parametrize(
        ("error", "code", "line"),
        [
            (KeyboardInterrupt(), 130, "jaxcolor: stopped"),
            (MemoryError(), 1, "jaxcolor: out of memory"),
            (RuntimeError("a\nb"), 1, "jaxcolor: RuntimeError: a b (JAXCOLOR_DEBUG=1 shows where)"),
            (OSError("no writer"), 1, "jaxcolor: no writer"),
        ],
    )
    def test_is_one_line(self, cli, pair, tmp_path, monkeypatch, error, code, line):
        def fail(path, picture):
            (tmp_path / "seen").touch()
            raise error

        monkeypatch.setattr(files, "write", fail)
        answer = cli("transfer", *pair, "-o", tmp_path / "out.png", "--method", "gaussian")
        assert (answer.code, answer.line) == (code, line)
        assert [one.name for one in tmp_path.iterdir()] == ["seen"]

    def test_debug_shows_where(self, cli, pair, tmp_path, monkeypatch):
        monkeypatch.setenv("JAXCOLOR_DEBUG", "1")
        with pytest.raises(FileNotFoundError):
            cli("transfer", tmp_path / "no.png", pair[1], "-o", tmp_path / "out.png")

    def test_a_broken_profile_is_a_warning_of_one_line(self, pair, save, small, tmp_path, capfd):
        path = save("odd.png", small[0], b"nonsense" * 30)
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            before = warnings.showwarning
            code = main(["transfer", str(path), str(pair[1]), "-o", str(tmp_path / "out.png")])
            assert warnings.showwarning is before
        err = capfd.readouterr().err
        assert code == 0
        assert err.startswith("jaxcolor: warning: colour profile not used (")
        assert err.count("\n") == 1
        assert files.read(tmp_path / "out.png").profile == b"nonsense" * 30
