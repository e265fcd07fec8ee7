"""`jaxcolor studio`: choose a look by eye, on a page in the browser."""

import argparse
import importlib
import os
import signal
import socket
import threading
import webbrowser

from jaxcolor import stop
from jaxcolor.cli.common import number, start_jax
from jaxcolor.studio import Limits

HOST = "127.0.0.1"
LIMITS = Limits()
MOST = 178  # megapixels that Pillow takes
EPILOG = """examples:
  jaxcolor studio
  jaxcolor studio holiday.jpg sunset.jpg
  jaxcolor studio --port 8000 --no-browser

Drop two pictures, or several of either, on the page; choose a look, move its strength; take the
result, its .cube or the command that makes the same. The page is served by this machine to this
machine, and loads nothing from anywhere else. Pictures are forgotten when it is closed. Ctrl-C
ends it. Needs: pip install 'jaxcolor[studio]'."""


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="choose a look by eye, on a page in the browser",
        description="Open a page on which pictures get the colours of others, with a preview that "
        "follows the slider.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="the picture to begin with")
    parser.add_argument(
        "references", metavar="REFERENCE", nargs="*", default=[], help="pictures to match"
    )
    parser.add_argument(
        "--port",
        type=number(0, 65535, int),
        default=0,
        metavar="N",
        help="where the page is served (default: 0, a free one)",
    )
    parser.add_argument(
        "--host",
        default=HOST,
        metavar="ADDRESS",
        help="address to listen at; any but this machine's own opens the page to the network: "
        f"whoever knows all of the page's address may use it (default: {HOST})",
    )
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="only say where the page is"
    )
    parser.add_argument(
        "--max-megabytes",
        type=number(1, 1 << 16, int),
        default=LIMITS.megabytes,
        metavar="N",
        help="of a file (default: %(default)s)",
    )
    parser.add_argument(
        "--max-megapixels",
        type=number(1, MOST, int),
        default=LIMITS.megapixels,
        metavar="N",
        help=f"of a picture (default: %(default)s, at most {MOST})",
    )
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> None:
    uvicorn = _uvicorn()
    paths = [path for path in (args.source, *args.references) if path is not None]
    for path in paths:
        open(path, "rb").close()  # a misspelt name is told here, not on the page
    with bound(args.host, args.port) as listening:
        start_jax()
        from jaxcolor.studio.server import Studio

        studio = Studio(Limits(args.max_megabytes, args.max_megapixels), paths)
        server = uvicorn.Server(configured(studio.app(args.host)))
        address = _told(args.host, listening.getsockname()[1], studio.key)
        if args.browser:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        _serve(server, listening, studio)


def _serve(server, listening: socket.socket, studio) -> None:
    """Until a signal comes, and then no longer, whatever threads still compute."""
    heard = [one for one in stop.SIGNALS if signal.getsignal(one) != signal.SIG_IGN]
    vars(_uvicorn().server)["HANDLED_SIGNALS"] = tuple(heard)  # its own are less, and those ignored
    try:
        with stop.unwound():  # uvicorn hears signals itself, and passes them on when it is done
            server.run([listening])
    except stop.Stopped as asked:
        studio.tidy()
        stop.end(asked.code, "jaxcolor")


def configured(app):
    """How uvicorn serves the page."""
    return _uvicorn().Config(
        app,
        log_level="warning" if os.environ.get("JAXCOLOR_DEBUG") else "critical",
        access_log=False,
        log_config=None,  # its own would close the handlers of other libraries
        ws="websockets-sansio",
        ws_max_size=1 << 16,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=1,
        server_header=False,
    )


def _uvicorn():
    try:
        for name in ("starlette", "websockets"):
            importlib.import_module(name)
        return importlib.import_module("uvicorn")
    except ImportError as error:
        raise ValueError(f"the page needs {error.name}: pip install 'jaxcolor[studio]'") from error


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        ValueError: where the port is taken, or the address is not this machine's.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        reason = (error.strerror or str(error)).split(" (")[0]
        raise ValueError(
            f"cannot listen at {host}, port {port} ({reason}): --port 0 takes a free one"
        ) from error


def _told(host: str, port: int, key: str) -> str:
    """Say where the page is, and to whom; returns the address."""
    from jaxcolor.studio.guard import is_loopback

    name = f"[{host}]" if ":" in host else host
    shown = {"0.0.0.0": HOST, "[::]": "[::1]"}.get(name, name)
    if not is_loopback(host):
        import warnings

        warnings.warn(
            f"--host {host}: everybody on the network who learns this address, which is not "
            "encrypted on its way, can open this page and use this machine",
            stacklevel=2,
        )
    address = f"http://{shown}:{port}/?key={key}"
    print(f"{address}  (Ctrl-C ends it)", flush=True)
    return address
