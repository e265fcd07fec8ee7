"""Pictures and readers that the tests of files share."""

import numpy as np
import OpenImageIO as oiio

SHAPES = {"grey": (9, 11), "grey+alpha": (9, 11, 2), "RGB": (9, 11, 3), "RGBA": (9, 11, 4)}
INTEGERS = ("uint8", "uint16")


def noise(shape, dtype="uint8", seed=0):
    """Every level is likely, the colours under alpha 0 too."""
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        pixels = (rng.random(shape) * 4 - 1.5).astype(np.float32)
    else:
        pixels = rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    if len(shape) == 3 and shape[2] in (2, 4):
        pixels[..., -1] = np.linspace(0, 1, shape[1]) * (1 if dtype == "float32" else 200)
        pixels[::2, :3, -1] = 0
    return pixels


def ramp(shape=(24, 40, 3), dtype="uint8"):
    """Smooth, so that JPEG keeps it, and different from all its turned copies."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    top = np.iinfo(dtype).max
    color = np.stack([x / shape[1], y / shape[0], 0.3 + 0.3 * x / shape[1]], -1) * top
    return np.rint(color).astype(dtype)


def other_reader(path):
    """The stored numbers and the profile, as OpenImageIO alone sees them."""
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    source = oiio.ImageInput.open(str(path), config)
    assert source is not None, oiio.geterror()
    spec = source.spec()
    pixels = np.array(source.read_image(spec.format)).reshape(spec.height, spec.width, -1)
    profile = spec.getattribute("ICCProfile")
    source.close()
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    return pixels, None if profile is None else bytes(np.asarray(profile, np.uint8))


def same(a, b):
    return a.dtype == b.dtype and np.array_equal(a, b)
