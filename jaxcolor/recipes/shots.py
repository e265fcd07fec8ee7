"""The shots of a clip, and a sample of the colours of each, in constant memory."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from os import PathLike
from typing import Any

import av
import av.filter
import numpy as np

from jaxcolor.image.video import EXACT, decoded, rgb
from jaxcolor.recipes import CUT

WIDTH = 128  # of the small pictures that stand for frames
FRAMES = 32  # of these, at most, that stand for a shot
NEAREST = 0x10 | EXACT  # other filters make colours that are in no pixel
SHORTEST = 6  # frames of a shot: a flash is none


@dataclass
class Shot:
    """Consecutive frames of one camera, or a whole clip.

    Attributes:
        start: the number of its first frame.
        length: how many there are.
        kept: some of them, small, evenly spread.
    """

    start: int = 0
    length: int = 0
    kept: list[np.ndarray] = field(default_factory=list)
    _every: int = 1

    def add(self, small: np.ndarray) -> None:
        """One frame more; where there are too many, every other is forgotten."""
        if self.length % self._every == 0:
            self.kept.append(small)
        self.length += 1
        if len(self.kept) > FRAMES:
            self.kept, self._every = self.kept[::2], 2 * self._every

    @property
    def picture(self) -> np.ndarray:
        """(h, w, 3) uint8: the frames that were kept, side by side and below each other.

        As many as fill a rectangle that is about as wide as high in frames.
        """
        columns = math.isqrt(len(self.kept))
        rows = len(self.kept) // columns
        grid = np.stack(self.kept[: rows * columns]).reshape(rows, columns, *self.kept[0].shape)
        return np.vstack([np.hstack(row) for row in grid])


class Cuts:
    """FFmpeg's scene change detector, fed with small pictures.

    Args:
        cut: how much has to change, 0..100.

    Example:
        >>> dark, light = (np.full((32, 32, 3), v, np.uint8) for v in (20, 200))
        >>> cuts = Cuts()
        >>> [cuts(picture) for picture in [dark] * 8 + [light] * 2].index(True)
        8
    """

    def __init__(self, cut: float = CUT):
        self._cut, self._graph, self._length = cut, None, 0

    def __call__(self, small: np.ndarray) -> bool:
        """Whether a shot begins with this frame."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(small), "rgb24")
        if self._graph is None:
            self._graph = av.filter.Graph()
            shape: dict[str, Any] = {
                "width": frame.width,
                "height": frame.height,
                "format": frame.format,
            }
            nodes = (
                self._graph.add_buffer(time_base=Fraction(1), **shape),
                self._graph.add("scdet", f"threshold={self._cut}"),
                self._graph.add("buffersink"),
            )
            self._graph.link_nodes(*nodes).configure()
        self._length += 1
        frame.pts = self._length
        self._graph.push(frame)
        score = float(self._graph.pull().metadata["lavfi.scd.score"])
        if score < self._cut or self._length <= SHORTEST:
            return False
        self._length = 1
        return True


def small(frame: av.VideoFrame) -> np.ndarray:
    """(h, 128, 3) uint8: some of a frame's pixels, in even rows and columns."""
    height = max(2, round(frame.height * WIDTH / frame.width))
    return rgb(frame, width=WIDTH, height=min(height, 8 * WIDTH), scaling=NEAREST)


def shots(
    path: str | PathLike, cut: float | None = CUT, step: Callable[[], None] = lambda: None
) -> Iterator[Shot]:
    """A clip's shots, in order; with `cut` None the whole clip as one.

    `step` is called for each frame. Errors as `video.read_clip`.
    """
    shot, cuts = Shot(), Cuts(cut or 0)
    for number, frame in enumerate(decoded(path)):
        step()
        picture = small(frame)
        if cut is not None and cuts(picture) and number:
            yield shot
            shot = Shot(number)
        shot.add(picture)
    yield shot
