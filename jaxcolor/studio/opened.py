"""Pictures that a person brought: looked at before they are read, read once, kept small."""

import contextlib
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from jaxcolor.cli.common import describe
from jaxcolor.image import animation, files
from jaxcolor.image.files import Picture
from jaxcolor.image.profiles import to_levels
from jaxcolor.recipes import palette, references
from jaxcolor.recipes.palette import Palette
from jaxcolor.studio.clouds import cloud
from jaxcolor.studio.preview import as_file, shrunk

# what is told goes through `warnings`, which all threads share
_TELLING = threading.RLock()


@dataclass(frozen=True, eq=False)
class Opened:
    """A picture or palette, as a page has it.

    Attributes:
        key: its name within the page.
        name: that of the file, as the person calls it.
        path: where the file is.
        small: a preview, or the palette.
        size: width and height of the file's picture.
        told: remarks on the file, a line each.
        own: the file was uploaded, and goes with the page.
        animated: `jaxcolor transfer` would make an animation of it.
    """

    key: str
    name: str
    path: Path
    small: Picture | Palette
    size: tuple[int, int]
    told: list[str] = field(default_factory=list)
    own: bool = True
    animated: bool = False

    @property
    def shown(self) -> Picture:
        """It as a small picture, encoded; of a palette, the swatch."""
        small = references.shown(self.small)
        return Picture(small.encoded, None if small.linear else small.profile)

    @property
    def file(self) -> tuple[bytes, str]:
        """What a browser shows, and its media type."""
        return as_file(self.shown.pixels, self.shown.profile)

    @property
    def cloud(self) -> bytes:
        """Its colours, see `clouds.cloud`."""
        if isinstance(self.small, Palette):
            levels = to_levels(np.clip(self.small.rgb, 0, 1), np.uint8)
            size = 255 * np.cbrt(self.small.weights / self.small.weights.max())
            return np.column_stack([levels, np.maximum(size, 1).astype(np.uint8)]).tobytes()
        return cloud(to_levels(self.shown.pixels, np.uint8))


@contextlib.contextmanager
def telling() -> Iterator[list[str]]:
    """The remarks that are made meanwhile, as lines; one thread at a time."""
    lines: list[str] = []
    with _TELLING, warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", UserWarning)
        try:
            yield lines
        finally:
            for one in found:
                if issubclass(one.category, UserWarning):
                    lines.append(" ".join(str(one.message).split()))


def opened(path: Path, key: str, name: str, megapixels: float, *, own: bool = True) -> Opened:
    """A file's picture or palette, reduced.

    Raises:
        ValueError: for what is no picture, is damaged, holds too many pixels, NaN, or is a clip;
            messages call it by its name.
        OSError: where it cannot be read.
    """
    try:
        if references.is_clip(path):
            raise ValueError(f"{path}: is a clip; the studio takes pictures, `jaxcolor video` it")
        with telling() as told:
            animated = False
            if references.is_palette(path):
                small = palette.read(path)
                size = len(small), 1
            else:
                check_size(path, megapixels)
                whole = files.read(path)
                small, size = shrunk(whole), whole.pixels.shape[1::-1]
                small.view(name=name)  # refuses NaN
                animated = animation.is_animated(path)
    except (ValueError, OSError, MemoryError) as error:
        raise ValueError(_named(describe(error), path, name)) from error
    lines = [_named(one, path, name) for one in told]
    return Opened(key, name, path, small, size, lines, own, animated)


def _named(line: str, path: Path, name: str) -> str:
    line = line.replace(str(path), name)
    return line if name in line else f"{name}: {line}"


def check_size(path: Path, megapixels: float) -> None:
    """Refuse a picture of too many pixels by what its file says of it, before any is read.

    Raises:
        ValueError: with both numbers.
    """
    width, height = _size(path)
    if width * height > megapixels * 1e6:
        raise ValueError(
            f"{path}: {width}x{height} are {width * height / 1e6:.0f} megapixels, and "
            f"{megapixels:g} are the most here (--max-megapixels)"
        )


def _size(path: Path) -> tuple[int, int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's of bombs; the size is what it warns of
        try:
            with Image.open(path) as image:
                return image.size
        except Image.DecompressionBombError as error:
            raise ValueError(f"{path}: refused, too large: {error}") from error
        except Exception:  # not Pillow's, or damaged: the reader will say what it is
            pass
    with path.open("rb") as file:
        if file.read(4) == b"\x89PNG":
            return 0, 0  # libpng would print its complaint on stderr
    import OpenImageIO as oiio

    source = oiio.ImageInput.open(str(path))
    if source is None:
        oiio.geterror()
        return 0, 0
    spec = source.spec()
    source.close()
    return spec.width, spec.height
