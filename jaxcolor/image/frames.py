"""A map of colours on PyAV's frames: 8 bits by their codes, deeper ones by their values."""

import av
import numpy as np

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
from jaxcolor.image.planes import mapped
from jaxcolor.image.video import SCALING, rgb
from jaxcolor.image.yuv import CodeMap
from jaxcolor.maps import ColorMap

_KIND = {(1, 1): "44", (2, 1): "22", (2, 2): "20"}


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
        before, goal = _steps(frame.format), _steps(av.VideoFormat(self.layout))
        if is_deep(frame.format) or (2, 1) in (before, goal):
            painted = self._by_value(frame, (own, after), (before, goal))
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

    def _by_value(self, frame: av.VideoFrame, encodings, steps) -> av.VideoFrame:
        assert self._map is not None
        planes, depth = _stored(frame)
        depths = depth, av.VideoFormat(self.layout).components[0].bits
        return _frame(mapped(self._map, planes, depths, encodings, steps), self.layout)


def _steps(layout: av.VideoFormat) -> tuple[int, int]:
    """How many pixels share a chroma value, across and down."""
    return round(64 / layout.chroma_width(64)), round(64 / layout.chroma_height(64))


def _stored(frame: av.VideoFrame) -> tuple[list[np.ndarray], int]:
    """The planes of a frame, and how many bits a code has."""
    if encoding(frame).matrix == RGB:
        return list(np.moveaxis(rgb(frame, "rgb48le"), -1, 0)), 16
    depth = frame.format.components[0].bits
    kind = f"yuv4{_KIND[_steps(frame.format)]}p"
    name = kind if depth == 8 else f"{kind}{depth}le"
    if frame.format.name not in (name, name.replace("yuv", "yuvj")):
        name, depth = f"{kind}16le", 16
        frame = _in(frame, name)
    return [_rows(plane, depth) for plane in frame.planes[:3]], depth


def _planes(frame: av.VideoFrame, halved: bool) -> list[np.ndarray]:
    """Luma and chroma (H, W) uint8, chroma at half the size where that is asked for."""
    if halved and frame.format.name == "nv12":
        pairs = _rows(frame.planes[1]).reshape(-1, frame.width // 2, 2)
        return [_rows(frame.planes[0]), pairs[..., 0], pairs[..., 1]]
    wanted = ("yuv420p", "yuvj420p") if halved else ("yuv444p", "yuvj444p")
    if frame.format.name not in wanted:
        frame = _in(frame, wanted[0])
    return [_rows(plane) for plane in frame.planes]


def _in(frame: av.VideoFrame, layout: str) -> av.VideoFrame:
    """The same codes in another layout."""
    levels = FULL if encoding(frame).full else LIMITED
    return frame.reformat(
        format=layout, src_color_range=levels, dst_color_range=levels, interpolation=SCALING
    )


def _rows(plane, depth: int = 8) -> np.ndarray:
    """What a plane holds, without what fills its rows up: no copy."""
    stored = np.frombuffer(plane, np.uint8)[: plane.height * plane.line_size]
    stored = stored.reshape(plane.height, plane.line_size)
    return (stored if depth == 8 else stored.view("<u2"))[:, : plane.width]


def _frame(planes, layout: str) -> av.VideoFrame:
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, layout)
    for plane, values in zip(frame.planes, planes, strict=True):
        _rows(plane, 8 * values.dtype.itemsize)[:] = values
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
