"""`python -m jaxcolor`, and the command."""

import io
import sys


def main() -> int:
    """Run the command as a program of its own, which hears when it is to stop."""
    try:
        from jaxcolor import stop

        stop.listen("jaxcolor")
    except KeyboardInterrupt:  # that soon
        print("jaxcolor: stopped", file=sys.stderr)
        return 130
    from jaxcolor.cli.main import main

    if isinstance(sys.stdout, io.TextIOWrapper):  # names come out as the bytes that they are
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        code = main()
    except SystemExit as told:  # help, or bad usage
        code = int(told.code or 0)
    stop.done(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
