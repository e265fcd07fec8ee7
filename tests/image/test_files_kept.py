"""What a file holds beside pixels: EXIF, XMP and resolution survive, and speak of the result."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from image import camera
from image.profiles import display_p3
from image.samples import INTEGERS, SHAPES, noise, ramp, same
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from jaxcolor.image import files, metadata
from jaxcolor.image.files import Picture

SUFFIXES = (".jpg", ".png", ".tif", ".webp")


@pytest.fixture
def photograph(tmp_path):
    """A JPEG as a phone stores it: lying on its side, Display P3, with a thumbnail."""
    path = tmp_path / "photograph.jpg"
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(ramp())))
    how = {"quality": 98, "subsampling": 0, "dpi": (300, 300), "icc_profile": display_p3()}
    stored.save(path, exif=camera.exif(), xmp=camera.XMP, **how)
    assert camera.THUMBNAIL in path.read_bytes()
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_a_photograph_through_every_format(tmp_path, photograph, suffix, dtype):
    """Upright, in its profile, all tags equal but the orientation, and no thumbnail."""
    picture = files.read(photograph)
    pixels = picture.pixels.astype(dtype) * (257 if dtype == "uint16" else 1)
    assert pixels.shape == ramp().shape
    first, second = tmp_path / f"1{suffix}", tmp_path / f"2{suffix}"
    with contextlib.ExitStack() as told:
        if suffix == ".webp":
            told.enter_context(pytest.warns(UserWarning, match="this format holds no resolution$"))
        files.write(first, replace(picture, pixels=pixels))
    files.write(second, files.read(first))  # as a source itself
    for path in (first, second):
        assert camera.told(path) == camera.expected()
        assert camera.THUMBNAIL not in path.read_bytes()
        back = files.read(path)
        assert back.profile == display_p3()
        assert b'xmp:Rating="5"' in back.xmp
        assert b'tiff:Orientation="1"' in back.xmp
        assert back.pixels.shape == ramp().shape
        assert suffix == ".webp" or np.allclose(back.dpi, 300, atol=0.02)
        if suffix != ".jpg":
            levels = picture.pixels if suffix == ".webp" else pixels
            assert same(back.pixels, levels)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_block_keeps_its_bytes(order):
    """Makers' notes point into it: only the turn, the thumbnail and the way to it may change."""
    block = camera.exif()[6:]
    if order == ">":
        held = Image.Exif()
        held.endian = ">"
        held.update(camera.TAGS | {274: 8})
        block = held.tobytes()[6:]
    upright, turn = metadata.upright(block)
    assert turn == (6 if order == "<" else 8)
    changed = [k for k, (a, b) in enumerate(zip(block, upright, strict=False)) if a != b]
    assert len(changed) <= 1 + 4
    assert len(block) - len(upright) == (len(camera.THUMBNAIL) if order == "<" else 0)
    assert metadata.upright(upright) == (upright, 1)


def test_a_thumbnail_in_the_middle_is_blanked():
    block = camera.exif()[6:] + b"and more"
    upright, _ = metadata.upright(block)
    assert camera.THUMBNAIL not in upright
    assert upright.endswith(b"and more")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0nonsense",
        b"Exif\0\0II*\0\xff\xff\0\0",
        camera.exif()[:60],
        b"Exif\0\0",
    ],
    ids=["nonsense", "far away", "truncated", "empty"],
)
def test_broken_exif_costs_no_picture(tmp_path, suffix, block):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(ramp()).save(path, exif=block, lossless=True, quality=98, subsampling=0)
    if len(block) > 6:
        with pytest.warns(UserWarning, match=r"a\.\w+: its EXIF data are broken, and left out"):
            picture = files.read(path)
    else:
        picture = files.read(path)
    assert picture.exif is None
    assert np.abs(picture.pixels.astype(int) - ramp()).max() <= 6


def test_broken_exif_of_a_tiff(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp(), photometric="rgb", extratags=[(34665, "I", 1, 9_999_999, True)])
    assert same(files.read(path).pixels, ramp())


