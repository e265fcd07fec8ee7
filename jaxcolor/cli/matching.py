"""The options that say how colours are matched, and what they amount to."""

import argparse

from jaxcolor.cli.common import OneOf, Parser, add_seed, add_weights, number
from jaxcolor.image import GAMUTS, SMOOTHINGS
from jaxcolor.recipes import DEFAULT_BLUR, DEFAULT_SPACE, DRAWS, MARGINALS, METHODS, SPACES
from jaxcolor.recipes.relaxation import Relaxation
from jaxcolor.recipes.styles import DEFAULT_LOOK, LOOKS, Style, style

LOOK_HELP = (
    "natural: the reference's colours as far as the structure of SOURCE lets them come, no new "
    "grain. faithful: its whole palette. gentle: its mood, every hue kept in its place. Each is a "
    f"method with its settings, any of which may be given as well (default: {DEFAULT_LOOK})"
)
METHOD_HELP = (
    "instead of a look, one map of colours and nothing else. histogram: red, green and blue each "
    "by itself. reinhard: average and contrast. gaussian: average, contrast and colour balance "
    "together; gentle, no new grain. mixture: the same for each of its --components. sliced: "
    "the whole palette. newton, sinkhorn: optimal transport of the palette; exact: the same "
    "unsmoothed; grid: of the whole histogram, on 64 levels a channel. --marginal calls for one of "
    "these"
)


def add_matching(parser: argparse.ArgumentParser, *, finish: bool = True) -> None:
    """How the colours of one picture are matched to another's: what `matching` reads.

    Without `finish`, maps of colours alone.
    """
    parser.add_argument("--look", type=OneOf(LOOKS, "look"), help=LOOK_HELP)
    parser.add_argument("--method", type=OneOf(METHODS, "method"), help=METHOD_HELP)
    add_space(parser, METHODS)
    add_strength(parser)
    parser.add_argument(
        "--bases",
        type=number(1, 1000, int),
        metavar="N",
        help="rounds of the sliced method; fewer are faster and rougher (default: the look's, or "
        f"{Style('sliced').bases})",
    )
    add_seed(parser, "draw of the methods sliced and mixture")
    if finish:
        add_finishing(parser, look=True)
    else:
        add_gamut(parser, look=True)
    add_mixture(parser)
    add_coupling(parser)


def add_references(parser: argparse.ArgumentParser, *, count: str) -> None:
    """What to match, and how much each counts; `count` as argparse has it."""
    parser.add_argument(
        "references",
        metavar="REFERENCE",
        nargs=count,
        help="a picture, a palette (.json) or a clip to match; of several, the look in their "
        "middle",
    )
    add_weights(parser, "REFERENCE")


def add_space(parser: argparse.ArgumentParser, methods: tuple[str, ...]) -> None:
    """Where these methods act."""
    usual = {name: space for name, space in DEFAULT_SPACE.items() if name in methods}
    others = [f"{space} for {name}" for name, space in usual.items() if space != "srgb"]
    parser.add_argument(
        "--space",
        type=OneOf(SPACES, "space"),
        help=f"colour space to match in: {', '.join(SPACES)}. Pictures are read as sRGB for this, "
        f"whatever their profile (default: srgb; {', '.join(others)})",
    )


def add_mixture(parser: argparse.ArgumentParser) -> None:
    """What the method `mixture` takes."""
    group = parser.add_argument_group("the method mixture")
    group.add_argument(
        "--components",
        type=_components,
        metavar="K",
        help=f"how many parts each palette has, or auto (default: {Style('mixture').components})",
    )
    group.add_argument(
        "--draw",
        type=OneOf(DRAWS, "draw"),
        help="where a colour is of several parts. mean: it goes between their images; smooth. "
        "rand: each pixel goes to one of these by chance; closer, and grainy unless smoothed "
        "(default: mean)",
    )


def _components(text: str) -> int | str:
    return text if text == "auto" else int(number(1, 200, int)(text))


def mixing(args: argparse.Namespace) -> dict:
    """The options of `add_mixture`, as `style` takes them."""
    return {"components": args.components, "draw": args.draw}


def add_strength(parser: argparse.ArgumentParser) -> None:
    """How far to go."""
    parser.add_argument(
        "--strength",
        type=number(0, 1),
        default=1.0,
        metavar="0..1",
        help="how much of the change to make: 0 none, 1 all (default: 1)",
    )


