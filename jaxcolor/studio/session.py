"""What one page works on: its pictures, and their changes."""

import itertools
import secrets
import shutil
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import jax

from jaxcolor.cli.common import make_room
from jaxcolor.recipes import references
from jaxcolor.recipes.look import Look
from jaxcolor.recipes.palette import Palette
from jaxcolor.recipes.transfer import change
from jaxcolor.studio import Limits
from jaxcolor.studio.clouds import cloud
from jaxcolor.studio.opened import Opened, opened
from jaxcolor.studio.preview import Blend, as_file, blend
from jaxcolor.studio.settings import Settings, command, settings

SEED = 0  # the command's default
ROOM = 600 << 20  # bytes of changes that all pages keep together


@dataclass(frozen=True)
class Wish:
    """What a page wants to see.

    Attributes:
        number: of the wish; later ones are greater.
        source: key of the picture to change.
        references: keys of those whose look it gets.
        asked: how.
    """

    number: int
    source: str
    references: tuple[str, ...]
    asked: Settings

    @property
    def fit(self) -> tuple:
        """All that calls for another fit."""
        return self.source, self.references, self.asked.fit


def wish(given: Any) -> Wish:
    """A wish from what a page sent.

    Raises:
        ValueError: for anything that is none.

    Example:
        >>> wish({"number": 1, "source": "1", "references": ["2"]}).asked.look
        'natural'
    """
    if not isinstance(given, dict):
        raise ValueError(f"expected an object, got {type(given).__name__}")
    number, source, others = (given.get(name) for name in ("number", "source", "references"))
    if not isinstance(number, int) or not isinstance(source, str):
        raise ValueError("a wish needs a number and a source")
    if not isinstance(others, list) or not others or not all(isinstance(k, str) for k in others):
        raise ValueError("choose a reference: the picture whose colours are wanted")
    return Wish(number, source, tuple(others), settings(given))


