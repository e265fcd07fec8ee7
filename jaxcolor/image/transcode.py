"""From clip to clip: frames changed on the way, sound and subtitles copied. PyAV serves it."""

import os
import queue
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import av
import av.error

from jaxcolor.image import CODECS
from jaxcolor.image.encoding import HLG, PQ
from jaxcolor.image.files import aside
from jaxcolor.image.frames import is_deep
from jaxcolor.image.video import decoded, opened

T = TypeVar("T")
AHEAD = 4  # frames between one stage and the next


@dataclass(frozen=True)
class Coding:
    """How frames are written.

    Attributes:
        codec: a key of `image.CODECS`.
        preset: how long the encoder may take, in its own words; None for the codec's default.
        quality: its constant rate factor, lower is better; None for the codec's default.
    """

    codec: str = "h264"
    preset: str | None = None
    quality: float | None = None

    @property
    def options(self) -> dict[str, str]:
        """As the encoder calls them."""
        own = CODECS[self.codec]
        found = dict(own.options)
        if own.quality is not None:
            found["crf"] = f"{own.quality if self.quality is None else self.quality:g}"
        if own.preset is not None:
            found["preset"] = self.preset or own.preset
        return found


def transcode(
    path: str | PathLike,
    out: str | PathLike,
    recolor: Callable[[Iterator[av.VideoFrame], str], Iterator[av.VideoFrame]],
    coding: Coding,
) -> list[str]:
    """Write a clip with its frames changed, complete or not at all.

    Times, rate, shape of pixels, turn, colour tags, names and other streams stay. Reading,
    `recolor` and encoding go on side by side, a few frames apart.

    Args:
        path: any clip that FFmpeg reads.
        out: its suffix says in what.
        recolor: gets the frames, and the layout in which they are to come out.
        coding: how.

    Returns:
        The kinds of streams that were copied.

    Raises:
        ValueError: a damaged clip, a codec that the file type does not take.
        OSError: where the disk says no.
    """
    # or SVT-AV1 tells of itself on stderr
    os.environ.setdefault("SVT_LOG", "1")
    with opened(path) as source, aside(out) as temporary:
        try:
            # absolute: FFmpeg takes what stands before a colon for a protocol
            with av.open(os.path.abspath(temporary), "w", format=_container(out)) as target:
                return _through(path, source, target, recolor, coding)
        except av.error.FFmpegError as error:
            if error.errno and error.errno > 0 and isinstance(error, OSError):
                raise
            raise ValueError(f"{out}: could not be written ({error.strerror})") from error


def _through(path, source, target, recolor: Callable, coding: Coding) -> list[str]:
    """Everything from one container into the other."""
    copied: deque = deque()
    kept = _others(source, target, path)
    layout = _layout(source.streams.video[0].codec_context.format, coding.codec)
    stream: Any = None
    with closing(ahead(decoded(path, kept, lambda *one: copied.append(one)))) as read:
        first = next(read)
        _warn_of_losses(first, path)
        with closing(ahead(recolor(chain([first], read), layout))) as painted:
            for frame in painted:
                if stream is None:
                    stream = _stream(target, source, frame, layout, coding)
                    if first.rotation:
                        stream.set_display_rotation(first.rotation)
                target.mux(stream.encode(frame))
                _pass_on(copied, kept, target)
        target.mux(stream.encode(None))
    _pass_on(copied, kept, target)
    return [one.type for one in kept.values()]


def _warn_of_losses(frame: av.VideoFrame, path: str | PathLike) -> None:
    if any(part.is_alpha for part in frame.format.components):
        warnings.warn(f"{path}: its transparency is left out", stacklevel=4)
    if frame.interlaced_frame:
        warnings.warn(
            f"{path}: is interlaced and comes out as whole frames: deinterlace it first",
            stacklevel=4,
        )


def _container(out: str | PathLike) -> str:
    return {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}[Path(out).suffix.lower()]


def _layout(own: av.VideoFormat, codec: str) -> str:
    """The codec's layout next to a clip's: as deep, and of as much chroma, where it has one."""
    layouts = CODECS[codec].layouts
    if own.is_rgb and "bgr0" in layouts and not is_deep(own):
        return "bgr0"
    deep = "10le" if is_deep(own) else ""
    even = own.width % 2 == 0 and own.height % 2 == 0
    chroma = "422" if "422" in own.name else "420"
    if ("444" in own.name and not own.is_rgb) or not even:
        chroma = "444"
    for wanted in (f"yuv{chroma}p{deep}", f"yuv{chroma}p10le", "yuv422p10le"):
        if wanted in layouts:
            return wanted
    return layouts[0]


def _others(source, target, path) -> dict[int, Any]:
    """Streams to copy: those of the source, by index, as streams of the target."""
    kept = {}
    for stream in source.streams:
        if stream.index == source.streams.video[0].index:
            continue
        own = stream.codec_context
        if stream.type in ("audio", "subtitle") and own is not None:
            if own.codec.name in target.supported_codecs:
                kept[stream.index] = target.add_stream_from_template(stream)
                kept[stream.index].metadata.update(stream.metadata)
                kept[stream.index].disposition = stream.disposition
                continue
            why = f"its {stream.type} ({own.name}) does not fit in this file type and"
            remedy = ": .mkv takes every kind"
        else:
            why, remedy = f"a further stream of it ({stream.type})", ""
        warnings.warn(f"{path}: {why} is left out{remedy}", stacklevel=4)
    target.metadata.update(source.metadata)
    if source.chapters():
        target.set_chapters(source.chapters())
    return kept


def _stream(target, source, frame, layout: str, coding: Coding):
    """The stream of pictures, described as the source describes its own."""
    own = source.streams.video[0]
    rate = own.average_rate or own.guessed_rate or 25
    stream = target.add_stream(CODECS[coding.codec].encoder, rate=rate, options=coding.options)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, layout
    context, before = stream.codec_context, own.codec_context
    context.time_base = own.time_base
    if before.sample_aspect_ratio:
        context.sample_aspect_ratio = before.sample_aspect_ratio
    for name in ("color_primaries", "color_trc", "colorspace"):
        setattr(context, name, getattr(frame, name))
    context.color_range = frame.color_range
    stream.metadata.update(own.metadata)
    stream.disposition = own.disposition
    return stream


def _pass_on(copied: deque, kept: dict[int, Any], target) -> None:
    while copied:
        index, packet = copied.popleft()
        if packet.dts is not None:  # the last one of each stream is empty
            packet.stream = kept[index]
            target.mux(packet)


def is_hdr(path: str | PathLike) -> bool:
    """Whether a clip's curve is one of high dynamic range."""
    with opened(path) as container:
        return container.streams.video[0].codec_context.color_trc in (PQ, HLG)


def ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items, made by a thread of their own, a few of them in advance.

    Example:
        >>> list(ahead(iter("abc")))
        ['a', 'b', 'c']
    """
    made: queue.Queue = queue.Queue(AHEAD)
    stop, end = threading.Event(), object()

    def put(item) -> bool:
        while not stop.is_set():
            try:
                made.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    break
            put((end, None))
        except BaseException as error:  # raised where the items are used
            put((end, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        stop.set()
        thread.join()