def test_too_much_for_a_jpeg(tmp_path):
    big = metadata.upright(camera.exif()[6:])[0] + bytes(70_000)
    picture = Picture(ramp(), exif=big, xmp=b"<x>" + b" " * 70_000 + b"</x>")
    with pytest.warns(UserWarning, match="too large for JPEG") as caught:
        files.write(tmp_path / "a.jpg", picture)
    assert ["EXIF data, too" in str(one.message) for one in caught] == [True, False]
    assert ["XMP data, too" in str(one.message) for one in caught] == [False, True]
    assert files.read(tmp_path / "a.jpg").exif is None
    files.write(tmp_path / "a.png", picture)
    assert files.read(tmp_path / "a.png").exif == big


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_resolution(tmp_path, suffix, dtype):
    path = tmp_path / f"a{suffix}"
    files.write(path, Picture(noise(SHAPES["RGB"], dtype), dpi=(300, 150)))
    assert np.allclose(files.read(path).dpi, (300, 150), atol=0.02)
    files.write(path, Picture(noise(SHAPES["RGB"], dtype)))
    assert files.read(path).dpi is None


def test_resolution_turns_with_the_picture(tmp_path):
    held = Image.Exif()
    held[274] = 6
    Image.fromarray(ramp()).save(tmp_path / "a.png", dpi=(300, 150), exif=held)
    assert np.allclose(files.read(tmp_path / "a.png").dpi, (150, 300), atol=0.02)


WORDS = {"Author": "Somebody", "Copyright": "\xa9 2024", "Title": "\u6771"}


@pytest.fixture
def worded(tmp_path):
    """A PNG that says something, in each kind of chunk that there is for words."""
    info = PngInfo()
    for name, value in WORDS.items():
        info.add_text(name, value)
    info.add_text("Comment", "zipped", zip=True)
    Image.fromarray(ramp()).save(tmp_path / "worded.png", pnginfo=info)
    return tmp_path / "worded.png"


@pytest.mark.parametrize("dtype", INTEGERS)
def test_text_of_a_png(tmp_path, worded, dtype):
    picture = files.read(worded)
    assert picture.text == WORDS | {"Comment": "zipped"}
    picture = replace(picture, pixels=picture.pixels.astype(dtype))
    files.write(tmp_path / "a.png", picture)
    with Image.open(tmp_path / "a.png") as image:
        assert image.text == WORDS | {"Comment": "zipped"}
    assert files.read(tmp_path / "a.png").text == picture.text
    with pytest.warns(UserWarning, match=r"without its text \(Author, Copyright, Title\): that"):
        files.write(tmp_path / "a.jpg", picture)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.info["comment"] == b"zipped"


@pytest.mark.parametrize("suffix", [".tif", ".webp", ".exr", ".hdr"])
def test_text_that_a_file_cannot_hold_is_named(tmp_path, worded, suffix):
    picture = files.read(worded)
    with pytest.warns(UserWarning, match=r"without its text \(Author, Copyright, Title, Comment\)"):
        files.write(tmp_path / f"a{suffix}", picture)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_text_with_xmp_is_not_told_twice(tmp_path, worded, dtype):
    picture = replace(files.read(worded), xmp=camera.XMP)
    picture = replace(picture, pixels=picture.pixels.astype(dtype))
    files.write(tmp_path / "a.png", picture)
    back = files.read(tmp_path / "a.png")
    assert back.text == picture.text
    assert back.xmp == camera.XMP.replace(b'Orientation="6"', b'Orientation="1"')


