"""`jaxcolor palette`: the main colours of a picture, for people and as a reference."""

import argparse

from jaxcolor.cli.common import (
    add_overwrite,
    add_seed,
    check_files,
    number,
    progress,
    read_mask,
    start_jax,
)
from jaxcolor.recipes import PALETTE

EPILOG = """examples:
  jaxcolor palette sunset.jpg -o sunset.json
  jaxcolor palette sunset.jpg -o five.json --k 5 --swatch five.png
  jaxcolor transfer holiday.jpg sunset.json -o warm.jpg

A palette is a reference like a picture, for transfer, batch, morph and compare. By hand, a list of
colours is enough: ["#264653", "#e9c46a", "#e76f51"], or with weights
{"colors": ["#264653", "#e9c46a"], "weights": [3, 1]}. Colours are sRGB; "lab" is CIELAB, white
D65; "spread" is how far from each, in the mean square, those are that it stands for."""


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="find the main colours of a picture; use them as a reference",
        description="Write the main colours of IMAGE to PALETTE.json, each with its share, "
        "heaviest first.",
        epilog=EPILOG,
    )
    parser.add_argument("image", metavar="IMAGE", help="the picture")
    parser.add_argument("-o", "--out", metavar="PALETTE.json", required=True, help="where to write")
    parser.add_argument(
        "--k",
        type=number(1, 4096, int),
        default=PALETTE,
        help=f"how many colours, 1..4096; more are closer (default: {PALETTE})",
    )
    parser.add_argument(
        "--swatch",
        metavar="OUT",
        help="also write a picture of them: columns of hues, light to dark, areas by share",
    )
    parser.add_argument(
        "--mask", metavar="FILE", help="grey picture of IMAGE's size: only white counts"
    )
    add_seed(parser, "draw of the colours to begin with")
    add_overwrite(parser)
    parser.set_defaults(run=run, parser=parser)


def check_usage(args: argparse.Namespace) -> None:
    """What makes no sense ends with exit 2."""
    check_files(args, [args.image, args.mask], [args.out, args.swatch])


def run(args: argparse.Namespace) -> None:
    check_usage(args)
    from jaxcolor.image import files

    files.check_output(args.out, args.overwrite, {".json": "JSON"})
    if args.swatch is not None:
        files.check_output(args.swatch, args.overwrite)
    with progress(3, "palette") as step:
        step("reading")
        picture = files.convert(files.read(args.image), None)
        start_jax()
        import jax

        from jaxcolor.recipes import palette
        from jaxcolor.recipes.swatch import card

        mask = read_mask(args.mask, picture, "the picture")
        step("finding colours")
        key = jax.random.key(args.seed)
        found = palette.extract(picture.encoded, args.k, mask=mask, key=key)
        step("writing")
        if args.swatch is not None:
            files.write(args.swatch, files.Picture(card(found)))
        palette.write(args.out, found)
    print(_told(args, found))


def _told(args: argparse.Namespace, found) -> str:
    main = zip(found.codes[:3], found.weights[:3], strict=True)
    shares = ", ".join(f"{code} {share:.1%}" for code, share in main)
    many = "1 colour" if len(found) == 1 else f"{len(found)} colours"
    off = (found.weights @ found.spread**2 / found.weights.sum()) ** 0.5
    text = f"{args.out}: {many}, {off:.1f} from the picture's in CIELAB; mostly {shares}"
    return text if args.swatch is None else f"{text}\n{args.swatch}"
