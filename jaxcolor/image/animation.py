"""Animated GIF, PNG and WebP: frames one at a time, with their times."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxcolor.damage import is_of_machine
from jaxcolor.image import limits, metadata
from jaxcolor.image.files import aside, save
from jaxcolor.image.picture import Picture
from jaxcolor.image.profiles import convert

FORMATS = {".gif": "GIF", ".png": "PNG", ".webp": "WEBP"}
_TICK, _LEAST = 10, 20  # of a GIF's times, ms; players show what is shorter for longer
_COLORS = 255  # of a GIF, and one for what is transparent
_POOLED = 1 << 22  # pixels that stand for all frames


@dataclass(frozen=True)
class Timing:
    """How an animation runs.

    Attributes:
        size: width, height.
        durations: of each frame, in milliseconds.
        plays: how often it is played; 0 for ever.
        profile: the ICC profile's bytes, or None, which means sRGB.
        holes: alpha falls below one half somewhere.
        exif: an EXIF block ('II' or 'MM' first), without a thumbnail; frames are as they are
            stored, so its orientation is theirs.
        xmp: an XMP packet.
    """

    size: tuple[int, int]
    durations: tuple[float, ...]
    plays: int
    profile: bytes | None = None
    holes: bool = False
    exif: bytes | None = None
    xmp: bytes | None = None

    def __len__(self) -> int:
        return len(self.durations)


def is_animated(path: str | PathLike) -> bool:
    """Whether a file holds an animation that can be read; what is no picture at all does not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                known = image.format in FORMATS.values()
                return known and getattr(image, "n_frames", 1) > 1
    except Exception:  # whoever reads it will say what is wrong
        return False


def timing(path: str | PathLike) -> Timing:
    """How an animation runs; it is decoded once for that.

    Raises:
        ValueError: a damaged file; one that claims more than `limits` allow.
        OSError: where it cannot be opened.
    """
    durations, holes = [], False
    with _opened(path) as image:
        # a GIF counts the turns after the first; one that does not say is played once
        loop = image.info.get("loop")
        plays = 1 if loop is None else loop
        if image.format == "GIF" and loop:
            plays = loop + 1
        profile, size = metadata.profile(image.info), image.size
        exif, xmp = _described(path, image.info)
        for _ in _seek(path, image):
            durations.append(float(image.info.get("duration") or 0))
            if image.has_transparency_data and not holes:
                holes = bool(np.asarray(image.convert("RGBA"))[..., 3].min() < 128)
    return Timing(size, tuple(durations), plays, profile, holes, exif, xmp)


def _described(path: str | PathLike, info: dict) -> tuple[bytes | None, bytes | None]:
    xmp, exif = info.get("xmp"), (info.get("exif") or b"").removeprefix(b"Exif\0\0")
    try:
        exif = metadata.upright(exif, as_it_is=True)[0] if exif else None
    except ValueError:
        warnings.warn(f"{path}: its EXIF data are broken, and left out", stacklevel=3)
        exif = None
    return exif, xmp if isinstance(xmp, bytes) and xmp else None


def frames(path: str | PathLike) -> Iterator[np.ndarray]:
    """Every frame (H, W, 4) as it is seen, uint8, straight alpha; errors as `timing`."""
    with _opened(path) as image:
        width, height = image.size
        for _ in _seek(path, image):
            # one that is larger makes the picture of a GIF larger from there on
            yield np.asarray(image.convert("RGBA"))[:height, :width]


def _opened(path: str | PathLike) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(path)
    except Image.DecompressionBombError as error:
        raise limits.too_large(path, error) from error
    except Exception as error:  # there is hardly a type that no decoder raises
        if is_of_machine(error, path):
            raise
        raise ValueError(f"{path}: damaged or not a picture ({error})") from error


def _seek(path: str | PathLike, image: Any) -> Iterator[None]:
    """Stop at every frame; the still that an animated PNG may have beside them is none."""
    try:
        count = getattr(image, "n_frames", 1)
        limits.check_pixels(path, image.width, image.height, count)
        for index in range(int(getattr(image, "default_image", False)), count):
            image.seek(index)
            image.load()
            yield
    except limits.TooLarge:
        raise
    except Exception as error:
        if is_of_machine(error, path):
            raise
        raise ValueError(f"{path}: damaged ({error})") from error


