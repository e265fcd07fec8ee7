"""`jaxcolor transfer`: the main job."""

import argparse
import os
import warnings
from pathlib import Path

from jaxcolor.cli.bands import add_bands, check_bands, run_bands
from jaxcolor.cli.batch_list import plain
from jaxcolor.cli.common import (
    add_overwrite,
    check_files,
    check_weights,
    progress,
    read_mask,
    start_jax,
)
from jaxcolor.cli.matching import add_matching, add_references, finishing, matching
from jaxcolor.cli.tables import (
    add_tables,
    check_outputs,
    check_range,
    check_tables,
    save_json,
    save_lut,
)
from jaxcolor.recipes import LIGHTNESS
from jaxcolor.recipes.styles import style

EPILOG = """examples:
  jaxcolor transfer holiday.jpg sunset.jpg -o warm.jpg
  jaxcolor transfer holiday.jpg sunset.jpg -o warm.jpg --look gentle --strength 0.7
  jaxcolor transfer clip_frame.png still.png -o graded.png --lut grade.cube
  jaxcolor transfer dull.jpg -o flat.jpg --equalize
  jaxcolor transfer frame.jpg mood1.jpg mood2.jpg -o mixed.jpg --weights 2 1
  jaxcolor transfer holiday.jpg sunset.json -o warm.jpg         # see jaxcolor palette --help

Pictures are PNG, JPEG, TIFF or WebP, 8 or 16 bit or floats; sizes may differ. The result has the
source's size, depth, transparency, colour profile and EXIF data. OpenEXR and HDR hold linear light:
it is matched on the curve of sRGB, continued below 0 and above 1, and nothing of it is clipped. An
animated GIF, PNG or WebP gets one map for all its frames, and is smoothed frame by frame, in one
round; OUT is .gif, .png or .webp then."""


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="give SOURCE the colours of REFERENCE",
        description="Give SOURCE the colours of REFERENCE and write the result to OUT.",
        epilog=EPILOG,
    )
    parser.add_argument("source", metavar="SOURCE", help="the picture to recolour")
    add_references(parser, count="*")
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="where to write")
    add_matching(parser)
    parser.add_argument(
        "--mask",
        metavar="FILE",
        help="grey picture of SOURCE's size: white is matched and changed, black is left as it was",
    )
    parser.add_argument(
        "--reference-mask",
        metavar="FILE",
        help="likewise for REFERENCE: only white counts as its look",
    )
    parser.add_argument(
        "--both", metavar="OUT2", help="exchange: also write REFERENCE in the colours of SOURCE"
    )
    parser.add_argument(
        "--equalize",
        action="store_true",
        help="no REFERENCE: spread the lightness of SOURCE evenly, keep its hues "
        "(--space lab or oklab)",
    )
    add_overwrite(parser)
    add_tables(parser)
    add_bands(parser)
    parser.set_defaults(run=run, parser=parser)


def check_usage(args: argparse.Namespace) -> None:
    """Combinations that mean nothing: exit 2."""
    outputs = [p for p in (args.out, args.both, args.lut, args.json) if p]
    if args.equalize:
        _check_equalize(args)
    elif not args.references:
        args.parser.error("REFERENCE is missing (only --equalize goes without)")
    elif len(args.references) > 1 and (args.both or args.reference_mask):
        args.parser.error("--both and --reference-mask go with one REFERENCE only")
    else:
        check_weights(args, len(args.references), "references")
    asked = style(method="histogram") if args.equalize else matching(args)
    if asked.draw == "rand" and (args.lut or args.json):
        option = "--lut" if args.lut else "--json"
        args.parser.error(f"{option} takes no --draw rand: there equal colours have one image")
    check_tables(args, "equalize" if args.equalize else asked.method)
    check_bands(args)
    if len({plain(Path(os.path.realpath(one))) for one in outputs}) < len(outputs):
        args.parser.error("two outputs have the same name")
    check_files(args, [args.source, *args.references, args.mask, args.reference_mask], outputs)


