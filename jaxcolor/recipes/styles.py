"""Looks: a method and its settings under a name, for people who do not read papers.

Nothing here loads jax: the command reads it for its help.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from jaxcolor.image import GAMUTS, SMOOTHINGS
from jaxcolor.recipes import DRAWS, LIGHTNESS, METHODS, known
from jaxcolor.recipes.relaxation import Relaxation, suited_method


@dataclass(frozen=True)
class Finish:
    """What becomes of a picture once its colours are mapped.

    Attributes:
        smooth: filter of the change: 'none', 'guided', 'yaroslavsky' or 'regrain'.
        rounds: how often it is smoothed, matched to the reference in between.
        rematch: match it a last time after that.
        gamut: what happens to colours that no screen shows: 'clip', each channel by itself, or
            'fade', towards the grey of the same lightness.
        dither: 8-bit results are rounded by a fine pattern, so that slow gradients stay smooth.
    """

    smooth: str = "none"
    rounds: int = 1
    rematch: bool = False
    gamut: str = "clip"
    dither: bool = False

    @property
    def matches(self) -> int:
        """How often the picture is fitted anew."""
        return self.rounds - 1 + self.rematch

    def check(self) -> None:
        """Whether the parts make sense.

        Raises:
            ValueError: naming the part.
        """
        known(self.smooth, SMOOTHINGS, "smoothing")
        known(self.gamut, GAMUTS, "gamut mapping")
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {self.rounds}")
        if self.smooth == "none" and self.matches:
            raise ValueError("without smoothing there is nothing to match again: choose a smooth")


HARD, PLAIN = Relaxation(), Finish()


@dataclass(frozen=True)
class Style:
    """All that decides how one picture takes the colours of another.

    Attributes:
        method, space, bases: as for `fit`.
        components, draw: of 'mixture', as for `fit`.
        relaxation: of the method.
        finish: what comes after the map.
    """

    method: str
    space: Any = None
    bases: int = 30
    components: int | str = 10
    draw: str = "mean"
    relaxation: Relaxation = HARD
    finish: Finish = PLAIN

    @property
    def fitting(self) -> dict[str, Any]:
        """What `fit` takes, by name."""
        names = ("method", "space", "bases", "components", "draw")
        return {name: getattr(self, name) for name in names} | asdict(self.relaxation)


# A sliced map smoothed that much fits in a LUT, and what it leaves is matched after smoothing. With
# smoothing and matching in turn a picture comes nearer to its reference than by any map of colours,
# and keeps more of its source (`experiments/pareto.py`)
_STEADY = Relaxation(blur=0.2)
_SMOOTH = Finish(smooth="yaroslavsky", rounds=2, gamut="fade", dither=True)
LOOKS = {
    "faithful": Style(
        "sliced", bases=30, relaxation=_STEADY, finish=replace(_SMOOTH, rematch=True)
    ),
    "natural": Style("sliced", bases=10, relaxation=_STEADY, finish=_SMOOTH),
    "gentle": Style("gaussian", finish=replace(_SMOOTH, rounds=1)),
}
DEFAULT_LOOK = "natural"
SETTINGS = ("space", "bases", "components", "draw")  # of the map, beside its relaxation


def _check_mixture(method: str, fields: dict[str, Any]) -> None:
    components, draw = fields.get("components"), fields.get("draw")
    if method != "mixture" and not (components is None and draw is None):
        raise ValueError(f"{method} has no components and no draw: those are for mixture")
    if components not in (None, "auto") and not (isinstance(components, int) and components >= 1):
        raise ValueError(f"components must be at least 1, or 'auto', got {components!r}")
    if draw is not None:
        known(draw, DRAWS, "draw")


def style(
    look: str | None = None,
    method: str | None = None,
    relaxation: Relaxation = HARD,
    **given,
) -> Style:
    """A look, or a method, with some of its settings replaced.

    Args:
        look: a key of LOOKS.
        method: the method instead of a look; without either, the one that the relaxation calls for,
            'mixture' with components or a draw, or else the look 'natural'.
        relaxation: replaces the look's, if it says anything.
        given: other fields of `Style` and `Finish`; None leaves one as it is.

    Raises:
        ValueError: unknown names, a look and a method, parts that do not go together.

    Example:
        >>> style("gentle", smooth="guided").finish.smooth, style(method="exact").finish.smooth
        ('guided', 'none')
    """
    if look is not None and method is not None:
        raise ValueError(f"a look has its own method: take look {look!r} or method {method!r}")
    mixing = any(given.get(name) is not None for name in ("components", "draw"))
    if look is None and method is None and mixing:
        method = "mixture"
    elif look is None and method is None:
        usual = LOOKS[DEFAULT_LOOK]
        method = suited_method(relaxation, usual.method)
        look, method = (DEFAULT_LOOK, None) if method == usual.method else (None, method)
    if look is not None:
        base = LOOKS[known(look, LOOKS, "look")]
    else:
        base = Style(known(str(method), METHODS, "method"))
    if relaxation != HARD:
        base = replace(base, relaxation=relaxation)
    base.relaxation.check(base.method)
    given = {name: value for name, value in given.items() if value is not None}
    if base.method == "reinhard" and "space" in given:
        raise ValueError("reinhard works in its own space, l alpha beta: leave the space out")
    fields = {name: given.pop(name) for name in SETTINGS if name in given}
    _check_mixture(base.method, fields)
    blur = base.relaxation.blur
    if blur and relaxation == HARD and "space" in fields:
        scale = LIGHTNESS.get(str(fields["space"]), 1) / LIGHTNESS.get(str(base.space), 1)
        fields["relaxation"] = Relaxation(blur=blur * scale)
    finish = replace(base.finish, **given)
    finish.check()
    return replace(base, finish=finish, **fields)