def add_finishing(
    parser: argparse.ArgumentParser, *, again: bool = True, look: bool = False
) -> None:
    """What follows once colours are mapped.

    Args:
        parser: of a command.
        again: there is something to match colours to once more.
        look: there are looks, with a finish of their own.
    """
    group = parser.add_argument_group("once colours are mapped")
    group.add_argument(
        "--smooth",
        type=OneOf(SMOOTHINGS, "smoothing"),
        help="filter of the change, so that it adds no grain, bands or blocks. yaroslavsky: as "
        "even as the source's own colours; keeps those of small things. guided: quicker; tints "
        "small things. regrain: the source's own grain, paler colours. none "
        f"({_usual('none', look)})",
    )
    add_gamut(group, look=look)
    group.add_argument(
        "--dither",
        action=argparse.BooleanOptionalAction,
        help="round 8-bit results by a fine pattern: slow gradients stay smooth "
        f"({_usual('no', look)})",
    )
    if again:
        group.add_argument(
            "--rounds",
            type=number(1, 10, int),
            metavar="N",
            help="how often to smooth, matching colours again in between; needs --smooth "
            f"({_usual('1', look)})",
        )
        group.add_argument(
            "--rematch",
            action=argparse.BooleanOptionalAction,
            help="match colours once more at the end: closer; needs --smooth "
            f"({_usual('no', look)})",
        )


def add_gamut(parser: argparse._ActionsContainer, *, look: bool) -> None:
    """What becomes of colours beyond black and white; `look` as for `add_finishing`."""
    parser.add_argument(
        "--gamut",
        type=OneOf(GAMUTS, "gamut mapping"),
        help="colours that no screen shows. clip: cut each channel; fade: keep hue and lightness, "
        f"give up saturation ({_usual('clip', look)})",
    )


def _usual(plain: str, look: bool) -> str:
    """What is taken where nothing is said; argparse has no default of its own for it."""
    return f"default: the look's, or {plain}" if look else f"default: {plain}"


def finishing(args: argparse.Namespace) -> dict:
    """The options of `add_finishing`, as `style` takes them."""
    names = ("smooth", "rounds", "rematch", "gamut", "dither")
    return {name: getattr(args, name, None) for name in names}


def matching(args: argparse.Namespace) -> Style:
    """What the options of `add_matching`, but for strength and seed, amount to.

    Those that do not go together are a usage error.
    """
    parser: Parser = args.parser
    try:
        return style(
            args.look,
            args.method,
            relaxation(args),
            space=args.space,
            bases=args.bases,
            **mixing(args),
            **finishing(args),
        )
    except ValueError as error:
        parser.error(str(error))


def add_coupling(parser: argparse.ArgumentParser) -> None:
    """What the optimal-transport methods take, in colour distances of the chosen space."""
    group = parser.add_argument_group("optimal transport: the methods newton, sinkhorn, grid")
    group.add_argument(
        "--marginal",
        type=OneOf(MARGINALS, "marginal"),
        default="balanced",
        help="must every colour find a partner? balanced: yes. kl: less and less beyond --reach; "
        "tv: all within --reach, none beyond; mixed: kl, with tv's bound on what it may cost; "
        "range: each counts for LO..HI times itself. Colours without a partner stay as they are "
        "(default: balanced)",
    )
    group.add_argument(
        "--reach",
        type=number(1e-6, 1e6),
        metavar="R",
        help="for kl, tv and mixed: how far a partner may be, a colour distance in the space (from "
        "black to white: 1.7 in srgb, 1 in oklab, 100 in lab)",
    )
    group.add_argument(
        "--range",
        dest="limits",
        nargs=2,
        type=number(0, 1e6),
        metavar=("LO", "HI"),
        help="for range: least and greatest share, around 1 (0.5 2: half to twice as much)",
    )
    defaults = ", ".join(f"{blur} for {method}" for method, blur in DEFAULT_BLUR.items())
    group.add_argument(
        "--blur",
        type=number(1e-6, 1e6),
        metavar="B",
        help="for sliced, newton, sinkhorn and grid: colour distance to neglect; small is closer, "
        f"large is smoother (default: the look's, or {defaults}; in lab 100 times that)",
    )
    group.add_argument(
        "--counts",
        action="store_true",
        help="for grid: colours weigh their pixels, not their share, so that the larger picture "
        "has more to give; needs a --marginal where sizes differ",
    )


def relaxation(args: argparse.Namespace) -> Relaxation:
    """The options of `add_coupling`."""
    limits = None if args.limits is None else tuple(args.limits)
    return Relaxation(args.marginal, args.reach, limits, args.blur, args.counts)
