"""`jaxcolor texture`: textures of pictures and clips, as Gaussian fields."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from jaxcolor.cli import grain
from jaxcolor.cli.common import (
    add_overwrite,
    add_seed,
    add_weights,
    check_files,
    check_weights,
    number,
    numbered,
    own_folder,
    progress,
    start_jax,
)
from jaxcolor.image import is_clip

SIDE, FRAMES, STEPS = 16_384, 10_000, 10_000
SYNTH_EPILOG = """examples:
  jaxcolor texture synth sand.jpg -o more_sand.png --size 2048x1024
  jaxcolor texture synth water.mp4 -o pond.mp4 --size 640x360 --frames 120

Textures tile: laid side by side they show no seam, and clips of them loop. What is made of edges,
as bricks are, comes back without them. Clips are held in memory whole, about 70 bytes a pixel of
all frames: 64 of 480x270 take .6 GB."""
MIX_EPILOG = """examples:
  jaxcolor texture mix sand.jpg moss.jpg -o between.png
  jaxcolor texture mix sand.jpg moss.jpg bark.jpg -o mostly_sand.png --weights 3 1 1
  jaxcolor texture mix sand.jpg moss.jpg -o steps --steps 9        # steps/sand_01.jpg, ...
  jaxcolor texture mix fire.mp4 water.mp4 -o both.mp4

