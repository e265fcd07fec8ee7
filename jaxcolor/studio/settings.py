"""What a person chooses on the page, and the command that does the same."""

import argparse
import functools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from jaxcolor.cli import transfer
from jaxcolor.cli.common import Parser
from jaxcolor.cli.matching import matching
from jaxcolor.image import SMOOTHINGS
from jaxcolor.recipes import METHODS, known
from jaxcolor.recipes.styles import DEFAULT_LOOK, LOOKS, Style

LONGEST = 90  # bytes of a name
ROOM = 190  # bytes of a result's, but for its suffix; file systems take 255 in all


@dataclass(frozen=True)
class Settings:
    """What the controls say.

    Attributes:
        look: a key of LOOKS, where there is no method.
        method: one of METHODS instead of a look, or ''.
        smooth: one of SMOOTHINGS, or '' for the look's own.
        strength: 0 .. 1.
    """

    look: str = DEFAULT_LOOK
    method: str = ""
    smooth: str = ""
    strength: float = 1.0

    @property
    def fit(self) -> tuple[str, str, str]:
        """All that calls for another fit."""
        return self.look, self.method, self.smooth

    @property
    def words(self) -> list[str]:
        """The options of `jaxcolor transfer` that say the same.

        Example:
            >>> Settings("faithful", smooth="none", strength=0.5).words[2:]
            ['--smooth', 'none', '--rounds', '1', '--no-rematch', '--strength', '0.5']
        """
        chosen = ["--method", self.method] if self.method else ["--look", self.look]
        if self.smooth:
            chosen += ["--smooth", self.smooth]
        if self.smooth == "none" and not self.method:  # then there is nothing to match again
            finish = LOOKS[self.look].finish
            chosen += ["--rounds", "1"] if finish.rounds > 1 else []
            chosen += ["--no-rematch"] if finish.rematch else []
        return chosen if self.strength == 1 else [*chosen, "--strength", f"{self.strength:g}"]

    @property
    def style(self) -> Style:
        """What the command makes of these options."""
        return matching(arguments("source", ["reference"], "out.png", self))


def settings(given: dict[str, Any]) -> Settings:
    """Settings from what a page sent.

    Raises:
        ValueError: for a value that is none of those on offer.

    Example:
        >>> settings({"look": "gentle", "strength": 0.5}).strength
        0.5
    """
    look, method, smooth, strength = (
        given.get("look") or DEFAULT_LOOK,
        given.get("method") or "",
        given.get("smooth") or "",
        given.get("strength", 1.0),
    )
    known(str(look), LOOKS, "look")
    if method:
        known(str(method), METHODS, "method")
    if smooth:
        known(str(smooth), SMOOTHINGS, "smoothing")
    if isinstance(strength, bool) or not isinstance(strength, (int, float)):
        raise ValueError(f"strength must be a number, got {strength!r}")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be within 0..1, got {strength}")
    return Settings(str(look), str(method), str(smooth), round(float(strength), 4))


@functools.cache
def _parser() -> Parser:
    parser = Parser(prog="jaxcolor")
    transfer.add(parser.add_subparsers(), "transfer")
    return parser


def arguments(
    source: str, references: Sequence[str], out: str, asked: Settings, lut: str | None = None
) -> argparse.Namespace:
    """What `jaxcolor transfer` would read on its command line."""
    table = [] if lut is None else ["--lut", lut]
    words = ["transfer", source, *references, "-o", out, *asked.words, *table]
    return _parser().parse_args(words)


def command(source: str, references: Sequence[str], asked: Settings) -> str:
    """The command, to be copied.

    Example:
        >>> command("sea side.jpg", ["dusk.png"], Settings(strength=0.8))
        "jaxcolor transfer 'sea side.jpg' dusk.png -o 'sea side_as_dusk.jpg' --look natural \
--strength 0.8"
    """
    out = result_name(source, references)
    paths = [f"./{one}" if one.startswith("-") else one for one in (source, *references, out)]
    return shlex.join(["jaxcolor", "transfer", *paths[:-1], "-o", paths[-1], *asked.words])


def result_name(source: str, references: Sequence[str], suffix: str | None = None) -> str:
    """What a result is called; as `jaxcolor batch` does, and in the source's format.

    Example:
        >>> result_name("pier.jpg", ["dusk.png"]), result_name("a.gif", ["b.png", "c.png"])
        ('pier_as_dusk.jpg', 'a_as_b_c.png')
    """
    from jaxcolor.image.files import FORMATS

    own = Path(source).suffix
    if suffix is None:
        suffix = own if own.lower() in FORMATS else ".png"
    stems = "_".join(Path(one).stem for one in references)
    return cut(f"{cut(Path(source).stem, LONGEST)}_as_{stems}", ROOM) + suffix


def plain_name(given: str) -> str:
    """A file's name as a page sent it: without folders, or what no file's name may have.

    Example:
        >>> plain_name("C:\\\\x\\\\..\\\\a\\nb.jpg"), plain_name("../../.."), plain_name("")
        ('a b.jpg', 'picture', 'picture')
    """
    name = PurePosixPath(given.replace("\\", "/")).name
    name = " ".join(re.sub(r'[\x00-\x1f\x7f<>:"|?*/]', " ", name).split()).strip(". ")
    if cut(name, LONGEST) != name:
        suffix = cut(Path(name).suffix, 8)
        name = cut(name, LONGEST - len(suffix.encode())) + suffix
    return name or "picture"


def cut(name: str, most: int) -> str:
    """As much of a name's beginning as so many bytes hold: that is what file systems count.

    Example:
        >>> cut("caf\u00e9s", 5), cut("caf\u00e9s", 4)
        ('caf\u00e9', 'caf')
    """
    name = name[:most]
    while len(name.encode(errors="surrogatepass")) > most:
        name = name[:-1]
    return name
