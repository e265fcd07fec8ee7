"""Clips in the colours of something else: one map a shot, or one a frame, smoothed in time."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from av import VideoFrame
from jax import Array

from jaxcolor.image.frames import Painter
from jaxcolor.image.pixels import evaluate
from jaxcolor.image.transcode import ahead
from jaxcolor.lattice import Displacement
from jaxcolor.maps import ColorMap
from jaxcolor.recipes import CUT
from jaxcolor.recipes.finish import by_color
from jaxcolor.recipes.fitting import fitted
from jaxcolor.recipes.look import Look
from jaxcolor.recipes.shots import Cuts, Shot, small
from jaxcolor.recipes.styles import Style

NODES = 33  # of a frame's map, along each axis
REACH = 2.5  # standard deviations on either side of a frame that count

Recolor = Callable[[Iterator[VideoFrame], str], Iterator[VideoFrame]]


@dataclass(frozen=True)
class Grade:
    """What a clip is to look like, and how far it goes there.

    Attributes:
        goal: the look.
        asked: how; of its finish only what concerns colours one by one.
        strength: 0..1.
        key: of the methods that draw; the same for all frames, or they would flicker.
    """

    goal: Look
    asked: Style
    strength: float = 1.0
    key: Array | None = None

    def fit(self, picture: np.ndarray, before: ColorMap | None = None) -> ColorMap:
        """The map of one picture, bare; `before` as for `fitting.fitted`."""
        return fitted(Look([picture]), self.goal, self.asked, self.key, before)

    def finished(self, color_map: ColorMap) -> ColorMap:
        """A bare map as it is asked for."""
        return by_color(color_map, self.strength, self.asked.finish)


def by_shot(shots: Sequence[Shot], maps: Sequence[ColorMap]) -> Recolor:
    """One map a shot: what does not move does not flicker, by construction."""

    def recolor(frames: Iterator[VideoFrame], layout: str) -> Iterator[VideoFrame]:
        paint = Painter(layout)
        starts = {shot.start: color_map for shot, color_map in zip(shots, maps, strict=True)}
        for number, frame in enumerate(frames):
            if number in starts:
                paint.use(starts[number])
            yield paint(frame)

    return recolor


@dataclass
class ByFrame:
    """A map for each frame, the mean over time of those of the frames around it.

    Means are taken of what the maps do to the nodes of a lattice of colours: the mean of optimal
    maps onto one target is one, where all are gradients of convex functions. Weights are Gaussian
    and end at cuts. Frames wait for those that count for them, so memory does not grow.

    Attributes:
        grade: what to look like.
        seconds: standard deviation of the weights; 0 for none but the frame's own.
        rate: frames a second.
        cut: as for `shots.Cuts`; None for one shot.
        watch: is told the moves of each map, before and after the mean, at the lattice's nodes, and
            whether a shot begins.
    """

    grade: Grade
    seconds: float
    rate: float
    cut: float | None = CUT
    watch: Callable[[np.ndarray, np.ndarray, bool], None] = lambda alone, mean, begins: None

    def __call__(self, frames: Iterator[VideoFrame], layout: str) -> Iterator[VideoFrame]:
        paint = Painter(layout)
        # maps are fitted while others are applied
        for frame, moves in ahead(self._smoothed(frames)):
            table = jnp.asarray(moves.reshape(NODES, NODES, NODES, 3))
            color_map = Displacement(jnp.zeros(3), jnp.ones(3), table)
            paint.use(self.grade.finished(color_map), lasting=False)
            yield paint(frame)

    def _smoothed(self, frames: Iterator[VideoFrame]) -> Iterator[tuple[VideoFrame, np.ndarray]]:
        width = self.seconds * self.rate
        reach = int(np.ceil(REACH * width))
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(width, 1e-9)) ** 2)
        waiting: deque = deque()  # frames whose turn has not come
        known: deque = deque()  # moves around the first of them
        ahead = 0  # moves of frames after it

        def first() -> tuple[VideoFrame, np.ndarray]:
            behind = len(known) - ahead - 1
            part = weights[reach - behind : reach + ahead + 1]
            mean = np.tensordot((part / part.sum()).astype(np.float32), np.stack(known), 1)
            self.watch(known[behind], mean, behind == 0)
            if behind == reach:
                known.popleft()
            return waiting.popleft(), mean

        for frame, moves, begins in self._fitted(frames):
            if begins:
                while waiting:
                    yield first()
                    ahead -= 1
                known.clear()
                ahead = -1
            waiting.append(frame)
            known.append(moves)
            ahead += 1
            if ahead == reach:
                yield first()
                ahead -= 1
        while waiting:
            yield first()
            ahead -= 1

    def _fitted(
        self, frames: Iterator[VideoFrame]
    ) -> Iterator[tuple[VideoFrame, np.ndarray, bool]]:
        """Frames, the moves of their own maps, and whether a shot begins."""
        cuts, before = Cuts(self.cut or 0), None
        for number, frame in enumerate(frames):
            picture = small(frame)
            begins = not number or (self.cut is not None and cuts(picture))
            before = self.grade.fit(picture, None if begins else before)
            yield frame, evaluate(before, _LATTICE) - _LATTICE, begins


def _lattice() -> np.ndarray:
    """(NODES^3, 3): even colours, the last channel fastest."""
    axis = np.linspace(0, 1, NODES, dtype=np.float32)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)


_LATTICE = _lattice()


class Flicker:
    """How much maps shake from frame to frame, in levels of 255: what `ByFrame.watch` takes.

    The root mean square of a third of T_t-1 - 2 T_t + T_t+1 over colours and time: a steady drift
    is none.

    Example:
        >>> flicker = Flicker()
        >>> for shift in (0, 1, 0, 1):
        ...     flicker(np.full((2, 3), shift / 255), np.zeros((2, 3)), False)
        >>> flicker.alone.round(3), flicker.mean
        (np.float64(0.667), np.float64(0.0))
    """

    def __init__(self) -> None:
        self._last: deque = deque(maxlen=3)
        self._sums = np.zeros(2)
        self._count = 0

    def __call__(self, alone: np.ndarray, mean: np.ndarray, begins: bool) -> None:
        if begins:
            self._last.clear()
        self._last.append((alone, mean))
        if len(self._last) == 3:
            for k in range(2):
                one, two, three = (moves[k] for moves in self._last)
                self._sums[k] += float(((one - 2 * two + three) ** 2).mean())
            self._count += 1

    def _level(self, k: int) -> np.float64:
        return np.sqrt(self._sums[k] / max(self._count, 1)) * 255 / 3

    @property
    def alone(self) -> np.float64:
        """Of each frame's own map."""
        return self._level(0)

    @property
    def mean(self) -> np.float64:
        """Of the means."""
        return self._level(1)