def _check_equalize(args: argparse.Namespace) -> None:
    if args.references:
        args.parser.error("--equalize takes no REFERENCE")
    if args.both or args.reference_mask:
        args.parser.error("--equalize goes without --both and --reference-mask")
    if args.method not in ("histogram", None) or args.look:
        args.parser.error("--equalize is a histogram method: leave --method and --look out")
    if args.rematch or (args.rounds or 1) > 1:
        args.parser.error("--equalize has nothing to match again: no --rounds or --rematch")
    if (
        args.marginal != "balanced"
        or args.counts
        or any(
            given is not None
            for given in (args.reach, args.limits, args.blur, args.components, args.draw)
        )
    ):
        args.parser.error(
            "--equalize takes no --marginal, --reach, --range, --blur, --counts, --components "
            "or --draw"
        )
    if args.space is not None and args.space not in LIGHTNESS:
        args.parser.error(f"--equalize needs a space with lightness: {', '.join(LIGHTNESS)}")


def run(args: argparse.Namespace) -> None:
    check_usage(args)
    if args.bands:
        return run_bands(args)
    from jaxcolor.image import animation, files

    if animation.is_animated(args.source):
        from jaxcolor.cli.animation import run_animation

        return run_animation(args)
    files.check_output(args.out, args.overwrite)
    if args.both:
        files.check_output(args.both, args.overwrite)
    check_outputs(args)
    with progress(4 + 2 * bool(args.both) + bool(args.lut), "transfer") as step:
        step("reading")
        source = files.read(args.source)
        files.check_alpha(args.out, source)
        if source.beside and source.beside.kind == "TIFF":
            warnings.warn(
                f"{args.source}: channels {', '.join(source.beside.names)} are left as they are; "
                "--bands matches them too",
                stacklevel=2,
            )
        start_jax()
        references = read_references(args)
        if args.both:
            files.check_alpha(args.both, references[0])
        # all is read and checked before anything is written
        first = [source], read_mask(args.mask, source, "the picture recoloured")
        matched = references[0] if references else None
        second = references, read_mask(args.reference_mask, matched, "the picture matched")
        written = _one_way(args, first, second, args.out, step)
        if args.both:
            swapped = argparse.Namespace(
                **vars(args) | {"lut": None, "json": None, "weights": None}
            )
            written += _one_way(swapped, second, first, args.both, step)
    print("\n".join(written))


def read_references(args: argparse.Namespace) -> list:
    """Pictures and palettes, these where nothing asks for a picture."""
    from jaxcolor.recipes.palette import Palette
    from jaxcolor.recipes.references import read

    found = [read(path) for path in args.references]
    option = "--both" if args.both else "--reference-mask"
    if (args.both or args.reference_mask) and isinstance(found[0], Palette):
        raise ValueError(f"{args.references[0]}: is a palette; {option} needs a picture")
    return found


def _one_way(args, first, second, out: str, step) -> list[str]:
    """Fit, apply, write; returns what to tell. Both are pictures, or palettes to be matched, with
    the mask of the one."""
    from jaxcolor.image import files
    from jaxcolor.recipes.references import convert, shown
    from jaxcolor.recipes.score import further

    step("fitting")
    ([source], mask), (references, reference_mask) = first, second
    own = source.view(mask, "source")
    if args.lut:
        check_range(args.lut, own)
    references = [convert(one, source.profile) for one in references]
    change = fitted(args, own, references, reference_mask)
    step("applying")
    result = change.at(args.strength)
    comparable = len(references) == 1 and mask is None and reference_mask is None
    if comparable and further(source.encoded, shown(references[0]).pixels, result):
        warnings.warn(
            f"{out} is further from the colours of its reference than before: "
            "another --look or --method may suit these pictures better",
            stacklevel=2,
        )
    step("writing")
    files.write(out, source.recolored(result))
    lines = [f"{out}: {result.shape[1]}x{result.shape[0]}"]
    if args.lut:
        step("baking the LUT")
        lines += save_lut(change, args.strength, args.lut, args.lut_size, args.lut_1d)
    if args.json:
        lines += save_json(change, args.strength, args.json)
    if source.linear and (args.lut or args.json):
        lines.append(f"{args.lut or args.json}: for encoded values; {args.source} is linear light")
    return lines


def fitted(args: argparse.Namespace, own, references: list, reference_mask):
    """The `Change` that the options ask for, of a view; references are in its encoding."""
    import jax

    from jaxcolor.recipes import transfer as recipe
    from jaxcolor.recipes.finish import Change
    from jaxcolor.recipes.look import Look
    from jaxcolor.recipes.references import seen

    if args.equalize:
        even = recipe.equalizer(own, space=args.space or "lab")
        return Change(even, own, style(method="histogram", **finishing(args)).finish)
    look = Look([seen(one, reference_mask) for one in references], args.weights)
    return recipe.change(own, look, matching(args), key=jax.random.key(args.seed))
