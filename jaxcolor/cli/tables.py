"""Maps for other programs: look-up tables and JSON, their options, checks and what is told."""

import argparse
import warnings
from pathlib import Path

from jaxcolor.cli.common import number

HALD = (".png", ".tif", ".tiff")  # look-up tables that are pictures
SUFFIXES = dict.fromkeys((".cube", *HALD), "table")
SQUARES = tuple(level**2 for level in range(2, 12))  # points along each axis of these
WRITABLE = ("gaussian", "reinhard", "mixture")  # methods whose maps JSON holds
SEPARATE = (None, "srgb", "linear")  # spaces in which a map of each channel stays one
POOR = 40  # dB: a LUT further from its map than this shows it


def add_tables(parser: argparse.ArgumentParser) -> None:
    """What `check_tables` and `save_lut` read."""
    group = parser.add_argument_group("for other programs")
    group.add_argument(
        "--lut",
        metavar="OUT.cube|OUT.png",
        help="also write the change as a LUT for video and photo programs (ignores --mask): a "
        ".cube file, or a HaldCLUT picture (16-bit .png or .tif)",
    )
    group.add_argument(
        "--lut-size",
        type=number(2, 129, int),
        metavar="N",
        help="grid points on each side of the LUT (default: 33; 65 is closer; of a HaldCLUT 64, or "
        "another square)",
    )
    group.add_argument(
        "--lut-1d",
        action="store_true",
        help="with --lut OUT.cube and --method histogram, which changes each channel by itself: "
        "a 1-D LUT, exact to rounding",
    )
    group.add_argument(
        "--json",
        metavar="OUT.json",
        help="also write the map as a few numbers, which a dozen lines of NumPy evaluate: of "
        f"--look gentle, --method {', '.join(WRITABLE)}",
    )


def is_hald(path: str) -> bool:
    return Path(path).suffix.lower() in HALD


def size_for(path: str, asked: int | None) -> int:
    """Points along each axis of the 3-D table that a file is to hold.

    Raises:
        ValueError: where a Hald picture cannot have as many as were asked for.

    Example:
        >>> size_for("a.cube", None), size_for("a.png", None), size_for("a.png", 25)
        (33, 64, 25)
    """
    size = asked or (64 if is_hald(path) else 33)
    if is_hald(path) and size not in SQUARES:
        below = [str(square) for square in SQUARES if square < size]
        above = [str(square) for square in SQUARES if square > size]
        raise ValueError(
            f"{path}: a HaldCLUT has a square of points on each side, not {size}: "
            f"{' or '.join(below[-1:] + above[:1])}, say"
        )
    return size


def check_tables(args: argparse.Namespace, method: str) -> None:
    """Combinations that mean nothing, or that no file holds: exit 2.

    Args:
        args: with the options of `add_tables`, and `space`.
        method: what fits the map.
    """
    if (args.lut_1d or args.lut_size) and not args.lut:
        args.parser.error(f"{'--lut-1d' if args.lut_1d else '--lut-size'} needs --lut")
    if args.lut_1d and (is_hald(args.lut) or args.lut_size):
        args.parser.error("--lut-1d writes a .cube file and takes no --lut-size")
    if args.lut_1d and (method != "histogram" or args.space not in SEPARATE):
        args.parser.error(
            "a 1-D LUT holds maps of each channel by itself, and this one mixes them: "
            "--method histogram in srgb or linear, or no --lut-1d"
        )
    if args.json and method not in WRITABLE:
        args.parser.error(
            f"--json holds the maps of {', '.join(WRITABLE)}, not of {method}: --lut holds any"
        )
    if args.lut and not args.lut_1d:
        try:
            size_for(args.lut, args.lut_size)
        except ValueError as error:
            args.parser.error(str(error))


def check_outputs(args: argparse.Namespace) -> None:
    """Files that could not be written, before any work."""
    from jaxcolor.image import files

    if args.lut:
        files.check_output(args.lut, args.overwrite, SUFFIXES)
    if args.json:
        files.check_output(args.json, args.overwrite, {".json": "map"})


def check_range(path: str, picture) -> None:
    """Refuse a Hald picture for colours that it cannot hold.

    Raises:
        ValueError: where the picture (a view) goes beyond 0..1.
    """
    from jaxcolor.image.bake import covering

    low, high = covering(picture)
    if is_hald(path) and (low.min() < 0 or high.max() > 1):
        raise ValueError(
            f"{path}: the picture's colours go from {low.min():.4g} to {high.max():.4g}, and a "
            "HaldCLUT ends at 0 and 1: write a .cube"
        )


def write(path: str, table) -> None:
    """A table as the kind of file that the suffix says."""
    from jaxcolor.image import hald

    if is_hald(path):
        hald.save(path, table)
    else:
        table.save(path, title=Path(path).stem)


def save_lut(
    change, strength: float, path: str, size: int | None = None, curves: bool = False
) -> list[str]:
    """Bake the map of a `Change`, measure on its picture, write; returns what to tell.

    Args:
        change: its picture's colours are those that the table is fitted to.
        strength: of the change.
        path: a .cube file or a Hald picture.
        size: as for `size_for`.
        curves: a 1-D table instead.
    """
    from jaxcolor.image import bake, hald
    from jaxcolor.recipes.finish import blend, by_color

    picture = change.picture
    color_map = (
        by_color(change.color_map, strength, change.how)
        if picture.bounded
        else blend(change.color_map, strength)
    )
    domain = bake.covering(picture)
    if curves:
        table = bake.bake_curves(color_map, bake.entries(picture), domain=domain)
        told = f"{path}: {table.size} entries for each channel"
    else:
        side = size_for(path, size)
        table = bake.bake(color_map, side, picture=picture, domain=domain)
        table = hald.stored(table) if is_hald(path) else table
        told = f"{path}: {side}x{side}x{side}"
    decibels, worst, delta_e = bake.bake_error(table, color_map, picture)
    write(path, table)
    if decibels < POOR:
        warnings.warn(
            f"{path}: {decibels:.1f} dB from the map on this picture, {POOR} would be safe: the "
            "map is too steep for it; --blur 0.07, a larger --lut-size or --look natural help",
            stacklevel=2,
        )
    lines = [
        f"{told}, {decibels:.1f} dB from the map on this picture, "
        f"at most {worst * 255:.1f} of 255 levels and {delta_e:.1f} CIEDE2000 off"
    ]
    if domain.min() < 0 or domain.max() > 1:
        lines.append(
            f"{path}: for colours from {domain.min():.4g} to {domain.max():.4g} (DOMAIN_MIN, "
            "DOMAIN_MAX), as the picture's are; a program that ignores these lines clamps at 0 "
            "and 1"
        )
    return [*lines, *_unsmoothed(change, path)]


def save_json(change, strength: float, path: str) -> list[str]:
    """Write the map of a `Change` as JSON; returns what to tell."""
    from jaxcolor.recipes import portable
    from jaxcolor.recipes.finish import blend

    color_map = blend(change.color_map, strength)
    portable.save(path, color_map)
    lines = [f"{path}: the map, to evaluate anywhere", *_unsmoothed(change, path)]
    if change.how.gamut == "fade":
        lines.append(f"{path}: not clipped; --gamut fade is not in it")
    return lines


def _unsmoothed(change, path: str) -> list[str]:
    if change.how.smooth == "none":
        return []
    return [f"{path}: the map of colours alone; smoothing (--smooth) is not in it"]