All are cropped, about their middles, to the largest size, and number of frames, that each has."""


def add(commands, name: str) -> None:
    group = commands.add_parser(
        name,
        help="make and mix textures, match film grain",
        description="Make textures of any size, mix them, give a picture the grain of another.",
    )
    actions = group.add_subparsers(metavar="ACTION", dest="action", required=True)
    _add_synth(actions)
    _add_mix(actions)
    grain.add(actions, "grain")


def _add_synth(actions) -> None:
    parser = actions.add_parser(
        "synth",
        help="make more of a texture",
        description="Write a texture like that of EXEMPLAR, of any size.",
        epilog=SYNTH_EPILOG,
    )
    parser.add_argument("exemplar", metavar="EXEMPLAR", help="a picture, or a clip, of a texture")
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="where to write")
    _add_size(parser, "the exemplar's")
    add_seed(parser, "draw")
    add_overwrite(parser)
    parser.set_defaults(run=run_synth, parser=parser)


def _add_mix(actions) -> None:
    parser = actions.add_parser(
        "mix",
        help="mix textures",
        description="Write a texture between those of two exemplars or more (Wasserstein "
        "barycenter of their Gaussian models), or N of them on the way from one to another.",
        epilog=MIX_EPILOG,
    )
    parser.add_argument("exemplars", metavar="EXEMPLAR", nargs="+", help="pictures, or clips")
    parser.add_argument(
        "-o", "--out", metavar="OUT", required=True, help="where to write; with --steps a folder"
    )
    how = parser.add_mutually_exclusive_group()
    add_weights(how, "exemplar")
    how.add_argument(
        "--steps",
        type=number(2, STEPS, int),
        metavar="N",
        help="write N textures, from the first exemplar to the second",
    )
    _add_size(parser, "the largest that fits into each exemplar")
    add_seed(parser, "draw")
    add_overwrite(parser)
    parser.set_defaults(run=run_mix, parser=parser)


def _add_size(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--size", type=_size, metavar="WxH", help=f"pixels, 640x480 say (default: {default})"
    )
    parser.add_argument(
        "--frames",
        type=number(1, FRAMES, int),
        metavar="N",
        help="of a clip, how many frames (default: as many as there are)",
    )


def _size(text: str) -> tuple[int, int]:
    """An argparse type: (height, width)."""
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    size = tuple(int(part) for part in found.groups()) if found else ()
    if not size or not all(1 <= side <= SIDE for side in size):
        raise argparse.ArgumentTypeError(f"expected WxH, each within 1..{SIDE}, got {text!r}")
    return size[1], size[0]


def _check_kind(args: argparse.Namespace, exemplars: list[str]) -> bool:
    """Whether they are clips; what makes no sense ends with exit 2."""
    kinds = {is_clip(path) for path in exemplars}
    if len(kinds) > 1:
        args.parser.error("pictures and clips do not mix: give the one or the other")
    (clips,) = kinds
    if args.frames is not None and not clips:
        args.parser.error(f"--frames is for clips; {exemplars[0]} is a picture")
    return clips


def check_mix(args: argparse.Namespace) -> list[Path]:
    """Where each result goes; what makes no sense ends with exit 2."""
    count = len(args.exemplars)
    if count < 2:
        args.parser.error("two exemplars or more are needed")
    check_weights(args, count, "exemplars")
    if args.steps is not None and count > 2:
        args.parser.error("--steps leads from one exemplar to another: give two")
    clips = _check_kind(args, args.exemplars)
    if args.steps is None:
        check_files(args, args.exemplars, [args.out])
        return [Path(args.out)]
    first = Path(args.exemplars[0])
    suffix = ".mp4" if clips else first.suffix
    paths = numbered(args.out, first, suffix, args.steps)
    check_files(args, args.exemplars, paths)
    return paths


def run_synth(args: argparse.Namespace) -> None:
    clip = _check_kind(args, [args.exemplar])
    check_files(args, [args.exemplar], [args.out])
    _check_output(Path(args.out), args.overwrite, clip)
    with progress(3, "texture synth") as step:
        step("reading")
        (exemplar,), like = _read([args.exemplar])
        start_jax()
        import jax

        from jaxcolor.recipes.texture import synth

        step("making")
        result = synth(exemplar, jax.random.key(args.seed), _grid(args, [exemplar]))
        step("writing")
        _write(Path(args.out), result, like)
    print(f"{args.out}: {_described(result)}")


def run_mix(args: argparse.Namespace) -> None:
    paths = check_mix(args)
    if args.steps is None:
        _mix(args, paths)
    else:
        with own_folder(args.out):
            _mix(args, paths)


def _mix(args: argparse.Namespace, paths: list[Path]) -> None:
    for path in paths:
        _check_output(path, args.overwrite, is_clip(args.exemplars[0]))
    with progress(len(paths) + 1, "texture mix") as step:
        step("reading")
        exemplars, like = _read(args.exemplars)
        start_jax()
        results = _mixed(args, exemplars)
        size = ""
        for path in paths:
            step(path.name)
            result = next(results)
            _write(path, result, like)
            size = _described(result)
    names = f"{paths[0]} .. {paths[-1].name}" if args.steps else paths[0]
    print(f"{names}: {size}")


def _mixed(args: argparse.Namespace, exemplars: list) -> Iterator:
    import jax

    from jaxcolor.recipes.texture import mix, mixes

    key, size = jax.random.key(args.seed), _grid(args, exemplars)
    if args.steps is not None:
        first, second = exemplars
        return mixes(first, second, args.steps, key, size=size)
    return iter([mix(exemplars, key, weights=args.weights, size=size)])


def _check_output(path: Path, overwrite: bool, clip: bool) -> None:
    from jaxcolor.image import files

    if clip:
        from jaxcolor.image import video

        files.check_output(path, overwrite, video.FORMATS)
    else:
        files.check_output(path, overwrite)


def _read(paths: list[str]) -> tuple[list, object]:
    """Exemplars as arrays, and what the first one's file has beside: rate or profile."""
    from jaxcolor.image import files

    if is_clip(paths[0]):
        from jaxcolor.image import video

        clips = [video.read_clip(path) for path in paths]
        return [frames for frames, _ in clips], clips[0][1]
    pictures = [files.read(path) for path in paths]
    profile = pictures[0].profile
    return [files.convert(picture, profile).pixels for picture in pictures], profile


def _grid(args: argparse.Namespace, exemplars: list) -> tuple[int, ...] | None:
    """The result's size, what was not asked for being the largest that all have."""
    clip = exemplars[0].ndim == 4
    smallest = [
        min(sizes) for sizes in zip(*(one.shape[: 2 + clip] for one in exemplars), strict=True)
    ]
    size = args.size or tuple(smallest[-2:])
    return (args.frames or smallest[0], *size) if clip else size


def _write(path: Path, result, like) -> None:
    """A picture with a profile, or a clip with a rate."""
    if result.ndim == 4:
        from jaxcolor.image import video

        video.write_clip(path, result, like)
    else:
        from jaxcolor.image import files

        files.write(path, files.Picture(result, like))


def _described(result) -> str:
    if result.ndim == 4:
        return f"{result.shape[2]}x{result.shape[1]}, {len(result)} frames"
    return f"{result.shape[1]}x{result.shape[0]}"