class Changes:
    """Changes worked out for any page, the least recently used given up where room ends.

    Example:
        >>> changes = Changes(room=0)
        >>> changes.find("page", "fit") is None
        True
    """

    def __init__(self, room: int = ROOM):
        self._room, self._lock = room, threading.Lock()
        self._kept: OrderedDict[tuple, Blend] = OrderedDict()

    def find(self, page: str, fit) -> Blend | None:
        with self._lock:
            if (page, fit) in self._kept:
                self._kept.move_to_end((page, fit))
            return self._kept.get((page, fit))

    def keep(self, page: str, fit, made: Blend) -> None:
        with self._lock:
            self._kept[page, fit] = made
            used = sum(one.held for one in self._kept.values())
            while used > self._room and len(self._kept) > 1:
                _, gone = self._kept.popitem(last=False)
                used -= gone.held

    def forget(self, page: str) -> None:
        """Those of a page that has gone."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == page]:
                del self._kept[key]


@dataclass(frozen=True)
class Frame:
    """A preview.

    Attributes:
        image, kind: a file for a browser and its media type.
        cloud: the colours of it, see `clouds.cloud`.
        command: what makes the same at full size.
    """

    image: bytes
    kind: str
    cloud: bytes
    command: str


class Session:
    """A page's pictures, in a folder of their own, and what becomes of them.

    Methods may be called from several threads.

    Args:
        folder: where its own is made.
        limits: what it may hold.
        changes: where those that are worked out stay.
    """

    def __init__(self, folder: Path, limits: Limits, changes: Changes):
        self.token = secrets.token_urlsafe(16)
        self.folder = Path(mkdtemp(dir=folder, prefix="page-"))
        self.asked: Wish  # the newest
        self._limits, self._changes, self._closed = limits, changes, False
        self._kept: dict[str, Opened] = {}
        self._placed: set[str] = set()  # keys of those that are on their way
        self._keys = map(str, itertools.count(1))
        self._looks: OrderedDict[tuple, Look] = OrderedDict()
        self._lock = threading.Lock()

    def place(self, name: str) -> tuple[str, Path]:
        """A key, and where to put an upload of that name; then `add` it, or `give_up`.

        Raises:
            ValueError: where the page holds as many pictures as it may.
        """
        with self._lock:
            if len(self._kept) + len(self._placed) >= self._limits.pictures:
                raise ValueError(
                    f"{name}: {self._limits.pictures} pictures are open on this page, the most it "
                    "takes: remove some"
                )
            key = next(self._keys)
            self._placed.add(key)
        suffix = "".join(c for c in Path(name).suffix[1:9] if c.isascii() and c.isalnum())
        return key, self.folder / (f"{key}.{suffix}" if suffix else key)

    def add(self, key: str, path: Path, name: str, *, own: bool = True) -> Opened:
        """Read a file; errors as `opened`."""
        try:
            found = opened(path, key, name, self._limits.megapixels, own=own)
            with self._lock:
                self._kept[key] = found
        finally:
            self.give_up(key)
        return found

    def give_up(self, key: str) -> None:
        """What was placed does not come any more."""
        with self._lock:
            self._placed.discard(key)

    def get(self, key: str) -> Opened:
        """A picture by its key.

        Raises:
            ValueError: where there is none.
        """
        with self._lock:
            if key not in self._kept:
                raise ValueError("this picture has been removed")
            return self._kept[key]

    def remove(self, key: str) -> None:
        """Forget a picture, and its upload."""
        with self._lock:
            gone = self._kept.pop(key, None)
            for one in [one for one in self._looks if key in one[0]]:
                del self._looks[one]
        if gone is not None and gone.own:
            gone.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Forget all of it."""
        self._closed = True
        self._changes.forget(self.token)
        with self._lock:
            self._kept.clear()
            self._looks.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def held(self) -> int:
        """Bytes of uploads on disk."""
        with self._lock:
            own = [one.path for one in self._kept.values() if one.own]
        return sum(path.stat().st_size for path in own if path.exists())

    def chosen(self, asked: Wish) -> tuple[Opened, list[Opened]]:
        """The picture to change and those to match.

        Raises:
            ValueError: where one is gone, or the first is a palette or an animation.
        """
        source, others = self.get(asked.source), [self.get(key) for key in asked.references]
        if isinstance(source.small, Palette):
            raise ValueError(f"{source.name}: is a palette; use it as the reference")
        if source.animated:
            raise ValueError(
                f"{source.name}: is an animation, which `jaxcolor transfer` changes; here only "
                "still pictures are"
            )
        return source, others

    def ready(self, asked: Wish) -> Blend | None:
        """The change asked for, if it is worked out already."""
        return self._changes.find(self.token, asked.fit)

    def fit(self, asked: Wish) -> Blend:
        """Work it out: what takes time.

        Raises:
            ValueError: as `chosen` and `recipes.transfer.change`.
            RuntimeError: where a fit does not converge.
        """
        make_room()
        source, others = self.chosen(asked)
        assert not isinstance(source.small, Palette)
        look = self._look(asked.references, others, source.small.profile)
        key = jax.random.key(SEED)
        found = change(source.small.view(name=source.name), look, asked.asked.style, key=key)
        made = blend(found, source.shown.profile)
        self._changes.keep(self.token, asked.fit, made)
        if self._closed:
            self._changes.forget(self.token)
        return made

    def frame(self, made: Blend, asked: Wish) -> Frame:
        """A preview of a change, at the strength asked for."""
        pixels = made.at(asked.asked.strength)
        source, others = self.chosen(asked)
        return Frame(
            *as_file(pixels, made.profile),
            cloud(pixels),
            command(source.name, [one.name for one in others], asked.asked),
        )

    def _look(self, keys: tuple, others: list[Opened], profile: bytes | None) -> Look:
        """Of previews, in the encoding of a profile; what a fit asks of it is made once."""
        with self._lock:
            found = self._looks.get((keys, profile))
        if found is None:
            shown = [references.convert(one.small, profile) for one in others]
            found = Look([references.seen(one) for one in shown])
            with self._lock:
                self._looks[keys, profile] = found
                if len(self._looks) > 4:
                    self._looks.popitem(last=False)
        return found
