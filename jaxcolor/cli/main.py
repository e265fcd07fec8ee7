"""`jaxcolor`: parse, dispatch, and turn every failure into one line."""

import argparse
import os
import sys
import warnings
from typing import NoReturn

import jaxcolor
from jaxcolor import stop
from jaxcolor.cli import (
    batch,
    compare,
    completion,
    demo,
    doctor,
    group,
    harmonize,
    labels,
    lut,
    morph,
    palette,
    studio,
    texture,
    transfer,
    video,
)
from jaxcolor.cli.common import Parser, describe, in_a_line
from jaxcolor.recipes import known

COMMANDS = {
    "transfer": transfer,
    "harmonize": harmonize,
    "compare": compare,
    "lut": lut,
    "demo": demo,
    "batch": batch,
    "morph": morph,
    "texture": texture,
    "labels": labels,
    "palette": palette,
    "video": video,
    "doctor": doctor,
    "completion": completion,
    "studio": studio,
}


class Version(argparse.Action):
    """jaxcolor's version, JAX's, and where JAX computes."""

    def __call__(self, parser, namespace, values, option_string=None) -> NoReturn:
        import jax

        print(f"jaxcolor {jaxcolor.__version__}, jax {jax.__version__}, {doctor.device()}")
        parser.exit()


def build_parser() -> Parser:
    parser = Parser(
        prog="jaxcolor",
        description="Give one picture the colours of another.",
        epilog="jaxcolor COMMAND --help explains a command.",
    )
    parser.add_argument(
        "--version", action=Version, nargs=0, help="show the versions, and JAX's device, and exit"
    )
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name, module in COMMANDS.items():
        module.add(commands, name)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 done, 1 failed with one line on stderr, 2 bad usage.

    In a program of one's own, one call at a time: it shows Python's warnings its way meanwhile.
    """
    parser = build_parser()
    argv = _check_command(parser, sys.argv[1:] if argv is None else argv)
    try:
        args = parser.parse_args(argv)
        if group.wants_workers(args):
            args.check(args)
            with stop.unwound():
                return group.supervise(args, argv)
        with warnings.catch_warnings():
            warnings.showwarning = _one_line
            warnings.simplefilter("default", UserWarning)  # told, whatever the environment says
            # another command may be writing the program that this one reads: it compiles its own
            warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation")
            args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt as asked:
        code = getattr(asked, "code", 130)
        return group.leave(code) if group.is_worker() else _fail("stopped", code)
    except BrokenPipeError:
        # nobody listens any more; or Python would complain of it on its way out
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # a person is to see a line, whatever broke
        if os.environ.get("JAXCOLOR_DEBUG"):
            raise
        return _fail(describe(error), 1)
    return 0


def _check_command(parser: Parser, argv: list[str]) -> list[str]:
    """Answer a misspelt command with the nearest one."""
    if argv and not argv[0].startswith("-"):
        try:
            known(argv[0], COMMANDS, "command")
        except ValueError as error:
            parser.error(str(error))
    return argv


def _fail(message: str, code: int) -> int:
    group.let_the_first_speak()
    line = " ".join(f"jaxcolor: {message}".splitlines())  # whatever a file is called
    print(line, file=sys.stderr)
    return group.leave(code)


def _one_line(message, category, filename, lineno, file=None, line=None) -> None:
    """Warnings as people read them; a library's own chatter is not for them."""
    if issubclass(category, UserWarning):
        print(f"jaxcolor: warning: {in_a_line(message)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
