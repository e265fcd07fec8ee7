"""Look-up tables as ffmpeg's own filters play them: PyAV's wheel carries these."""

from fractions import Fraction

import av
import numpy as np
from av.filter import Graph


def lut_filter(name, image, path, interpolation):
    """An 8-bit RGB picture through lut3d or lut1d, as (H, W, 3) int."""
    place = str(path).replace(":", r"\:")
    return _played(name, f"file={place}:interp={interpolation}", [image])


def haldclut(image, hald, interpolation):
    """Likewise through haldclut, which takes the Hald picture as a second clip of one frame."""
    return _played("haldclut", f"interp={interpolation}", [image, hald])


def _played(name, options, pictures):
    graph = Graph()
    play, sink = graph.add(name, options), graph.add("buffersink")
    sources = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(
            picture, "rgb48le" if picture.dtype == np.uint16 else "rgb24"
        )
        frame.pts = 0
        height, width = picture.shape[:2]
        source = graph.add_buffer(
            width=width, height=height, format=frame.format, time_base=Fraction(1)
        )
        source.link_to(play, 0, number)
        sources.append((source, frame))
    play.link_to(sink)
    graph.configure()
    for source, frame in sources:
        source.push(frame)
    for source, _ in sources:
        source.push(None)
    return sink.pull().to_ndarray(format="rgb24").astype(int)
