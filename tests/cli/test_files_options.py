"""What the commands make of files: nothing in them is lost, whatever their kind."""

import numpy as np
import pytest
from image import camera
from image.profiles import display_p3
from image.samples import ramp
from PIL import Image

from jaxcolor.image import files

QUICK = ("--method", "gaussian")


@pytest.fixture
def photograph(tmp_path):
    """As a phone stores it: on its side, Display P3."""
    path = tmp_path / "photograph.jpg"
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(ramp((50, 60, 3)))))
    stored.save(path, quality=98, exif=camera.exif(), icc_profile=display_p3())
    return path


@pytest.fixture
def cube(tmp_path):
    path = tmp_path / "same.cube"
    nodes = [f"{r} {g} {b}" for b in (0, 1) for g in (0, 1) for r in (0, 1)]
    path.write_text("LUT_3D_SIZE 2\n" + "\n".join(nodes) + "\n")
    return path


class TestKept:
    @pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
    def test_transfer(self, done, pair, photograph, tmp_path, suffix):
        """Of a turned photograph in Display P3."""
        out, other = tmp_path / f"out{suffix}", tmp_path / f"other{suffix}"
        done("transfer", photograph, pair[0], "-o", out, "--both", other, *QUICK)
        assert camera.told(out) == camera.expected()
        assert camera.THUMBNAIL not in out.read_bytes()
        back = files.read(out)
        assert back.profile == display_p3()
        assert back.pixels.shape == (50, 60, 3)
        assert files.read(other).exif is None

    def test_other_commands(self, done, pair, photograph, cube, tmp_path):
        table = tmp_path / "pairs.csv"
        table.write_text(f"source,reference,output\n{photograph},{pair[0]},batch.jpg\n")
        done("lut", "apply", photograph, cube, "-o", tmp_path / "lut.jpg")
        done("texture", "grain", photograph, photograph, "-o", tmp_path / "grain.jpg")
        done("batch", table, "-o", tmp_path / "folder", *QUICK)
        done("harmonize", photograph, pair[0], "-o", tmp_path / "folder", *QUICK)
        done("morph", photograph, pair[0], "-o", tmp_path / "folder", "--steps", "2", *QUICK)
        names = ["lut.jpg", "grain.jpg", "folder/batch.jpg", "folder/photograph.jpg",
                 "folder/photograph_02.jpg"]  # fmt: skip
        for name in names:
            assert camera.told(tmp_path / name) == camera.expected(), name
            assert files.read(tmp_path / name).profile == display_p3()

    def test_broken_exif(self, cli, pair, tmp_path):
        path = tmp_path / "a.jpg"
        Image.fromarray(ramp()).save(path, exif=b"Exif\0\0nonsense")
        answer = cli("transfer", path, pair[0], "-o", tmp_path / "out.jpg", *QUICK)
        assert answer.code == 0
        told = f"jaxcolor: warning: {path}: its EXIF data are broken, and left out\n"
        assert answer.err == told
