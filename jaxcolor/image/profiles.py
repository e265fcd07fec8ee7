"""Colour profiles: pictures from one encoding to another, by the engine that Pillow has."""

import contextlib
import io
import warnings
from dataclasses import replace

import numpy as np
from PIL import Image, ImageCms

from jaxcolor.image.picture import Picture


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile is not None:
        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError):
            srgb = ImageCms.createProfile("sRGB")
            opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, opened, srgb, outputMode="RGB")
            if converted is not None:
                return converted
    return image.convert("RGB")


def convert(picture: Picture, profile: bytes | None) -> Picture:
    """The picture's colours in another profile (None: sRGB), as a reference for a fit.

    Deep pictures come back in 8 bit, which is what the colour engine takes: enough for a
    distribution. Into a grey profile, they come back grey. A profile that the engine cannot use
    leaves the pixels as they are, with a warning.
    """
    picture = picture.as_linear(False)
    pixels = picture.pixels
    if picture.profile == profile or not np.isfinite([pixels.min(), pixels.max()]).all():
        return picture  # what a fit refuses for its NaN is not to become black here
    # only a fit reads the result, so half a level of rounding is below its noise
    levels = to_levels(pixels, np.uint8)
    has_alpha = levels.ndim == 3 and levels.shape[2] in (2, 4)
    color = levels[..., :-1] if has_alpha else levels
    grey = color.ndim == 2 or color.shape[2] == 1
    color = color.reshape(levels.shape[:2]) if grey else color
    image = Image.fromarray(np.ascontiguousarray(color))
    try:
        (before, mode), (after, new_mode) = _opened(picture.profile), _opened(profile)
        if mode == "L" and not grey:
            raise ImageCms.PyCMSError("a grey profile on a colour picture")
        result = ImageCms.profileToProfile(image.convert(mode), before, after, outputMode=new_mode)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        warnings.warn(f"colour profile not used ({error})", stacklevel=2)
        return replace(picture, profile=profile)
    result = np.asarray(result)
    if has_alpha:
        result = np.dstack([result, levels[..., -1]])
    return replace(picture, pixels=result, profile=profile)


def _opened(profile: bytes | None) -> tuple[ImageCms.ImageCmsProfile, str]:
    """The engine's handle on a profile, and the mode of the pixels it speaks of."""
    if profile is None:
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")), "RGB"
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = ImageCms.core.profile_frombytes(profile).xcolor_space.strip()
    if space not in ("RGB", "GRAY"):
        raise ImageCms.PyCMSError(f"it is for {space}, not RGB or grey")
    return opened, "L" if space == "GRAY" else "RGB"


def to_levels(pixels: np.ndarray, dtype: type) -> np.ndarray:
    """Pixels of any dtype in the levels of another, uint8 or uint16; clipped and rounded."""
    if pixels.dtype == dtype:
        return pixels
    full = 65535.0 if pixels.dtype == np.uint16 else 1.0
    scale = np.float32(np.iinfo(dtype).max / full)
    return np.rint(np.clip(pixels, 0, full) * scale).astype(dtype)
