"""`jaxcolor morph`: one look, or one shape, turning into another."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from jaxcolor.cli.common import (
    add_overwrite,
    check_files,
    number,
    numbered,
    own_folder,
    progress,
    start_jax,
)
from jaxcolor.cli.matching import add_matching, matching

EPILOG = """examples:
  jaxcolor morph noon.jpg dusk.jpg -o evening --steps 24
  jaxcolor morph noon.jpg dusk.jpg -o evening --steps 24 --method sliced
  jaxcolor morph duck.png heart.png -o frames --steps 30 --shapes

A is the SOURCE, and B the REFERENCE, of the options. Frames are numbered from 1 and named after A:
evening/noon_01.jpg, ... The first is A itself. With --shapes they are grey PNG pictures."""


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="turn one look, or one shape, into another",
        description="Write A on its way to the look of B, in N steps (displacement interpolation).",
        epilog=EPILOG,
    )
    parser.add_argument("first", metavar="A", help="the picture to begin with")
    parser.add_argument(
        "second",
        metavar="B",
        help="the picture whose look, or shape, to end with; or a palette (.json)",
    )
    parser.add_argument("-o", "--out", metavar="DIR", required=True, help="folder to write to")
    parser.add_argument(
        "--steps",
        type=number(2, 10_000, int),
        default=10,
        metavar="N",
        help="frames, A and the end counted (default: 10)",
    )
    parser.add_argument(
        "--shapes",
        action="store_true",
        help="move the ink of A to that of B: both are taken as dark shapes on a light ground, or "
        "light ones on a dark",
    )
    parser.add_argument(
        "--size",
        type=number(8, 256, int),
        default=128,
        metavar="N",
        help="with --shapes: pixels along the longer side of the frames (default: 128)",
    )
    add_matching(parser)
    add_overwrite(parser)
    parser.set_defaults(run=run, parser=parser)


def check_usage(args: argparse.Namespace) -> list[Path]:
    """Where each frame goes; what makes no sense ends with exit 2."""
    plain = args.parser.parse_args([args.first, args.second, "-o", args.out])
    own = ("overwrite", "shapes", "size", "steps")
    colour = [name for name, value in vars(args).items() if value != getattr(plain, name, value)]
    if args.shapes and set(colour) - set(own):
        args.parser.error("--shapes moves ink, not colours: leave --method and its options out")
    if not args.shapes and args.size != plain.size:
        args.parser.error("--size goes with --shapes: otherwise frames have the size of A")
    matching(args)
    first = Path(args.first)
    suffix = ".png" if args.shapes else first.suffix
    paths = numbered(args.out, first, suffix, args.steps)
    check_files(args, [args.first, args.second], paths)
    return paths


def run(args: argparse.Namespace) -> None:
    paths = check_usage(args)
    from jaxcolor.image import files

    with own_folder(args.out), progress(args.steps + 2, "morph") as step:
        for path in paths:
            files.check_output(path, args.overwrite)
        step("reading")
        first = files.read(args.first)
        files.check_alpha(paths[0], first)
        start_jax()
        second = _second(args)
        step("fitting")
        for path, pixels in zip(paths, _frames(args, first, second), strict=True):
            step(path.name)
            files.write(path, files.Picture(pixels) if args.shapes else first.recolored(pixels))
    print(f"{paths[0]} .. {paths[-1].name}: {args.steps} frames")


def _second(args: argparse.Namespace):
    from jaxcolor.image import files
    from jaxcolor.recipes import references

    return files.read(args.second) if args.shapes else references.read(args.second)


def _frames(args: argparse.Namespace, first, second) -> Iterator:
    import jax

    from jaxcolor.recipes import morph, references
    from jaxcolor.recipes.look import Look
    from jaxcolor.recipes.transfer import change

    if args.shapes:
        return morph.shapes(first.encoded, second.encoded, args.steps, size=args.size)
    goal = Look([references.seen(references.convert(second, first.profile))])
    whole = change(first.view(), goal, matching(args), key=jax.random.key(args.seed))
    return morph.looks(whole, args.steps, strength=args.strength)
