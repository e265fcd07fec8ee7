"""`--bands`: whose pixels hold nothing."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from jaxcolor.image import raster
from jaxcolor.recipes import bands


def scene(path, seed, nodata, hole):
    """Three bands, the first rows of which hold nothing."""
    values = np.random.default_rng(seed).normal(3000 + 1000 * seed, 200, (40, 50, 3))
    values[:5] = hole
    tags = () if nodata is None else [(42113, "s", 0, str(nodata), True)]
    how = {"photometric": "minisblack", "planarconfig": "contig"}
    tifffile.imwrite(path, values.astype(np.uint16), extratags=tags, **how)
    return values.astype(np.uint16)


@pytest.mark.parametrize(("own", "other"), [(0, 65535), (None, 65535), (0, None)])
def test_each_file_has_its_own_nodata(done, tmp_path, own, other):
    """Without a tag a source has none, and a reference that of its source."""
    paths = [tmp_path / f"{name}.tif" for name in ("source", "reference", "out")]
    source = scene(paths[0], 0, own, 3000 if own is None else own)
    reference = scene(paths[1], 1, other, own if other is None else other)
    done("transfer", *paths[:2], "-o", paths[2], "--bands")
    result = raster.read(paths[2]).bands
    wanted = bands.transfer(source, reference[5:], nodata=own)
    assert np.abs(result.astype(int) - wanted).max() <= 1
    assert abs(result[5:].mean() - 4000) < 20


def test_nodata_on_the_command_line_is_that_of_both(done, tmp_path):
    paths = [tmp_path / f"{name}.tif" for name in ("source", "reference", "out")]
    source, reference = scene(paths[0], 0, 7, 0), scene(paths[1], 1, 65535, 0)
    done("transfer", *paths[:2], "-o", paths[2], "--bands", "--nodata", "0")
    wanted = bands.transfer(source, reference, nodata=0)
    assert np.array_equal(raster.read(paths[2]).bands, wanted)


def test_what_cannot_be_matched(refused, tmp_path):
    """Light with ink; a palette's numbers."""
    paths = [tmp_path / f"{name}.tif" for name in ("source", "reference", "palette")]
    scene(paths[0], 0, None, 1)
    white = np.zeros((40, 50), np.uint16)
    tifffile.imwrite(paths[1], np.dstack([white] * 3), photometric="miniswhite",
                     planarconfig="contig")  # fmt: skip
    Image.new("P", (30, 20)).save(paths[2])
    out = ("-o", tmp_path / "out.tif", "--bands")
    assert "reference white is zero: convert" in refused("transfer", *paths[:2], *out)
    assert "holds numbers of a palette" in refused("transfer", paths[0], paths[2], *out)


def test_white_is_zero_and_its_nodata(done, tmp_path):
    """OpenImageIO would turn these numbers, and the pixels of nodata would be others."""
    paths = [tmp_path / f"{name}.tif" for name in ("source", "reference", "out")]
    rng = np.random.default_rng(0)
    for path, middle in zip(paths, (80, 120), strict=False):
        values = rng.normal(middle, 15, (40, 50)).clip(1, 255).astype(np.uint8)
        values[:5] = 0
        tags = [(42113, "s", 0, "0", True), (274, "H", 1, 6, True)]
        tifffile.imwrite(path, values, photometric="miniswhite", extratags=tags)
    done("transfer", *paths[:2], "-o", paths[2], "--bands")
    with tifffile.TiffFile(paths[2]) as tiff:
        tags, result = tiff.pages[0].tags, tiff.pages[0].asarray()
        assert (tags[262].value, tags[274].value) == (0, 6)
    assert (result[:5] == 0).all()
    assert abs(result[5:].mean() - 120) < 1.5
