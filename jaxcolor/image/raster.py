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


@dataclass(frozen=True, eq=False)
class Raster:
    """A file of bands.

    Attributes:
        bands: (H, W, c) in the file's own type; rows as they are stored.
        header: OpenImageIO's description of the file.
        exif, xmp: what describes it, the georeference included, as of `metadata.from_tiff`.
        nodata: the value that its GDAL tag gives to pixels that hold nothing, or None.
    """

    bands: np.ndarray
    header: Any
    exif: bytes | None = None
    xmp: bytes | None = None
    nodata: float | None = None


def read(path: str | PathLike) -> Raster:
    """Every band of a TIFF file.

    Raises:
        ValueError: where it is none, or damaged.
        OSError: where it cannot be opened.
    """
    import OpenImageIO as oiio

    path = Path(path)
    with path.open("rb") as file:
        if not metadata.is_tiff(file.read(4)):
            raise ValueError(f"{path}: is no TIFF file; bands are read from these")
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)  # numbers as they are stored
    source = oiio.ImageInput.open(str(path), config)
    if source is None:
        raise ValueError(f"{path}: cannot be read ({''.join(oiio.geterror().splitlines()[:1])})")
    spec = source.spec()
    if spec.get_int_attribute("oiio:subimages", 1) > 1:
        warnings.warn(f"{path}: has several pages, of which the first is read", stacklevel=2)
    pixels = source.read_image(0, 0, 0, spec.nchannels, spec.format)
    message = source.geterror()
    source.close()
    if pixels is None or message:
        raise ValueError(f"{path}: damaged ({''.join(message.splitlines()[:1]) or 'no data'})")
    bands = np.asarray(pixels).reshape(spec.height, spec.width, spec.nchannels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exif, xmp = metadata.from_tiff(path)
        nodata = metadata.nodata(path)
    return Raster(bands, spec, exif, xmp, nodata)


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
    spec.channelnames = tuple(raster.header.channelnames)
    spec.alpha_channel = raster.header.alpha_channel
    spec.attribute("oiio:UnassociatedAlpha", 1)
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
            metadata.into_tiff(temporary, raster.exif, raster.xmp, _meaning(raster))
        except Exception as error:  # no fault in a description may cost the raster
            warnings.warn(f"{path}: without its georeference ({error})", stacklevel=2)


def _meaning(raster: Raster) -> dict[int, tuple]:
    """What OpenImageIO, to which three bands are a picture, is not to say of grey ones."""
    header, count = raster.header, raster.bands.shape[2]
    if header.get_int_attribute("tiff:PhotometricInterpretation", 2) != 1 or count < 3:
        return {}
    extra = [2 if band == header.alpha_channel else 0 for band in range(1, count)]
    return {262: (1,), 338: tuple(extra)}
