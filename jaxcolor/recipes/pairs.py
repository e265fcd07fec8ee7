"""Many pairs of picture files: each file read and reduced once, several pairs at a time."""

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TypeVar

import numpy as np

from jaxcolor.image import files, is_clip
from jaxcolor.recipes import palette, references
from jaxcolor.recipes.look import Look
from jaxcolor.recipes.transfer import transfer as usual

ROOM = 1 << 27  # pixels that an album keeps: about a gigabyte
WORKERS = min(4, os.cpu_count() or 1)  # pairs at a time; a fit keeps one core busy

Transfer = Callable[[Look, Look], np.ndarray]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Opened:
    """A picture, or a palette, of an `Album`.

    Attributes:
        picture: its pixels and profile; of a palette one pixel for each colour.
        look: what every fit from or to it asks for.
    """

    picture: files.Picture
    look: Look

    def __len__(self) -> int:
        return len(self.look.pictures[0])


class Album:
    """Pictures by path, each read and reduced once; the least recently used give way.

    Threads may share it.

    Args:
        room: how many pixels to keep; the picture in use stays however large it is.
        kept: the paths that are asked for more than once, where that is known: of a folder of
            pictures that each come once nothing stays.

    Example:
        >>> from tempfile import mkdtemp
        >>> import numpy as np
        >>> path = Path(mkdtemp()) / "grey.png"
        >>> files.write(path, files.Picture(np.full((2, 3), 99, np.uint8)))
        >>> album = Album()
        >>> album.open(path).picture.pixels.shape, album.open(path) is album.open(path)
        ((2, 3), True)
    """

    def __init__(self, room: int = ROOM, kept: Collection[str | PathLike] | None = None):
        self._room, self._again = room, None if kept is None else frozenset(kept)
        self._kept: OrderedDict[tuple, Opened] = OrderedDict()
        self._lock, self._reading = threading.Lock(), threading.Lock()

    def open(self, path: str | PathLike) -> Opened:
        """The picture in a file; errors as `files.read`, and ValueError for NaN in it."""
        return self._once((path,), lambda: _opened(files.read(path), path))

    def open_clip(self, path: str | PathLike) -> Opened:
        """Frames from all over a clip, on one sheet; errors as `references.pooled`."""
        return self._once((path,), lambda: _opened(files.Picture(references.pooled(path)), path))

    def convert(self, path: str | PathLike, profile: bytes | None) -> Opened:
        """It, or a palette or clip, in the encoding of another profile, as a reference for pictures
        that have that."""
        if references.is_palette(path):
            return self._once((path, profile), lambda: _opened_palette(path, profile))
        own = self.open_clip(path) if is_clip(path) else self.open(path)
        if own.picture.profile == profile:
            return own
        return self._once(
            (path, profile), lambda: _opened(files.convert(own.picture, profile), path)
        )

    def _once(self, key: tuple, make: Callable[[], Opened]) -> Opened:
        found = self._find(key)
        if found is not None:
            return found
        # one thread at a time: two would read the same file, and mix up `warnings.catch_warnings`
        with self._reading:
            found = self._find(key)
            if found is not None:
                return found
            made = make()
            if self._again is None or key[0] in self._again:
                with self._lock:
                    self._make_room(len(made))
                    self._kept[key] = made
        return made

    def _find(self, key: tuple) -> Opened | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _make_room(self, size: int) -> None:
        size += sum(len(one) for one in self._kept.values())
        while self._kept and size > self._room:
            _, gone = self._kept.popitem(last=False)
            size -= len(gone)


def _opened(picture: files.Picture, path: str | PathLike) -> Opened:
    return Opened(picture, Look([picture.view(name=Path(path).name)]))


def _opened_palette(path: str | PathLike, profile: bytes | None) -> Opened:
    own = references.converted(palette.read(path), profile)
    return Opened(files.Picture(own.rgb[None], profile), Look([own]))


def transfer_pair(
    source: str | PathLike, reference: str | PathLike, transfer: Transfer, album: Album
) -> files.Picture:
    """The picture in one file with the colours of that, or of a palette or clip, in another.

    It is what `transfer_pairs` repeats.

    Errors as `Album.open` and `transfer`.
    """
    own = album.open(source)
    goal = album.convert(reference, own.picture.profile)
    return own.picture.recolored(transfer(own.look, goal.look))


def transfer_pairs(
    pairs: Iterable[tuple[str | PathLike, str | PathLike]],
    transfer: Transfer = usual,
    *,
    album: Album | None = None,
) -> Iterator[files.Picture | Exception]:
    """The first picture of each pair with the colours of the second, one after another.

    A file that occurs often is read and reduced once, while it stays in the album, and a few pairs
    are under way at a time. All 8-bit pictures, of whatever sizes, share the compiled programs.

    Args:
        pairs: the paths of source and reference.
        transfer: what makes each; `functools.partial(jaxcolor.transfer, method="sliced")`, say.
        album: where pictures stay; one of its own by default.

    Yields:
        For every pair, in their order, the picture in the source's profile; for one that cannot
        be done, the error.

    Example:
        >>> from tempfile import mkdtemp
        >>> import numpy as np
        >>> folder = Path(mkdtemp())
        >>> for v in (50, 150):
        ...     files.write(folder / f"{v}.png", files.Picture(np.full((4, 4, 3), v, np.uint8)))
        >>> result, failure = transfer_pairs(
        ...     [(folder / "50.png", folder / "150.png"), (folder / "50.png", folder / "none.png")]
        ... )
        >>> result.pixels[0, 0], type(failure)
        (array([150, 150, 150], dtype=uint8), <class 'FileNotFoundError'>)
    """
    album = Album() if album is None else album

    def one(pair: tuple[str | PathLike, str | PathLike]) -> files.Picture | Exception:
        try:
            return transfer_pair(*pair, transfer, album)
        except Exception as error:
            return error

    return side_by_side(one, pairs)


def side_by_side(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int = WORKERS
) -> Generator[Result, None, None]:
    """function of each item, in their order, from a few threads that are never far ahead.

    An error, or the end of interest, stops it: what is under way is finished, no more begun.

    Example:
        >>> list(side_by_side(abs, [-1, 2, -3]))
        [1, 2, 3]
    """
    with ThreadPoolExecutor(workers) as pool:
        begun = deque()
        try:
            for item in items:
                begun.append(pool.submit(function, item))
                if len(begun) > 2 * workers:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for one in begun:
                one.cancel()
