"""`jaxcolor lut`: look-up tables on pictures, from one kind of file to another, and blank ones."""

import argparse
import warnings
from pathlib import Path

from jaxcolor.cli.common import OneOf, add_overwrite, check_files, number, progress, start_jax
from jaxcolor.cli.matching import add_finishing, finishing
from jaxcolor.cli.tables import SQUARES, SUFFIXES, is_hald, size_for, write
from jaxcolor.image import INTERPOLATIONS
from jaxcolor.recipes.styles import style

PROBES = 1 << 17  # colours by which tables are compared
KINDS = "a .cube file (3-D, 1-D or both) or a HaldCLUT picture (.png or .tif)"


EPILOG = """examples:
  jaxcolor lut apply other.jpg grade.cube -o other_graded.jpg
  jaxcolor lut convert grade.cube grade.png            # .cube to HaldCLUT, and back
  jaxcolor lut identity blank.png                      # to capture another program's look

`jaxcolor transfer ... --lut grade.cube` makes one of a picture."""


def add(commands, name: str) -> None:
    group = commands.add_parser(
        name,
        help="use look-up tables",
        description=f"Use look-up tables. A LUT is {KINDS}.",
        epilog=EPILOG,
    )
    actions = group.add_subparsers(metavar="ACTION", dest="action", required=True)
    _add_apply(actions)
    convert = actions.add_parser(
        "convert",
        help="from .cube to HaldCLUT, and back, or to another size",
        description=f"Write the look-up table IN as OUT. Each is {KINDS}; OUT is 3-D.",
    )
    convert.add_argument("lut", metavar="IN", help="the table to convert")
    convert.add_argument("out", metavar="OUT", help="where to write: .cube, .png or .tif")
    _add_size(convert, "that of IN; for a HaldCLUT 64, or the next square")
    convert.set_defaults(run=run_convert, parser=convert)
    identity = actions.add_parser(
        "identity",
        help="write a table that changes nothing, to capture a look",
        description="Write a table that changes nothing. Take it through another program in place "
        "of a picture (a HaldCLUT, at full quality and size), and it has that program's look.",
    )
    identity.add_argument("out", metavar="OUT", help="where to write: .cube, .png or .tif")
    _add_size(identity, "33, of a HaldCLUT 64")
    identity.set_defaults(run=run_identity, parser=identity)


def _add_apply(actions) -> None:
    parser = actions.add_parser(
        "apply",
        help="recolour a picture by a look-up table",
        description="Recolour IMAGE by a look-up table and write the result to OUT.",
    )
    parser.add_argument("image", metavar="IMAGE", help="the picture to recolour")
    parser.add_argument("lut", metavar="LUT", help=KINDS)
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="where to write")
    parser.add_argument(
        "--interpolation",
        type=OneOf(INTERPOLATIONS, "interpolation"),
        default="tetrahedral",
        help=f"between grid points: {' or '.join(INTERPOLATIONS)} (default: tetrahedral)",
    )
    add_finishing(parser, again=False)
    add_overwrite(parser)
    parser.set_defaults(run=run, parser=parser)


def _add_size(parser: argparse.ArgumentParser, usual: str) -> None:
    parser.add_argument(
        "--size",
        type=number(2, 129, int),
        metavar="N",
        help=f"grid points on each side (default: {usual})",
    )
    add_overwrite(parser)


def _load(path: str):
    """A .cube file, or, of a picture's suffix, a Hald picture."""
    from jaxcolor.image import files, hald, lut

    return (hald if Path(path).suffix.lower() in files.FORMATS else lut).load(path)


