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
        return main()
    finally:
        stop.begin.acquire()  # done: it is too late to stop, or stopping is under way


if __name__ == "__main__":
    sys.exit(main())
