"""What a program does that is told to stop, by Ctrl-C, SIGTERM or a terminal that is closed: it
tidies up, says so and ends.

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

# of these, those that the system has; a terminal that is closed sends the last
SIGNALS = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
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
_status: int | None = None  # once all is done


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
    """Say so, remove what is unfinished, and leave without further ado.

    What is `done` already leaves with its own status, and says nothing.
    """
    begin.acquire()
    try:
        if _status is not None:
            code = _status
        elif WORKER not in os.environ:
            _say(f"{name}: stopped\n")
        _tidy(code)
    finally:  # whatever became of these: the thread that hears has nobody to tell
        os._exit(code)


def done(status: int) -> None:
    """It is too late to stop, or stopping is under way, and this waits for it.

    A signal still ends what other threads do, but with this exit status.
    """
    global _status
    with begin:
        _status = status


def _say(line: str) -> None:
    if sys.stderr is None:  # started without; 2 may be any file by now
        return
    with contextlib.suppress(OSError, ValueError):
        os.write(2, f"{CLEAR if sys.stderr.isatty() else ''}{line}".encode())


def _tidy(code: int) -> None:
    """Remove what is unfinished.

    Other threads would go on, and begin a file anew that is removed under their hands; they are
    gone with the program that takes the place of this one, where that can be.
    """
    own = not sys.executable or getattr(sys, "frozen", False)  # Python is not there to be run
    if unfinished and os.name == "posix" and not own:
        with contextlib.suppress(OSError, ValueError):
            words = [sys.executable, "-I", "-S", "-c", TIDY, str(code), *unfinished]
            os.execv(sys.executable, words)
    for path in list(unfinished):
        with contextlib.suppress(OSError, ValueError):
            os.unlink(path)
