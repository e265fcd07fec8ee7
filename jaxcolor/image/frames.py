"""A map of colours on PyAV's frames: 8 bits by their codes, deeper ones as 16-bit RGB."""

import av
import numpy as np

from jaxcolor.image.apply import apply
from jaxcolor.image.encoding import (
    BT601,
    BT709,
    FULL,
    HD,
    LIMITED,
    NTSC,
    RGB,
    Encoding,
    encoding,
)
from jaxcolor.image.pixels import as_pytree
from jaxcolor.image.video import SCALING, rgb
from jaxcolor.image.yuv import CodeMap
from jaxcolor.maps import ColorMap


def is_deep(layout: av.VideoFormat) -> bool:
    """More than 8 bits a channel."""
    return max(part.bits for part in layout.components) > 8


class Painter:
    """Maps the colours of frames, one after the other; what they say of themselves is kept.

    Args:
        layout: of the frames that come out, as FFmpeg calls it.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxcolor.maps import Affine
        >>> paint = Painter("yuv420p")
        >>> paint.use(Affine(jnp.eye(3) / 2, jnp.zeros(3)))
        >>> frame = paint(av.VideoFrame.from_ndarray(np.full((4, 4, 3), 90, np.uint8)))
        >>> frame.format.name, rgb(frame)[0, 0]
        ('yuv420p', array([45, 45, 45], dtype=uint8))
    """

    def __init__(self, layout: str):
        self.layout = layout
        self._code: CodeMap | None = None
        self._map: ColorMap | None = None

    def use(self, color_map: ColorMap, *, lasting: bool = True) -> None:
        """Go on with this map of encoded RGB; `lasting` if it is for many frames."""
        self._map, self._lasting = as_pytree(color_map), lasting
        if self._code is not None:
            self._code.use(self._map, lasting=lasting)

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame, its colours mapped, in the painter's layout."""
        assert self._map is not None, "use a map first"
        own = encoding(frame)
        after = own
        if own.matrix == RGB and not av.VideoFormat(self.layout).is_rgb:
            after = Encoding(BT709 if frame.height > HD else BT601)
        if is_deep(frame.format):
            painted = av.VideoFrame.from_ndarray(apply(self._map, rgb(frame, "rgb48le")), "rgb48le")
        else:
            painted = self._by_code(frame, own, after)
        if painted.format.name != self.layout:
            painted = _converted(painted, after, self.layout)
        if frame.time_base is not None:
            painted.pts, painted.time_base = frame.pts, frame.time_base
        if own.matrix != RGB:
            for name in ("colorspace", "color_primaries", "color_trc"):
                setattr(painted, name, getattr(frame, name))
        elif after.matrix != RGB:
            painted.colorspace = after.matrix
        painted.color_range = FULL if after.full else LIMITED
        return painted

    def _by_code(self, frame: av.VideoFrame, own: Encoding, after: Encoding) -> av.VideoFrame:
        if self._code is None or (self._code.before, self._code.after) != (own, after):
            assert self._map is not None
            self._code = CodeMap(own, after)
            self._code.use(self._map, lasting=self._lasting)
        whole = "gbrp" if after.matrix == RGB else "yuv444p"
        result = "yuv420p" if "420" in self.layout else whole
        if own.matrix == RGB:
            planes = list(np.moveaxis(rgb(frame), -1, 0))
        else:
            planes = _planes(frame, halved=result == "yuv420p" and "420" in frame.format.name)
        painted = self._code(*planes, halve=result == "yuv420p")
        if result == "gbrp":
            painted = painted[1], painted[2], painted[0]
        return _frame(painted, result)


def _planes(frame: av.VideoFrame, halved: bool) -> list[np.ndarray]:
    """Luma and chroma (H, W) uint8, chroma at half the size where that is asked for."""
    wanted = ("yuv420p", "yuvj420p") if halved else ("yuv444p", "yuvj444p")
    if frame.format.name not in wanted:
        own = LIMITED if not encoding(frame).full else FULL
        frame = frame.reformat(
            format=wanted[0], src_color_range=own, dst_color_range=own, interpolation=SCALING
        )
    return [_rows(plane) for plane in frame.planes]


def _rows(plane) -> np.ndarray:
    """What a plane holds, without what fills its rows up: no copy."""
    stored = np.frombuffer(plane, np.uint8)[: plane.height * plane.line_size]
    return stored.reshape(plane.height, plane.line_size)[:, : plane.width]


def _frame(planes, layout: str) -> av.VideoFrame:
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, layout)
    for plane, values in zip(frame.planes, planes, strict=True):
        _rows(plane)[:] = values
    return frame


def _converted(frame: av.VideoFrame, own: Encoding, layout: str) -> av.VideoFrame:
    """In another layout: of other depth or chroma, or RGB."""
    matrix = BT601 if own.matrix == NTSC else own.matrix
    levels = FULL if own.full else LIMITED
    if av.VideoFormat(layout).is_rgb:
        return frame.reformat(format=layout, interpolation=SCALING)
    from_rgb = frame.format.is_rgb
    return frame.reformat(
        format=layout,
        src_colorspace=None if from_rgb else matrix,
        dst_colorspace=matrix,
        src_color_range=FULL if from_rgb else levels,
        dst_color_range=levels,
        interpolation=SCALING,
    )