def pooled(path: str | PathLike, how: Timing, most: int = 16) -> np.ndarray:
    """Up to `most` frames, evenly over the whole, one below the other: (k H, W, 4) uint8."""
    room = max(1, _POOLED // (how.size[0] * how.size[1]))
    count = min(len(how), most, room)
    wanted = set(np.linspace(0, len(how) - 1, count).round().astype(int))
    return np.concatenate([one for k, one in enumerate(frames(path)) if k in wanted])


def write(
    path: str | PathLike, pictures: Iterable[np.ndarray], how: Timing, sample: np.ndarray
) -> None:
    """Write an animation, complete or not at all; the suffix decides the format.

    PNG holds the frames exactly, WebP all that is seen of them. A GIF is in sRGB and has one set of
    255 colours for all frames: those of `sample`, or, where it has more, a choice of them; each
    pixel takes the nearest, so what stands still does not flicker, and alpha below one half becomes
    transparent. What it has no room for (EXIF, partial alpha) is named in a warning.
    Its times are multiples of 10 ms from 20 ms on; each frame ends as near to its time as that
    allows, and a warning says so where the whole changes by more than 5 %. A frame like the one
    before it lengthens that.

    Args:
        path: .gif, .png or .webp.
        pictures: frames (H, W, 4) uint8, as many as `how` has durations.
        sample: (n, W, 4) uint8 some of them, one below the other, for the colours of a GIF.

    Raises:
        ValueError: an unknown suffix.
        OSError: where the disk says no.
    """
    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"{path}: an animation needs one of {', '.join(FORMATS)}")
    lost = _lost(how, kind)
    options: dict[str, Any] = {"duration": _whole(path, how.durations, kind)}
    if kind == "GIF":
        options |= {"optimize": False, "transparency": _COLORS}
        # a pixel may become transparent again: every frame begins with nothing
        options |= {"disposal": 2} if how.holes else {}
        options |= {} if how.plays == 1 else {"loop": max(how.plays - 1, 0)}
        sample, pictures = _plain(pictures, how, sample, lost)
        images = _indexed(pictures, _palette(sample))
    else:
        options |= {"loop": how.plays} | _describing(how, kind)
        options |= {"lossless": True, "exact": True} if kind == "WEBP" else {"blend": 0}
        images = (Image.fromarray(one) for one in pictures)
    images = iter(images)
    first = next(images)
    # Pillow looks at the frames of a PNG twice
    others = list(images) if kind == "PNG" else images
    with aside(path) as temporary:
        save(first, temporary, kind, save_all=True, append_images=others, **options)
    if lost:
        warnings.warn(f"{path}: GIF holds no {' and no '.join(lost)}", stacklevel=2)


def _lost(how: Timing, kind: str) -> dict[str, None]:
    """What a file of this kind cannot take over, in order."""
    held = {"EXIF data": how.exif, "XMP data": how.xmp} if kind == "GIF" else {}
    return dict.fromkeys(name for name, value in held.items() if value is not None)


def _describing(how: Timing, kind: str) -> dict[str, Any]:
    """What Pillow is told of a PNG or WebP."""
    told: dict[str, Any] = {} if how.profile is None else {"icc_profile": how.profile}
    if how.exif is not None:
        told["exif"] = b"Exif\0\0" + how.exif
    if how.xmp is not None and kind == "PNG":
        told["pnginfo"] = metadata.into_png(how.xmp, {})
    elif how.xmp is not None:
        told["xmp"] = how.xmp
    return told


def _plain(
    pictures: Iterable[np.ndarray], how: Timing, sample: np.ndarray, lost: dict[str, None]
) -> tuple[np.ndarray, Iterator[np.ndarray]]:
    """Sample and frames in sRGB; partial alpha, once a frame has it, is noted as lost."""

    def srgb(pixels: np.ndarray) -> np.ndarray:
        return convert(Picture(pixels, how.profile), None).pixels

    def shown() -> Iterator[np.ndarray]:
        for picture in pictures:
            alpha = picture[..., 3]
            if ((alpha > 0) & (alpha < 255)).any():
                lost["partial transparency"] = None
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the sample has told of a profile without use
                plain = srgb(picture)
            yield plain

    return srgb(sample), shown()


def _whole(path: Path, durations: tuple[float, ...], kind: str) -> list[int]:
    """The durations in ms that a format has, each frame ending as near to its time as it can."""
    tick, least = (_TICK, _LEAST) if kind == "GIF" else (1, 0)
    whole, end = [], 0
    for wanted in np.cumsum(durations):
        whole.append(max(tick * round(wanted / tick) - end, least))
        end += whole[-1]
    total = sum(durations)
    if abs(end - total) > 0.05 * max(total, tick):
        warnings.warn(
            f"{path}: lasts {end} ms, not {total:g}: {kind} has times of {tick} ms from {least} on",
            stacklevel=3,
        )
    return whole


def _palette(sample: np.ndarray) -> np.ndarray:
    """(k, 3) uint8 the colours of a GIF, k <= 255."""
    opaque = sample[sample[..., 3] >= 128][:, :3]
    if not len(opaque):
        return np.zeros((1, 3), np.uint8)
    distinct = np.unique(opaque, axis=0)
    if len(distinct) <= _COLORS:
        return distinct
    picture = Image.fromarray(opaque[None])
    chosen = picture.quantize(_COLORS, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    return np.array((chosen.getpalette() or [])[: 3 * _COLORS], np.uint8).reshape(-1, 3)


def _indexed(pictures: Iterable[np.ndarray], palette: np.ndarray) -> Iterator[Image.Image]:
    """Frames of indices into the palette."""
    from scipy.spatial import KDTree  # most commands need none

    nearest = KDTree(palette.astype(np.float32))
    for picture in pictures:
        packed = picture[..., :3].astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)
        keys, place = np.unique(packed, return_inverse=True)
        colors = np.stack([keys & 255, keys >> 8 & 255, keys >> 16], 1).astype(np.float32)
        index = np.asarray(nearest.query(colors)[1], np.uint8)[place].reshape(packed.shape)
        image = Image.fromarray(np.where(picture[..., 3] < 128, _COLORS, index).astype(np.uint8))
        image.putpalette(palette.tobytes().ljust(768, b"\0"))
        yield image
