"""How exactly an optimal-transport method must match colours; checked without loading jax."""

from dataclasses import dataclass, replace

from jaxcolor.recipes import MARGINALS, known

MARGINALS_OF = {
    "newton": ("balanced", "kl"),
    "sinkhorn": MARGINALS,
    "exact": ("balanced",),
    "grid": MARGINALS,
}
BLURRED = ("sliced", "newton", "sinkhorn", "grid")
REACHING = ("kl", "tv", "mixed")


@dataclass(frozen=True)
class Relaxation:
    """How exactly colours must be matched.

    Attributes:
        marginal: 'balanced', all of the source onto all of the reference; 'kl', mass fades with
            distance; 'tv', colours further than the reach stay whole; 'mixed', as 'kl' but never
            more than so much; 'range', each colour may count for `limits` times itself.
        reach: colour distance beyond which a partner is too far, for 'kl', 'tv' and 'mixed'.
        limits: least and greatest factor, for 'range'.
        blur: colour distance below which differences do not count: epsilon = 2 blur^2; for 'sliced'
            the width over which its maps are smoothed.
        counts: colours weigh as many pixels as they have, not their share of the picture: of two
            pictures the larger one has more to give. For 'grid'.
    """

    marginal: str = "balanced"
    reach: float | None = None
    limits: tuple[float, float] | None = None
    blur: float | None = None
    counts: bool = False

    def check(self, method: str) -> None:
        """Whether the parts make sense together, and for the method.

        Raises:
            ValueError: naming the part that is missing, or too much.
        """
        known(self.marginal, MARGINALS, "marginal")
        if self.blur is not None and method not in BLURRED:
            raise ValueError(f"{method} has no blur: that is for {', '.join(BLURRED)}")
        if self.blur is not None and not self.blur > 0:
            raise ValueError(f"blur must be above 0, got {self.blur}")
        if self.counts and method != "grid":
            raise ValueError(f"{method} knows no counts: those are for grid")
        if method not in MARGINALS_OF:
            if replace(self, blur=None) != Relaxation():
                raise ValueError(
                    f"{method} knows no marginal, reach or limits: "
                    f"those are for {', '.join(MARGINALS_OF)}"
                )
            return
        wants_reach = self.marginal in REACHING
        if wants_reach != (self.reach is not None):
            word = "needs" if wants_reach else "takes no"
            raise ValueError(f"marginal {self.marginal!r} {word} reach, a colour distance")
        if (self.marginal == "range") != (self.limits is not None):
            word = "needs" if self.marginal == "range" else "takes no"
            raise ValueError(f"marginal {self.marginal!r} {word} limits, two factors of the mass")
        if self.reach is not None and not self.reach > 0:
            raise ValueError(f"reach must be above 0, got {self.reach}")
        if self.limits is not None and not (0 <= self.limits[0] <= 1 <= self.limits[1]):
            raise ValueError(f"limits must be low <= 1 <= high with low >= 0, got {self.limits}")
        if self.marginal not in MARGINALS_OF[method]:
            able = [name for name, known_ in MARGINALS_OF.items() if self.marginal in known_]
            raise ValueError(
                f"{method} is {' or '.join(MARGINALS_OF[method])}: "
                f"marginal {self.marginal!r} needs method {' or '.join(map(repr, able))}"
            )


def suited_method(relaxation: Relaxation, otherwise: str) -> str:
    """The method that a relaxation calls for, where a person named none.

    Example:
        >>> suited_method(Relaxation("tv", reach=0.2), "gaussian")
        'sinkhorn'
        >>> suited_method(Relaxation(), "gaussian")
        'gaussian'
    """
    blurred = otherwise in BLURRED and replace(relaxation, blur=None) == Relaxation()
    if relaxation == Relaxation() or blurred:
        return otherwise
    if relaxation.counts:
        return "grid"
    return "newton" if relaxation.marginal in MARGINALS_OF["newton"] else "sinkhorn"
