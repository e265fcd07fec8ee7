"""`jaxcolor lut`: look-up tables on pictures."""

import argparse

from jaxcolor.cli.common import add_overwrite, one_of, progress, start_jax
from jaxcolor.cli.matching import add_finishing, finishing
from jaxcolor.image import INTERPOLATIONS
from jaxcolor.recipes.looks import style


def add(commands, name: str) -> None:
    group = commands.add_parser(
        name, help="use 3-D look-up tables", description="Use 3-D look-up tables (.cube)."
    )
    actions = group.add_subparsers(metavar="ACTION", dest="action", required=True)
    parser = actions.add_parser(
        "apply",
        help="recolour a picture by a .cube file",
        description="Recolour IMAGE by a 3-D look-up table and write the result to OUT.",
    )
    parser.add_argument("image", metavar="IMAGE", help="the picture to recolour")
    parser.add_argument("lut", metavar="LUT.cube", help="a .cube file with LUT_3D_SIZE")
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="where to write")
    parser.add_argument(
        "--interpolation",
        type=one_of(INTERPOLATIONS, "interpolation"),
        default="tetrahedral",
        help="tetrahedral (default) or trilinear",
    )
    add_finishing(parser, again=False)
    add_overwrite(parser)
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from jaxcolor.image import files

    files.check_output(args.out, args.overwrite)
    with progress(3, "lut apply") as step:
        step("reading")
        picture = files.read(args.image)
        files.check_alpha(args.out, picture)
        start_jax()
        from jaxcolor.image import lut
        from jaxcolor.image.pixels import view
        from jaxcolor.recipes.finish import Change

        table = replace(lut.load(args.lut), interpolation=args.interpolation)
        step("applying")
        how = style(method="histogram", **finishing(args)).finish
        result = Change(table, view(picture.pixels), how).at()
        step("writing")
        files.write(args.out, files.Picture(result, picture.profile))
    print(f"{args.out}: {result.shape[1]}x{result.shape[0]}")
