"""`jaxcolor video`: clips in the colours of pictures, palettes or other clips."""

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from jaxcolor.cli.common import (
    OneOf,
    add_overwrite,
    check_files,
    check_weights,
    number,
    progress,
    start_jax,
)
from jaxcolor.cli.matching import add_matching, add_references, matching
from jaxcolor.image import CODECS
from jaxcolor.recipes import CUT

SECONDS = 0.4  # standard deviation of the weights in time
EPILOG = """examples:
  jaxcolor video holiday.mp4 sunset.jpg -o warm.mp4
  jaxcolor video b_cam.mov a_cam.mov -o matched.mp4              # one camera like another
  jaxcolor video clip.mp4 still.png -o graded.mov --codec prores
  jaxcolor video timelapse.mp4 noon.jpg -o steady.mp4 --per-frame

Each shot gets one map of colours, fitted to frames from all over it: nothing flickers. Sound,
subtitles, times, turn and tags are kept. Smoothing, as pictures have it, is not for clips."""


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="give a clip the colours of REFERENCE",
        description="Give CLIP the colours of REFERENCE and write the result to OUT.",
        epilog=EPILOG,
    )
    parser.add_argument("clip", metavar="CLIP", help="the clip to recolour")
    add_references(parser, count="+")
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help=".mp4, .mov or .mkv")
    add_in_time(parser)
    add_coding(parser)
    add_matching(parser, finish=False)
    add_overwrite(parser)
    parser.set_defaults(run=run, parser=parser)


def add_in_time(parser: argparse.ArgumentParser) -> None:
    """Which frames share a map."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--one-map", action="store_true", help="one map for the whole clip")
    which.add_argument(
        "--per-frame",
        action="store_true",
        help="a map for each frame, smoothed in time: for light that changes within a shot",
    )
    parser.add_argument(
        "--seconds",
        type=number(0, 60),
        metavar="S",
        help=f"for --per-frame: how widely maps are smoothed (default: {SECONDS})",
    )
    parser.add_argument(
        "--cut",
        type=number(0.1, 100),
        default=CUT,
        metavar="0..100",
        help="how much has to change where the next shot begins; lower finds more shots "
        f"(default: {CUT:g})",
    )


def add_coding(parser: argparse.ArgumentParser) -> None:
    """How clips are written."""
    parser.add_argument(
        "--codec",
        type=OneOf(CODECS, "codec"),
        default="h264",
        help=f"{', '.join(CODECS)} (default: h264). A clip of 10 bits stays one",
    )
    parser.add_argument(
        "--preset", metavar="NAME", help="how long the encoder may take (default: veryfast)"
    )
    parser.add_argument(
        "--quality",
        type=number(0, 63),
        metavar="CRF",
        help="the encoder's constant rate factor; lower is better and larger (default: 18 for "
        "h264)",
    )


def check_usage(args: argparse.Namespace) -> None:
    """Combinations that mean nothing: exit 2."""
    check_weights(args, len(args.references), "references")
    if args.seconds is not None and not args.per_frame:
        args.parser.error("--seconds goes with --per-frame")
    if matching(args).draw == "rand":
        args.parser.error("--draw rand is for pictures: it would flicker")
    check_coding(args)


def check_coding(args: argparse.Namespace, out: str | None = None) -> None:
    """Whether codec, settings and file type go together."""
    codec, suffix = CODECS[args.codec], Path(out or args.out).suffix.lower()
    if suffix in {s for one in CODECS.values() for s in one.suffixes} - {*codec.suffixes}:
        args.parser.error(f"{args.codec} goes into {' or '.join(codec.suffixes)}, not {suffix}")
    for name in ("preset", "quality"):
        if getattr(args, name) is not None and getattr(codec, name) is None:
            args.parser.error(f"{args.codec} has no --{name}")


def run(args: argparse.Namespace) -> None:
    check_usage(args)
    from jaxcolor.image import files, video

    video.pyav()
    files.check_output(args.out, args.overwrite, video.FORMATS)
    check_files(args, [args.clip, *args.references], [args.out])
    frames = video.count(args.clip)
    start_jax()
    from jaxcolor.recipes.clip import Flicker

    grade, flicker = _grade(args), Flicker()
    found, recolor = _recolor(args, grade, frames, flicker)
    begin = time.perf_counter()
    copied, written, size = _write(args, recolor, frames)
    speed = written / (time.perf_counter() - begin)
    told = f"{args.out}: {size[0]}x{size[1]}, {written} frames, {speed:.1f} a second"
    told += f", {found} shot{'s' * (found > 1)}" if found else ""
    print(told + "".join(f", {kind} copied" for kind in sorted(set(copied))))
    if args.per_frame:
        print(
            f"flicker of the maps: {flicker.mean:.3f} of 255 levels, {flicker.alone:.3f} unsmoothed"
        )


def warn_of_hdr(path: str) -> None:
    """Where codes mean more light than a picture's do."""
    from jaxcolor.image.transcode import is_hdr

    if is_hdr(path):
        warnings.warn(
            f"{path}: is of high dynamic range; its codes are matched as they are, so what it is "
            "matched with should be of the same kind",
            stacklevel=2,
        )


def _grade(args: argparse.Namespace):
    import jax

    from jaxcolor.recipes.clip import Grade
    from jaxcolor.recipes.look import Look
    from jaxcolor.recipes.references import convert, read, seen

    warn_of_hdr(args.clip)
    references = [seen(convert(read(path), None)) for path in args.references]
    look = Look(references, args.weights)
    return Grade(look, matching(args), args.strength, jax.random.key(args.seed))


def _recolor(args: argparse.Namespace, grade, frames: int | None, flicker):
    """How many shots were found, if they were looked for, and what changes frames."""
    from jaxcolor.image.video import frame_rate
    from jaxcolor.recipes.clip import ByFrame, by_shot
    from jaxcolor.recipes.shots import shots

    if args.per_frame:
        seconds = SECONDS if args.seconds is None else args.seconds
        rate = float(frame_rate(args.clip))
        return 0, ByFrame(grade, seconds, rate, args.cut, flicker)
    found, maps = [], []
    with progress(frames, "video", " frame") as step:
        cut = None if args.one_map else args.cut
        for shot in shots(args.clip, cut, lambda: step(f"reading shot {len(found) + 1}")):
            maps.append(grade.finished(grade.fit(shot.picture)))
            shot.kept.clear()
            found.append(shot)
    return len(found), by_shot(found, maps)


def _write(args: argparse.Namespace, recolor, frames: int | None):
    """Copied streams, the number of frames written, and their size."""
    from jaxcolor.image.transcode import Coding, transcode

    size, written = (0, 0), 0

    def counted(source: Iterator, layout: str) -> Iterator:
        nonlocal size, written
        for frame in recolor(source, layout):
            step("writing")
            written += 1
            size = frame.width, frame.height
            yield frame

    with progress(frames, "video", " frame") as step:
        coding = Coding(args.codec, args.preset, args.quality)
        copied = transcode(args.clip, args.out, counted, coding)
    return copied, written, size
