"""`jaxcolor harmonize`: one look for many pictures."""

import argparse
from pathlib import Path

from jaxcolor.cli.common import (
    Parser,
    add_overwrite,
    add_weights,
    check_weights,
    filled_folder,
    one_of,
    progress,
    start_jax,
)
from jaxcolor.cli.matching import (
    add_finishing,
    add_mixture,
    add_strength,
    finishing,
    mixing,
)
from jaxcolor.cli.video import warn_of_hdr
from jaxcolor.recipes import HARMONIZING, HARMONY_BASES, SPACES
from jaxcolor.recipes.looks import Style, style

SHEET = "before_after.png"
EPILOG = """examples:
  jaxcolor harmonize trip/*.jpg -o trip_in_one_look
  jaxcolor harmonize a.jpg b.jpg c.jpg -o out --weights 3 1 1     # mostly the look of a.jpg
  jaxcolor harmonize scan_*.tif -o out --method gaussian --strength 0.7
  jaxcolor harmonize cam1.mp4 cam2.mp4 still.jpg -o out            # clips too, one map each

Each picture goes to DIR under its own name, with its own size, depth, transparency and profile,
and all of them, before and after, onto the sheet """


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="bring several pictures to one look",
        description="Find the look in the middle of all IMAGES (their colours' Wasserstein "
        "barycenter) and give it to each of them.",
        epilog=f"{EPILOG}{SHEET}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="two pictures or clips or more")
    parser.add_argument("-o", "--out", metavar="DIR", required=True, help="folder to write to")
    add_weights(parser, "picture")
    parser.add_argument(
        "--method",
        type=one_of(HARMONIZING, "method"),
        default="sliced",
        help="sliced: whole palettes, closest. newton: the same, smoother. gaussian: average, "
        "contrast and colour balance alone; gentlest. mixture: the same for each part of the "
        "palette (default: sliced)",
    )
    add_mixture(parser)
    parser.add_argument(
        "--space", type=one_of(SPACES, "space"), help=f"colour space: {', '.join(SPACES)}"
    )
    add_strength(parser)
    add_finishing(parser)
    add_overwrite(parser)
    parser.set_defaults(run=run, parser=parser)


def _style(args: argparse.Namespace) -> Style:
    parser: Parser = args.parser
    try:
        return style(
            method=args.method,
            space=args.space,
            bases=HARMONY_BASES,
            **mixing(args),
            **finishing(args),
        )
    except ValueError as error:
        parser.error(str(error))


def check_usage(args: argparse.Namespace) -> list[Path]:
    """Where each result goes; what makes no sense ends with exit 2."""
    if len(args.images) < 2:
        args.parser.error("two pictures or more are needed")
    check_weights(args, len(args.images), "pictures")
    _style(args)
    folder = Path(args.out)
    paths = [folder / Path(image).name for image in args.images]
    if len({str(path).lower() for path in [*paths, folder / SHEET]}) <= len(paths):
        args.parser.error(f"two pictures have the same name, or one is called {SHEET}")
    for image, path in zip(args.images, paths, strict=True):
        if Path(image).resolve() == path.resolve():
            args.parser.error(f"{image} would be replaced by its result: name another folder")
    return paths


def run(args: argparse.Namespace) -> None:
    paths = check_usage(args)
    from jaxcolor.image import files, video
    from jaxcolor.recipes.references import is_clip

    clips = [is_clip(image) for image in args.images]
    with filled_folder(args.out) as folder, progress(3 * len(paths) + 2, "harmonize") as step:
        for path, clip in zip([*paths, folder / SHEET], [*clips, False], strict=True):
            files.check_output(path, args.overwrite, video.FORMATS if clip else None)
        pictures = []
        for image, path, clip in zip(args.images, paths, clips, strict=True):
            step(f"reading {Path(image).name}")
            pictures.append(files.Picture(_pooled(image)) if clip else files.read(image))
            files.check_alpha(path, pictures[-1])
        changes = _changes(args, pictures, step)
        results = []
        for image, change in zip(args.images, changes, strict=True):
            step(Path(image).name)
            results.append(change.at(args.strength))
        # nothing is written before all is done
        for image, path, clip, picture, change, pixels in zip(
            args.images, paths, clips, pictures, changes, results, strict=True
        ):
            step(f"writing {path.name}")
            if clip:
                _write_clip(image, path, change, args.strength)
            else:
                files.write(path, picture.recolored(pixels))
        step(SHEET)
        files.write(folder / SHEET, files.Picture(_sheet(args.images, pictures, results)))
    print("\n".join(str(path) for path in [*paths, folder / SHEET]))


def _changes(args: argparse.Namespace, pictures: list, step) -> list:
    """What brings every picture to the common look."""
    start_jax()
    from jaxcolor.image import files
    from jaxcolor.image.pixels import view
    from jaxcolor.recipes.look import Look
    from jaxcolor.recipes.transfer import change

    step("finding the common look")
    views = [picture.view(name=name) for picture, name in
             zip(pictures, args.images, strict=True)]  # fmt: skip
    looks = {}  # one for each profile: a look is fitted to in a picture's own encoding
    for picture in pictures:
        if picture.profile not in looks:
            seen = [
                own if other.profile == picture.profile
                else view(files.convert(other, picture.profile).pixels)
                for own, other in zip(views, pictures, strict=True)
            ]  # fmt: skip
            looks[picture.profile] = Look(seen, args.weights)
    asked = _style(args)
    return [
        change(seen, looks[picture.profile], asked)
        for picture, seen in zip(pictures, views, strict=True)
    ]


def _pooled(path: str):
    """Some frames of a clip."""
    from jaxcolor.recipes.references import pooled

    frames = pooled(path)  # which says so where PyAV is missing
    warn_of_hdr(path)
    return frames


def _write_clip(source: str, path: Path, change, strength: float) -> None:
    """A clip by the one map of its change, whose smoothing is for pictures."""
    from jaxcolor.image.transcode import Coding, transcode
    from jaxcolor.recipes.clip import by_shot
    from jaxcolor.recipes.finish import by_color
    from jaxcolor.recipes.shots import Shot

    color_map = by_color(change.color_map, strength, change.how)
    transcode(source, path, by_shot([Shot()], [color_map]), Coding())


def _sheet(names: list[str], pictures: list, results: list):
    from jaxcolor.recipes.sheet import Cell, sheet

    cells = []
    for name, picture, pixels in zip(names, pictures, results, strict=True):
        cells += [Cell(picture.encoded, Path(name).name), Cell(pixels, "in the common look")]
    return sheet(cells, columns=4)
