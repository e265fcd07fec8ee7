"""`jaxcolor demo`: see it work, with pictures that come with scikit-image."""

import argparse
from pathlib import Path

from jaxcolor.cli.common import add_overwrite, check_files, own_folder, progress, start_jax
from jaxcolor.recipes import METHODS
from jaxcolor.recipes.styles import LOOKS, style

PAIR = ("coffee", "rocket")


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="try it on two photographs that come along",
        description="Write two photographs, one in the colours of the other, its LUT, and a sheet "
        "of all methods. Needs scikit-image: pip install 'jaxcolor[demo]'.",
    )
    parser.add_argument(
        "-o", "--out", metavar="DIR", default="jaxcolor-demo", help="folder (default: %(default)s)"
    )
    add_overwrite(parser)
    parser.set_defaults(run=run, parser=parser)


def photographs() -> list:
    """The two pictures, (H, W, 3) uint8."""
    try:
        from skimage import data
    except ImportError as error:
        raise ValueError(
            "the demo's photographs come with scikit-image: pip install 'jaxcolor[demo]'"
        ) from error
    return [getattr(data, name)() for name in PAIR]


def run(args: argparse.Namespace) -> None:
    from jaxcolor.cli.transfer import save_lut
    from jaxcolor.image import files

    folder = Path(args.out)
    names = [f"{name}.png" for name in PAIR]
    outputs = [*names, f"{PAIR[0]}_as_{PAIR[1]}.png", f"{PAIR[0]}_as_{PAIR[1]}.cube", "compare.png"]
    paths = [folder / name for name in outputs]
    source, reference = photographs()
    check_files(args, [], paths)
    with own_folder(args.out), progress(len(LOOKS) + len(METHODS) + 2, "demo") as step:
        for path in paths:
            files.check_output(path, args.overwrite, files.FORMATS | {".cube": "cube"})
        step("starting")
        start_jax()
        from jaxcolor.image.pixels import view
        from jaxcolor.recipes.compare import as_sheet, compare
        from jaxcolor.recipes.look import Look
        from jaxcolor.recipes.transfer import change

        whole = change(view(source), Look([reference]), style())
        for path, pixels in zip(paths[:3], (source, reference, whole.at()), strict=True):
            files.write(path, files.Picture(pixels))
        step("LUT")
        baked = save_lut(whole, 1.0, str(paths[3]), 33)
        page = as_sheet(source, reference, compare(source, reference, step))
        files.write(paths[4], files.Picture(page))
    print(f"{paths[2]}: {paths[0]} in the colours of {paths[1]}")
    print("\n".join([*baked, f"{paths[4]}: every look and method side by side"]))
    print(f"try: jaxcolor transfer {paths[1]} {paths[0]} -o {folder / 'mine.png'}")
