"""Clips on disk: frames upright and as RGB, H.264 written aside and renamed. PyAV serves them."""

import contextlib
import errno
import os
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from fractions import Fraction
from itertools import chain
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from jaxcolor.damage import is_of_machine
from jaxcolor.image.encoding import BT601, BT709, FULL, LIMITED, NTSC, RGB, encoding
from jaxcolor.image.files import aside

END = 0.9  # of the time that a Matroska file says, from where on it is whole
FORMATS = {".mp4": "MP4", ".mov": "MOV", ".mkv": "Matroska"}  # that are written
# exact rounding, chroma in full: FFmpeg's defaults darken by a level or two
EXACT = 0x40000 | 0x2000 | 0x4000
SCALING = 0x4 | EXACT  # bicubic
QUALITY = 16  # x264's constant rate factor: lower is better, 18 cannot be told from its source


def pyav():
    """The module that serves clips.

    Raises:
        ValueError: where it is missing.
    """
    try:
        import av
    except ImportError as error:
        raise ValueError("clips need PyAV: pip install 'jaxcolor[video]'") from error
    return av


def read_frames(path: str | PathLike) -> Iterator[np.ndarray]:
    """A clip's frames (H, W, 3) uint8 one after the other, one in memory at a time.

    Upright; full-range RGB by the matrix that the file names, else BT.709 above 576 rows and
    BT.601 below. Raises as `read_clip`, once frames are asked for.
    """
    for frame in decoded(path):
        yield np.rot90(rgb(frame), round(frame.rotation / 90))


def decoded(
    path: str | PathLike, streams: Collection[int] = (), copy: Callable = lambda index, packet: None
) -> Iterator:
    """A clip's frames as PyAV has them; `copy` gets the index and the packets of other streams.

    Raises as `read_clip`.
    """
    av, path = pyav(), Path(path)
    count, expected, last, lasts = 0, 0, 0.0, 0.0
    try:
        with opened(path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            expected, lasts = stream.frames, _seconds(stream)
            step = float(1 / (stream.average_rate or 25))
            wanted = [s for s in container.streams if s.index in {stream.index, *streams}]
            for packet in container.demux(wanted):
                if packet.stream.index != stream.index:
                    # the packet outlives its stream
                    copy(packet.stream.index, packet)
                    continue
                for frame in packet.decode():
                    yield frame
                    count += 1
                    last = max(last, (frame.time or 0.0) + step)
    except av.FFmpegError as error:
        if is_of_machine(error, path) and not count and error.errno != errno.ENOMEM:
            raise
        raise ValueError(f"{path}: damaged or not a clip ({error.strerror})") from error
    if not count:
        raise ValueError(f"{path}: holds no frames")
    if count < expected:
        warnings.warn(f"{path}: cut short, {count} of {expected} frames are left", stacklevel=2)
    elif not expected and last < END * lasts:
        warnings.warn(
            f"{path}: cut short or damaged, {last:.1f} of {lasts:.1f} seconds are left",
            stacklevel=2,
        )


def _seconds(stream) -> float:
    """How long a stream of pictures says it lasts; 0 where it does not."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    told = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    if told is None:
        return 0.0
    hours, minutes, seconds = (float(part) for part in told.groups())
    return 3600 * hours + 60 * minutes + seconds


def count(path: str | PathLike) -> int | None:
    """About how many frames a clip has, if it says so. Raises as `read_clip`."""
    with opened(path) as container:
        stream = container.streams.video[0]
        if stream.frames or not (container.duration and stream.average_rate):
            return stream.frames or None
        return round(container.duration / 1_000_000 * stream.average_rate)


@contextlib.contextmanager
def opened(path: str | PathLike) -> Iterator:
    """PyAV's container of a clip, which has pictures. Raises as `read_clip`."""
    av, path = pyav(), Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, not a clip")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: is empty (0 bytes)")
    try:
        # absolute: FFmpeg takes what stands before a colon for a protocol
        container = av.open(os.path.abspath(path))
    except av.FFmpegError as error:
        if is_of_machine(error, path) and error.errno != errno.ENOMEM:  # or a header lies
            raise
        raise ValueError(f"{path}: damaged or not a clip ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: damaged (its words are no text)") from error
    with container:
        if not container.streams.video:
            raise ValueError(f"{path}: holds no pictures, only sound")
        yield container


def frame_rate(path: str | PathLike) -> Fraction:
    """Frames per second; 25 where the file does not say. Raises as `read_clip`."""
    with opened(path) as container:
        stream = container.streams.video[0]
        return stream.average_rate or stream.guessed_rate or Fraction(25)


