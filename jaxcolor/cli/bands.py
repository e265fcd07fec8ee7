"""`jaxcolor transfer --bands`: rasters of any number of bands."""

import argparse
import math

from jaxcolor.cli.common import Parser, progress, start_jax

TAKEN = ("method", "strength", "blur", "seed", "nodata", "overwrite", "bands")


def add_bands(parser: argparse.ArgumentParser) -> None:
    """The options that `run_bands` reads beside TAKEN."""
    group = parser.add_argument_group("rasters of any number of bands")
    group.add_argument(
        "--bands",
        action="store_true",
        help="match all bands of a TIFF (satellite, microscopy) jointly, as the numbers they are, "
        "to those of one REFERENCE with as many; by --method gaussian (default), histogram, "
        "sliced, newton, sinkhorn or exact, with --blur in standard deviations of a band",
    )
    group.add_argument(
        "--nodata",
        type=_value,
        metavar="V",
        help="with --bands: a pixel with this value (nan too) in any band takes no part and stays "
        "as it is (default: what each file's GDAL tag says; a REFERENCE without has SOURCE's)",
    )


def _value(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number or nan, got {text!r}") from None


def check_bands(args: argparse.Namespace) -> None:
    """What goes with --bands, and what not: exit 2."""
    parser: Parser = args.parser
    if args.nodata is not None and not args.bands:
        parser.error("--nodata goes with --bands")
    if not args.bands:
        return
    if len(args.references) != 1:
        parser.error("--bands takes one REFERENCE")
    plain = parser.parse_args([args.source, args.references[0], "-o", args.out])
    given = {name for name, value in vars(args).items() if value != getattr(plain, name, value)}
    if given - set(TAKEN):
        parser.error(f"--bands takes --method, --strength, --blur, --seed and --nodata only, not "
                     f"{', '.join(sorted(given - set(TAKEN)))}")  # fmt: skip


def run_bands(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from jaxcolor.image import files, raster

    files.check_output(args.out, args.overwrite, raster.FORMATS)
    with progress(3, "transfer") as step:
        step("reading")
        source, reference = (raster.read(path) for path in (args.source, args.references[0]))
        raster.check_alike(source, reference)
        start_jax()
        import jax

        from jaxcolor.recipes import bands

        method = args.method or "gaussian"
        if method not in bands.BANDED:
            args.parser.error(f"--bands takes --method {', '.join(bands.BANDED)}, not {method}")
        nodata = source.nodata if args.nodata is None else args.nodata
        step("matching")
        result = bands.transfer(
            source.bands,
            reference.bands,
            method=method,
            strength=args.strength,
            nodata=nodata,
            reference_nodata=reference.nodata if args.nodata is None else args.nodata,
            key=jax.random.key(args.seed),
            blur=args.blur,
        )
        step("writing")
        raster.write(args.out, replace(source, bands=result))
    height, width, count = result.shape
    told = "" if nodata is None else f", nodata {'nan' if math.isnan(nodata) else f'{nodata:g}'}"
    print(f"{args.out}: {width}x{height}, {count} bands of {result.dtype}{told}")
