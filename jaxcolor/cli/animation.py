"""`jaxcolor transfer` of an animation: one map for all its frames."""

import argparse

from jaxcolor.cli.common import Parser, progress, read_mask, start_jax
from jaxcolor.cli.tables import check_outputs, save_json, save_lut
from jaxcolor.cli.transfer import fitted, read_references

POOLED = 8  # frames that stand for all of them in a fit, and in a choice of 255 colours


def check_usage(args: argparse.Namespace) -> None:
    """What an animation cannot have ends with exit 2."""
    parser: Parser = args.parser
    if args.both:
        parser.error(f"{args.source} is an animation: --both takes still pictures")
    if (args.rounds or 1) > 1 or args.rematch:
        parser.error(
            f"{args.source} is an animation, all of whose frames get one map: no --rounds, "
            "no --rematch"
        )


def run_animation(args: argparse.Namespace) -> None:
    check_usage(args)
    from jaxcolor.image import animation, files

    files.check_output(args.out, args.overwrite, animation.FORMATS)
    check_outputs(args)
    how = animation.timing(args.source)
    with progress(len(how) + 3, "transfer") as step:
        step("reading")
        pooled = animation.pooled(args.source, how, POOLED)
        start_jax()
        references = read_references(args)
        change, recolor = _fitted(args, how, pooled, references)
        step("choosing colours")
        sample = pooled[:0]
        if args.out.lower().endswith(".gif"):
            parts = pooled.reshape(-1, *how.size[::-1], 4)
            sample = _stacked([recolor(part) for part in parts])
        shown = (recolor(one) for one in _told(animation.frames(args.source), step))
        animation.write(args.out, shown, how, sample)
        lines = [f"{args.out}: {how.size[0]}x{how.size[1]}, {len(how)} frames"]
        if args.lut:
            lines += save_lut(change, args.strength, args.lut, args.lut_size, args.lut_1d)
        if args.json:
            lines += save_json(change, args.strength, args.json)
    print("\n".join(lines))


def _fitted(args: argparse.Namespace, how, pooled, references: list):
    """The change of the pooled frames, and what makes of one frame the same."""
    from dataclasses import replace

    import numpy as np

    from jaxcolor.image.files import Picture
    from jaxcolor.image.pixels import view
    from jaxcolor.recipes.finish import Change
    from jaxcolor.recipes.references import convert

    height = how.size[1]
    mask = read_mask(args.mask, Picture(pooled[:height]), "the frames recoloured")
    matched = references[0] if references else None
    other = read_mask(args.reference_mask, matched, "the picture matched")
    tall = None if mask is None else np.tile(mask, (len(pooled) // height, 1))
    converted = [convert(one, how.profile) for one in references]
    change = fitted(args, view(pooled, tall, args.source), converted, other)
    # another match would give each frame a map of its own; and a GIF rounds once more
    dither = args.dither if args.out.lower().endswith(".gif") else change.how.dither
    finish = replace(change.how, rounds=1, rematch=False, dither=bool(dither))

    def recolor(frame):
        one = Change(change.color_map, view(frame, mask), finish, spread=change.spread)
        return one.at(args.strength)

    return change, recolor


def _stacked(frames: list):
    import numpy as np

    return np.concatenate(frames)


def _told(frames, step):
    """The frames, each with its step."""
    for number, frame in enumerate(frames, 1):
        step(f"frame {number}")
        yield frame