@pytest.mark.parametrize("comment", [b"hello", "\u6771".encode(), b"caf\xe9 \xff"])
def test_comment_of_a_jpeg(tmp_path, comment):
    path = tmp_path / "a.jpg"
    Image.fromarray(ramp()).save(path, comment=comment)
    picture = files.read(path)
    files.write(tmp_path / "b.jpg", picture)
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.info["comment"] == comment
    known = {b"hello": "hello", "\u6771".encode(): "\u6771"}
    for dtype in INTEGERS:
        files.write(tmp_path / "b.png", replace(picture, pixels=picture.pixels.astype(dtype)))
        text = {"Comment": known.get(comment, "caf\xe9 \xff")}
        assert files.read(tmp_path / "b.png").text == text
    assert files.read(tmp_path / "b.jpg").text == picture.text


def test_a_comment_too_long_for_a_jpeg(tmp_path):
    picture = Picture(ramp(), text={"Comment": "x" * 65_534})
    with pytest.warns(UserWarning, match=r"without its text \(Comment\)"):
        files.write(tmp_path / "a.jpg", picture)
    files.write(tmp_path / "a.jpg", replace(picture, text={"Comment": "x" * 65_533}))
    assert len(files.read(tmp_path / "a.jpg").text["Comment"]) == 65_533


@pytest.mark.parametrize("suffix", [".webp", ".hdr"])
def test_resolution_that_a_file_cannot_hold_is_named(tmp_path, suffix):
    with pytest.warns(UserWarning, match="this format holds no resolution$"):
        files.write(tmp_path / f"a{suffix}", Picture(ramp(), dpi=(300, 150)))
    files.write(tmp_path / "a.exr", Picture(ramp(), dpi=(300, 150)))
    assert np.allclose(files.read(tmp_path / "a.exr").dpi, (300, 150), atol=0.02)


def test_turned_by_xmp_or_an_older_writer_of_png(tmp_path):
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(ramp())))
    stored.save(tmp_path / "a.webp", lossless=True, xmp=camera.XMP)
    info = PngInfo()
    digits = camera.exif().hex()
    info.add_text("Raw profile type exif", f"\nexif\n{len(digits) // 2}\n{digits}\n")
    stored.save(tmp_path / "a.png", pnginfo=info)
    for name in ("a.webp", "a.png"):
        assert same(files.read(tmp_path / name).pixels, ramp())


@pytest.mark.parametrize("dtype", [*INTEGERS, "float32"])
def test_georeference_of_a_tiff(tmp_path, dtype):
    """GeoTIFF's scale, tie points and keys, and GDAL's nodata; in a file that says no hour."""
    tags = [
        (33550, "d", 3, (10.0, 10.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 699_960.25, 5_300_040.0, 0.0), True),
        (34735, "H", 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
        (34737, "s", 0, "WGS 84 / UTM zone 33N|", True),
        (42113, "s", 0, "-9999", True),
    ]
    pixels = noise(SHAPES["RGB"], dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extratags=tags)
    picture = files.read(tmp_path / "a.tif")
    assert same(picture.pixels, pixels)
    files.write(tmp_path / "b.tif", picture)
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        found = tiff.pages[0].tags
        for code, _, _, value, _ in tags:
            assert found[code].value == value
        assert 306 not in found
        assert 700 not in found
    assert same(files.read(tmp_path / "b.tif").pixels, pixels)


def test_several_pages_and_animations_are_not_cut_in_silence(tmp_path):
    frames = [Image.fromarray(ramp() // k) for k in (1, 2, 3)]
    for name, word in (("a.tif", "3 pages"), ("a.gif", "3 frames"), ("a.png", "3 frames")):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.warns(UserWarning, match=f"{name}: has {word}, of which the first is read"):
            assert files.read(tmp_path / name).pixels.shape == ramp().shape


def test_webp_is_exact(tmp_path):
    for kind in ("RGB", "RGBA"):
        pixels = noise(SHAPES[kind])
        files.write(tmp_path / "a.webp", Picture(pixels, display_p3()))
        back = files.read(tmp_path / "a.webp")
        assert same(back.pixels, pixels)
        assert back.profile == display_p3()
    files.write(tmp_path / "a.webp", Picture(noise(SHAPES["grey"])))
    assert same(files.read(tmp_path / "a.webp").pixels[..., 1], noise(SHAPES["grey"]))
