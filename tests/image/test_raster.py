"""Rasters read and written: the numbers as they are stored, and what they mean."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
from image.profiles import display_p3
from PIL import Image

from jaxcolor.image import raster

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64")


def numbers(count, dtype="uint16"):
    return np.random.default_rng(0).integers(0, 120, (20, 30, count)).astype(dtype)


def through(tmp_path, values, **how):
    """Written by another program, read, written; the raster, and the tags before and after."""
    paths = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(paths[0], values, **how)
    read = raster.read(paths[0])
    raster.write(paths[1], read)
    tags = []
    for path in paths:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[0]
            tags.append({tag.code: tag.value for tag in page.tags.values()})
            if values.dtype.kind != "f":  # their predictor is more than tifffile knows by itself
                assert np.array_equal(page.asarray().squeeze(), values.squeeze())
    assert np.array_equal(raster.read(paths[1]).bands, read.bands)
    return read, *tags


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("photometric", ["miniswhite", "minisblack", "rgb", "separated"])
def test_numbers_as_they_are_stored(tmp_path, dtype, photometric):
    count = {"rgb": 3, "separated": 4}.get(photometric, 1)
    values = numbers(count, dtype)
    if photometric == "separated" and dtype not in ("uint8", "uint16"):
        tifffile.imwrite(tmp_path / "a.tif", values, photometric=photometric)
        with pytest.raises(ValueError, match=f"CMYK of type {dtype}; convert it to uint8 or"):
            raster.read(tmp_path / "a.tif")
        return
    read, before, after = through(
        tmp_path, values if count > 1 else values[..., 0], photometric=photometric
    )
    assert read.bands.dtype == dtype
    assert np.array_equal(read.bands, values)
    assert after[262] == before[262]
    assert after.get(338, ()) == ()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_white_is_zero_of_several_bands(tmp_path, dtype):
    values = numbers(4, dtype)
    how = {"photometric": "miniswhite", "planarconfig": "contig", "extrasamples": [0, 0, 0]}
    read, _, after = through(tmp_path, values, **how)
    assert np.array_equal(read.bands, values)
    assert (after[262], after[338]) == (0, (0, 0, 0))


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("photometric", ["rgb", "minisblack", "separated"])
def test_alpha_stays_what_it_was(tmp_path, photometric, kind):
    count = {"rgb": 3, "minisblack": 1, "separated": 4}[photometric]
    how = {"photometric": photometric, "planarconfig": "contig", "extrasamples": [0, kind]}
    read, _, after = through(tmp_path, numbers(count + 2), **how)
    assert np.array_equal(read.bands, numbers(count + 2))
    assert tuple(after[338]) == (0, kind)


def test_a_colour_in_too_many_bands(tmp_path):
    """Some writers leave out what the others are."""
    how = {"photometric": "rgb", "planarconfig": "contig", "extrasamples": [0, 0, 2]}
    tifffile.imwrite(tmp_path / "a.tif", numbers(6), **how)
    read = raster.read(tmp_path / "a.tif")
    del read.meaning[338]
    raster.write(tmp_path / "b.tif", read)
    assert raster.read(tmp_path / "b.tif").meaning[338] == (3, (0, 0, 0))


def test_orientation_profile_and_resolution(tmp_path):
    read, before, after = through(
        tmp_path,
        numbers(3),
        photometric="rgb",
        iccprofile=display_p3(),
        resolution=(300, 150),
        resolutionunit=3,
        extratags=[(274, "H", 1, 6, True)],
    )
    assert read.bands.shape == (20, 30, 3)
    assert (after[274], after[34675], after[296]) == (6, display_p3(), 3)
    for tag in (282, 283):
        assert after[tag] == before[tag]
    assert after[282][0] / after[282][1] == 300


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Image.new("P", (30, 20)), "numbers of a palette's colours, no bands; convert it"),
    (lambda: Image.new("1", (30, 20)), "has 1 bits a number; convert it to 8, 16 or 32"),
    (lambda: Image.new("LAB", (30, 20)), r"CIE L\*a\*b\*, no bands"),
    (lambda: Image.new("YCbCr", (30, 20)), "YCbCr, no bands"),
])  # fmt: skip
def test_what_holds_no_bands(tmp_path, make, message):
    make().save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=message):
        raster.read(tmp_path / "a.tif")


def test_a_broken_georeference_leaves_the_meaning(tmp_path):
    read, _, before = through(tmp_path, numbers(4), photometric="separated")
    with pytest.warns(UserWarning, match=r"b\.tif: without its georeference"):
        raster.write(tmp_path / "b.tif", replace(read, exif=b"nonsense"))
    assert raster.read(tmp_path / "b.tif").meaning == read.meaning
    assert before[262] == 5


def test_light_and_ink_are_not_matched(tmp_path):
    found = {}
    for photometric in ("miniswhite", "minisblack", "rgb", "separated"):
        path = tmp_path / f"{photometric}.tif"
        tifffile.imwrite(path, numbers(4), photometric=photometric, planarconfig="contig")
        found[photometric] = raster.read(path)
    raster.check_alike(found["minisblack"], found["rgb"])
    raster.check_alike(found["separated"], found["separated"])
    for one, other, message in (
        ("separated", "rgb", "source is CMYK, reference of light: convert one"),
        ("minisblack", "miniswhite", "source is of light, reference white is zero"),
    ):
        with pytest.raises(ValueError, match=message):
            raster.check_alike(found[one], found[other])
