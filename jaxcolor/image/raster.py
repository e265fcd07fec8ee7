"""Rasters: TIFF files of any number of bands and any type of number, as they are."""

import warnings
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from jaxcolor.image import metadata
from jaxcolor.image.files import aside

FORMATS = {".tif": "TIFF", ".tiff": "TIFF"}
# NumPy's names of numbers as OpenImageIO has them
_TYPES = {"float16": "half", "float32": "float", "float64": "double"} | {
    "uint32": "uint",
    "int32": "int",
}
# how many bands of each photometric interpretation are no extra samples
_COLORS = {0: 1, 1: 1, 2: 3, 5: 4}
_WHITE_IS_ZERO, _CMYK = 0, 5


@dataclass(frozen=True, eq=False)
class Raster:
    """A file of bands.

    Attributes:
        bands: (H, W, c) in the file's own type; rows as they are stored.
        meaning: of its numbers: orientation, photometric interpretation, ICC profile, resolution,
            extra samples, as of `metadata.meaning`.
        exif, xmp: what describes it, the georeference included, as of `metadata.from_tiff`.
        nodata: the value that its GDAL tag gives to pixels that hold nothing, or None.
    """

    bands: np.ndarray
    meaning: dict[int, tuple[int, Any]]
    exif: bytes | None = None
    xmp: bytes | None = None
    nodata: float | None = None


def read(path: str | PathLike) -> Raster:
    """Every band of a TIFF file.

    Raises:
        ValueError: where it is none, or damaged; where its numbers are no values of a band, but of
            a palette, say.
        OSError: where it cannot be opened.
    """
    import OpenImageIO as oiio

    from jaxcolor.image import deep

    path = Path(path)
    with path.open("rb") as file:
        if not metadata.is_tiff(file.read(4)):
            raise ValueError(f"{path}: is no TIFF file; bands are read from these")
    config = oiio.ImageSpec()
    # numbers as they are stored
    config.attribute("oiio:UnassociatedAlpha", 1)
    config.attribute("oiio:RawColor", 1)
    source = oiio.ImageInput.open(str(path), config)
    if source is None:
        raise ValueError(f"{path}: cannot be read ({deep.said(oiio)})")
    spec = source.spec()
    deep.check(path, spec)
    if spec.get_int_attribute("oiio:subimages", 1) > 1:
        warnings.warn(f"{path}: has several pages, of which the first is read", stacklevel=2)
    pixels = source.read_image(0, 0, 0, spec.nchannels, spec.format)
    message = deep.said(source)
    source.close()
    if pixels is None or message:
        raise ValueError(f"{path}: damaged ({message or 'no data'})")
    bands = np.asarray(pixels).reshape(spec.height, spec.width, spec.nchannels)
    meaning = _checked(path, bands)
    if meaning[262][1] == _WHITE_IS_ZERO and bands.dtype == np.uint8:
        bands = ~bands  # OpenImageIO turns these, and no other type
    return Raster(bands, meaning, *_described(path), metadata.nodata(path))


def _described(path: Path) -> tuple[bytes | None, bytes | None]:
    """EXIF, the georeference among it, and XMP."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return metadata.from_tiff(path)
    except Exception:  # of several types; no fault in a description may cost the raster
        warnings.warn(f"{path}: its EXIF data are broken, and left out", stacklevel=3)
        return None, None


def _checked(path: Path, bands: np.ndarray) -> dict[int, tuple[int, Any]]:
    """What the numbers of a file mean; the number of extra samples always among it."""
    meaning = metadata.meaning(path)
    photometric = meaning.setdefault(262, (3, 1))[1]
    if photometric not in _COLORS:
        what = {3: "numbers of a palette's colours", 6: "YCbCr", 8: "CIE L*a*b*"}
        raise ValueError(
            f"{path}: holds {what.get(photometric, f'photometric interpretation {photometric}')}, "
            "no bands; convert it to RGB"
        )
    if photometric == _CMYK and bands.dtype not in (np.uint8, np.uint16):
        # OpenImageIO leaves some of these unread
        raise ValueError(f"{path}: holds CMYK of type {bands.dtype}; convert it to uint8 or uint16")
    extra = bands.shape[2] - _COLORS[photometric]
    if extra < 0:
        raise ValueError(f"{path}: damaged ({bands.shape[2]} bands are too few for its colours)")
    given = tuple(int(one) for one in np.atleast_1d(meaning.pop(338, (3, ()))[1]))
    if extra:
        meaning[338] = 3, (*given, *(0,) * extra)[:extra]
    return meaning


def check_alike(source: Raster, reference: Raster) -> None:
    """Refuse two rasters whose numbers mean different things: light and ink.

    Raises:
        ValueError: then.
    """
    ink = {_WHITE_IS_ZERO: "white is zero", _CMYK: "CMYK"}
    own, other = (ink.get(one.meaning[262][1], "of light") for one in (source, reference))
    if own != other:
        raise ValueError(f"source is {own}, reference {other}: convert one of them first")


def write(path: str | PathLike, raster: Raster) -> None:
    """Write a raster as TIFF, complete or not at all, with what describes it.

    Raises:
        ValueError: a type of number that TIFF has not.
        OSError: where the disk says no.
    """
    import OpenImageIO as oiio

    path, bands = Path(path), raster.bands
    number = _TYPES.get(str(bands.dtype), str(bands.dtype))
    height, width, count = bands.shape
    spec = oiio.ImageSpec(width, height, count, oiio.TypeDesc(number))
    # what they are stands in the tags below
    spec.channelnames = tuple(f"band {band}" for band in range(count))
    spec.alpha_channel = -1
    spec.attribute("compression", "zip")
    spec.attribute("tiff:half", 1)
    with aside(path) as temporary:
        out, rows = oiio.ImageOutput.create(str(temporary)), np.ascontiguousarray(bands)
        if out is None:
            raise OSError(f"{path}: could not be written ({oiio.geterror()})")
        if not (out.open(str(temporary), spec) and out.write_image(rows) and out.close()):
            reason = "".join(out.geterror().splitlines()[:1]) or "unknown reason"
            raise OSError(f"{path}: could not be written ({reason})")
        try:
            metadata.into_tiff(temporary, raster.exif, raster.xmp, raster.meaning)
        except Exception as error:  # no fault in a description may cost the raster
            if isinstance(error, OSError) and error.errno is not None:
                raise
            warnings.warn(f"{path}: without its georeference ({error})", stacklevel=2)
            metadata.into_tiff(temporary, None, None, raster.meaning)
