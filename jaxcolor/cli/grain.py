"""`jaxcolor texture grain`: the film grain of one picture for another."""

import argparse

from jaxcolor.cli.common import add_overwrite, add_seed, check_files, progress, start_jax

EPILOG = """example:
  jaxcolor texture grain phone.jpg scanned_film.jpg -o phone_on_film.png

A reference without grain takes it away. Both are compared pixel by pixel: scale them alike."""


def add(actions, name: str) -> None:
    parser = actions.add_parser(
        name,
        help="give a picture the grain of another",
        description="Write IMAGE with the film grain of REFERENCE: its strength at each lightness, "
        "its size, its colours.",
        epilog=EPILOG,
    )
    parser.add_argument("image", metavar="IMAGE", help="the picture to change")
    parser.add_argument("reference", metavar="REFERENCE", help="the picture whose grain to take")
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="where to write")
    add_seed(parser, "draw")
    add_overwrite(parser)
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> None:
    check_files(args, [args.image, args.reference], [args.out])
    from jaxcolor.image import files

    files.check_output(args.out, args.overwrite)
    with progress(3, "texture grain") as step:
        step("reading")
        picture, reference = files.read(args.image), files.read(args.reference)
        files.check_alpha(args.out, picture)
        start_jax()
        import jax

        from jaxcolor.recipes.grain import grain

        step("matching")
        other = files.convert(reference, picture.profile).pixels
        result = grain(picture.encoded, other, jax.random.key(args.seed))
        step("writing")
        files.write(args.out, picture.recolored(result))
    print(f"{args.out}: {result.shape[1]}x{result.shape[0]}")