def run(args: argparse.Namespace) -> None:
    check_files(args, [args.image, args.lut], [args.out])
    from jaxcolor.image import files

    files.check_output(args.out, args.overwrite)
    with progress(3, "lut apply") as step:
        step("reading")
        picture = files.read(args.image)
        files.check_alpha(args.out, picture)
        start_jax()
        from jaxcolor.image import lut
        from jaxcolor.recipes.finish import Change

        table, pixels = lut.interpolated(_load(args.lut), args.interpolation), picture.view()
        outside = lut.beyond(table, pixels)
        if outside:
            low, high = float(table.domain[0].min()), float(table.domain[1].max())
            warnings.warn(
                f"{outside} of {len(pixels)} pixels of {args.image} are beyond "
                f"{low:.4g}..{high:.4g}, for which {args.lut} is made, and were clamped to that",
                stacklevel=2,
            )
        step("applying")
        how = style(method="histogram", **finishing(args)).finish
        result = Change(table, pixels, how).at()
        step("writing")
        files.write(args.out, picture.recolored(result))
    print(f"{args.out}: {result.shape[1]}x{result.shape[0]}")


def run_convert(args: argparse.Namespace) -> None:
    _check_size(args)
    check_files(args, [args.lut], [args.out])
    from jaxcolor.image import files

    files.check_output(args.out, args.overwrite, SUFFIXES)
    start_jax()
    import numpy as np

    from jaxcolor.image import bake, hald

    given = _load(args.lut)
    table = _resampled(given, args.out, args.size)
    cut = 0
    if is_hald(args.out):
        cut = int(((table.table < 0) | (table.table > 1)).sum())
        table = hald.stored(table)
    write(args.out, table)
    low, high = np.asarray(table.domain)
    probes = low + np.random.default_rng(0).random((1, PROBES, 3), np.float32) * (high - low)
    _, worst, delta_e = bake.bake_error(table, given, probes)
    print(
        f"{args.out}: {table.size}x{table.size}x{table.size}, at most {worst * 255:.2g} of 255 "
        f"levels and {delta_e:.2g} CIEDE2000 from {args.lut}"
    )
    if cut:
        print(f"{args.out}: {cut} of {table.table.size} numbers were beyond 0..1, and are cut off")


def _resampled(given, out: str, size: int | None):
    """A table as a 3-D one for a file; itself where it is one of that size and domain."""
    import numpy as np

    from jaxcolor.image.bake import bake
    from jaxcolor.image.lut import Lut

    domain = _domain(out, given)
    if size is None and isinstance(given, Lut):
        size = given.size
        if is_hald(out) and size not in SQUARES:
            finer = (n for n in SQUARES if n >= max(size, size_for(out, None)))
            size = next(finer, SQUARES[-1])
    size = size or size_for(out, None)
    if isinstance(given, Lut) and size == given.size and np.array_equal(domain, given.domain):
        return given
    return bake(given, size, domain=domain)


def _check_size(args: argparse.Namespace) -> None:
    if args.size is not None:
        try:
            size_for(args.out, args.size)
        except ValueError as error:
            args.parser.error(str(error))


def _domain(out: str, table):
    """(2, 3) encoded RGB for which a file is to be made."""
    import numpy as np

    from jaxcolor.image.cube import UNIT

    domain = np.asarray(table.domain)
    if not is_hald(out):
        return domain
    if (domain[0] < UNIT[0]).any() or (domain[1] > UNIT[1]).any():
        raise ValueError(
            f"{out}: the table is for colours from {domain.min():.4g} to {domain.max():.4g}, and a "
            "HaldCLUT ends at 0 and 1: write a .cube"
        )
    return UNIT


def run_identity(args: argparse.Namespace) -> None:
    _check_size(args)
    check_files(args, [], [args.out])
    from jaxcolor.image import files

    files.check_output(args.out, args.overwrite, SUFFIXES)
    start_jax()
    from jaxcolor.image import bake

    size = size_for(args.out, args.size)
    write(args.out, bake.bake(lambda colors: colors, size))
    told = f"{args.out}: {size}x{size}x{size}, changes nothing"
    # points that fall midway between two of 65,536 levels are rounded in the file
    print(told + (" of 8 bits, 16 by one level at most" if is_hald(args.out) and size % 2 else ""))
