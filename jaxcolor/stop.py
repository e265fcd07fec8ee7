"""What a program does that is told to stop, by Ctrl-C or SIGTERM: it tidies up, says so and ends.

It does so from a thread that waits for nothing else. JAX compiles, or solves, for minutes at times,
and until then Python's own handlers would not run; and what Python makes of Ctrl-C, an exception
out of nowhere, is lost in some libraries and comes out of others as another one.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)
WORKER = "JAXCOLOR_WORKER"  # set where another process started this one, and speaks for it
CLEAR = "\r\x1b[K"  # a bar's line, on a terminal
TIDY = """
import os, sys
for path in sys.argv[2:]:
    try:
        os.unlink(path)
    except OSError:
        pass
os._exit(int(sys.argv[1]))
"""

unfinished: set[str] = set()  # files to be removed, should the program be stopped
begin = threading.Lock()  # held to add to them; once the program is stopped, for good

_unwinding = _told = False


class Stopped(KeyboardInterrupt):
    """Where `unwound` asks for it: a signal as an exception, with the exit status for it."""

    def __init__(self, number: int):
        super().__init__()
        self.code = 128 + number


def listen(name: str) -> None:
    """From now on a signal ends the program, at once, with exit status 128 + its number.

    For programs, not for libraries; from the main thread. A signal that is ignored, as it is in
    what a shell runs in the background, stays ignored.

    Args:
        name: of the program, which says that it was stopped.
    """
    heard, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    for one in SIGNALS:
        if signal.getsignal(one) != signal.SIG_IGN:
            signal.signal(one, _handle)
    # the thread keeps both ends open
    threading.Thread(target=_wait, args=(heard, told, name), daemon=True).start()


@contextlib.contextmanager
def unwound() -> Iterator[None]:
    """Within, the first signal raises `Stopped`, for what has more to tidy up than files; further
    ones do nothing."""
    global _unwinding
    _unwinding = True
    try:
        yield
    finally:
        _unwinding = _told


def _handle(number: int, frame: object) -> None:
    """In the main thread."""
    global _told
    if _unwinding and not _told:
        _told = True
        raise Stopped(number)


def _wait(heard: socket.socket, told: socket.socket, name: str) -> None:
    while True:
        (number,) = heard.recv(1)
        if number in SIGNALS and not _unwinding:
            end(128 + number, name)


def end(code: int, name: str) -> None:
    """Say so, remove what is unfinished, and leave without further ado."""
    begin.acquire()
    if WORKER not in os.environ:
        with contextlib.suppress(OSError, ValueError):
            os.write(2, f"{CLEAR if sys.stderr.isatty() else ''}{name}: stopped\n".encode())
    if unfinished and os.name == "posix":
        # other threads would go on, and begin a file anew that is removed under their hands; with
        # the program that takes the place of this one they are gone
        with contextlib.suppress(OSError):
            words = [sys.executable, "-I", "-S", "-c", TIDY, str(code), *unfinished]
            os.execv(sys.executable, words)
    for path in list(unfinished):
        with contextlib.suppress(OSError):
            os.unlink(path)
    os._exit(code)