def read_clip(path: str | PathLike) -> tuple[np.ndarray, Fraction]:
    """All of a clip: frames (T, H, W, 3) uint8, and how many there are per second.

    Raises:
        ValueError: where the file is no clip, a damaged or an empty one, or PyAV is missing.
        OSError: where it cannot be opened.
    """
    rate = frame_rate(path)
    return np.stack(list(read_frames(path))), rate


def rgb(frame, layout: str = "rgb24", *, scaling: int | str = SCALING, **size) -> np.ndarray:
    """PyAV's frame as encoded RGB, full range: 'rgb24', or 'rgb48le' for uint16.

    Args:
        frame: of any layout.
        layout: of the result.
        scaling: FFmpeg's flags.
        size: width and height, where they are to be others.
    """
    own = encoding(frame)
    if own.matrix == RGB:
        return frame.to_ndarray(format=layout, interpolation=scaling, **size)
    return frame.to_ndarray(
        format=layout,
        src_colorspace=BT601 if own.matrix == NTSC else own.matrix,
        src_color_range=FULL if own.full else LIMITED,
        dst_color_range=FULL,
        interpolation=scaling,
        **size,
    )


def write_clip(
    path: str | PathLike,
    frames: Iterable[ArrayLike],
    fps: Fraction | float,
    *,
    crf: float = QUALITY,
) -> None:
    """Write a clip, complete or not at all: H.264, BT.709, limited range; the suffix says in what.

    4:2:0, as every player knows it, or 4:4:4 where a side is odd.

    Args:
        path: .mp4, .mov or .mkv.
        frames: (H, W, 3) uint8, all of one size; any iterable, of which one frame is held.
        fps: frames per second.
        crf: x264's constant rate factor, 0..51, lower is better.

    Raises:
        ValueError: an unknown suffix, no frames, frames that are not alike, a rate that is not
            positive, or PyAV is missing.
        OSError: where the disk says no.
    """
    av, path, rate = pyav(), Path(path), Fraction(fps).limit_denominator(1001)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path}: unknown file type; use one of {', '.join(FORMATS)}")
    if rate <= 0:
        raise ValueError(f"fps must be positive, got {fps}")
    rest = iter(frames)
    first = next(rest, None)
    if first is None:
        raise ValueError(f"{path}: a clip without frames cannot be written")
    shape = np.shape(first)
    with aside(path) as temporary, av.open(os.path.abspath(temporary), "w") as container:
        options = {"crf": str(crf)}
        stream = container.add_stream("libx264", rate=rate, options=options)
        _describe(stream, shape)
        for frame in chain([first], rest):
            container.mux(stream.encode(_yuv(np.asarray(frame), shape, stream.pix_fmt)))
        container.mux(stream.encode(None))


def _describe(stream, shape: tuple[int, ...]) -> None:
    """What decoders are told of the colours."""
    stream.height, stream.width = shape[:2]
    odd = shape[0] % 2 or shape[1] % 2
    stream.pix_fmt = "yuv444p" if odd else "yuv420p"
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = LIMITED


def _yuv(frame: np.ndarray, shape: tuple[int, ...], layout: str):
    if frame.shape != shape or frame.ndim != 3 or shape[2] != 3 or frame.dtype != np.uint8:
        raise ValueError(
            f"frames must all be (H, W, 3) uint8 of one size, got {frame.dtype} {frame.shape}"
        )
    av = pyav()
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    planes = rgb.reformat(
        format="yuv444p", dst_colorspace=BT709, dst_color_range=LIMITED, interpolation=SCALING
    )
    if layout == "yuv444p":
        return planes
    luma, *chroma = planes.to_ndarray()
    halved = [_halved(plane).ravel() for plane in chroma]
    packed = np.concatenate([luma.ravel(), *halved]).reshape(-1, luma.shape[1])
    return av.VideoFrame.from_ndarray(packed, format="yuv420p")


def _halved(plane: np.ndarray) -> np.ndarray:
    """Chroma at half the resolution, where H.264 has it: on even columns, between two rows.

    FFmpeg's own scaling puts it between columns, which moves colours to the side.
    """
    wide = np.pad(plane.astype(np.uint16), [(0, 0), (1, 0)], "edge")
    across = wide[:, :-1:2] + 2 * wide[:, 1::2] + wide[:, 2::2]
    return ((across[::2] + across[1::2] + 4) // 8).astype(np.uint8)
