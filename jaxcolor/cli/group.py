"""Several processes on one command: which of them this is, and where they wait for each other.

A command that is asked for more than one starts its workers as children and watches them. That is
not for speed: where a process of the group is lost, JAX's runtime ends the others from within, with
a trace of its own. The parent is left to say in one line what happened.
"""

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from jaxcolor import stop
from jaxcolor.cli.common import number
from jaxcolor.stop import WORKER

Item = TypeVar("Item")

HEARTBEAT = 5  # seconds after which a silent machine counts as lost; then the others end
ASLEEP = 3600  # likewise for processes of one machine, which may be suspended; their parent watches
START = 60  # seconds that the processes wait for each other at the beginning
GRACE = 3  # seconds for what is told to stop

AGAIN = "what is finished stays; the same command goes on from there"


@dataclass(frozen=True)
class Group:
    """The processes that share a command; one alone unless asked otherwise.

    Attributes:
        index: of this process, from 0; the first one speaks for all.
        count: how many there are.
    """

    index: int = 0
    count: int = 1

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's part: every count-th, so that all parts are alike."""
        return items[self.index :: self.count]

    def meet(self, place: str) -> None:
        """Wait until all processes have come to the place of this name; each name once.

        However long it takes.

        Raises:
            ValueError: where one of them is lost.
        """
        if self.count > 1:
            from jax._src.distributed import global_state  # the one barrier that needs no devices

            assert global_state.client is not None
            try:
                global_state.client.wait_at_barrier(place, timeout_in_ms=2**31 - 1)
            except Exception as error:  # of XLA's, without a class of its own
                raise ValueError(_lost(self.index, self.count)) from error


def add_group(parser: argparse.ArgumentParser) -> None:
    """How many processes work, and where the others are."""
    group = parser.add_argument_group("several processes, several machines")
    group.add_argument(
        "--processes",
        type=number(1, 10_000, int),
        default=1,
        metavar="N",
        help="share the work between N processes on this machine (default: 1), on one with GPUs at "
        "most as many as there are; with --coordinator between N machines, each of which is given "
        "the same command and its own --process-id; the first one tells what failed",
    )
    group.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="a free port of the machine with --process-id 0, at an address that all can reach; "
        "pictures and DIR must be on a disk that all share",
    )
    group.add_argument(
        "--process-id",
        type=number(0, 9_999, int),
        metavar="I",
        help="which of the N this is, 0 to N - 1",
    )


def check_group(args: argparse.Namespace) -> None:
    """Options that do not go together: exit 2."""
    if (args.coordinator is None) != (args.process_id is None):
        args.parser.error("--coordinator and --process-id go together")
    if args.coordinator is None:
        return
    host, _, port = args.coordinator.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        args.parser.error(f"--coordinator is HOST:PORT, got {args.coordinator!r}")
    if args.process_id >= args.processes:
        args.parser.error(f"--process-id {args.process_id} of {args.processes} processes")


def is_worker() -> bool:
    """Whether this process was started by another, which speaks for it should it be lost."""
    return WORKER in os.environ


def let_the_first_speak() -> None:
    """What fails in one process fails in all, and they are ended when the first has said so."""
    if is_worker() and not os.environ[WORKER].startswith("0 "):
        time.sleep(1)


def leave(code: int) -> int:
    """The exit status, after a failure; a worker goes at once: the runtime would wait for all."""
    if is_worker():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def wants_workers(args: argparse.Namespace) -> bool:
    """Whether the command is to be run by workers rather than here."""
    return getattr(args, "processes", 1) > 1 and not is_worker()


@contextlib.contextmanager
def joined(args: argparse.Namespace) -> Iterator[Group]:
    """The group that this process belongs to, for as long as the work lasts."""
    if not is_worker():
        yield Group()
        return
    index, count, address, parent = os.environ[WORKER].split()
    _silence()
    threading.Thread(target=_leave_with, args=(int(parent),), daemon=True).start()
    import jax

    jax.config.update("jax_enable_preemption_service", False)  # it would swallow SIGTERM
    alone = args.coordinator is None  # on this machine
    heartbeat = ASLEEP if alone else HEARTBEAT
    jax.distributed.initialize(
        address,
        int(count),
        int(index),
        local_device_ids=[int(index)] if alone else None,
        cluster_detection_method="deactivate",
        initialization_timeout=START,
        heartbeat_timeout_seconds=heartbeat,
        shutdown_timeout_seconds=HEARTBEAT,
        coordinator_bind_address=address if alone else None,
    )
    jax.local_devices()  # a process gets them when all ask, those too that have nothing to do
    yield Group(int(index), int(count))
    jax.distributed.shutdown()  # not after an error: it would wait for the others


def _leave_with(parent: int) -> None:
    """End when the parent has, however it went: nobody would speak for this process."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _silence() -> None:
    """Keep the runtime's own words about lost processes off the terminal; Python's still get there.

    JAXCOLOR_DEBUG shows them.
    """
    if os.environ.get("JAXCOLOR_DEBUG"):
        return
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)


def supervise(args: argparse.Namespace, argv: Sequence[str]) -> int:
    """Run a command's workers; the exit status. Where one is lost, the others are ended.

    Args:
        args: the command's, parsed. argv: the same as they were given.
    """
    if args.coordinator is None:
        address, mine = f"127.0.0.1:{free_port()}", range(args.processes)
    else:
        address, mine = args.coordinator, range(args.process_id, args.process_id + 1)
    workers = {}
    try:
        for index in mine:
            workers[index] = _start(argv, index, args.processes, address)
        return _watch(workers, args.processes)
    finally:
        _end(workers.values())


def free_port() -> int:
    """A port of this machine that nobody uses, just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _start(argv: Sequence[str], index: int, count: int, address: str) -> subprocess.Popen:
    # its index, the count, the address of the first, the process to answer to
    environment = os.environ | {WORKER: f"{index} {count} {address} {os.getpid()}"}
    return subprocess.Popen([sys.executable, "-m", "jaxcolor", *argv], env=environment)


def _watch(workers: dict[int, subprocess.Popen], count: int) -> int:
    """Wait for all, or for the first that fails."""
    running = dict(workers)
    while running:
        time.sleep(0.05)
        for index, worker in list(running.items()):
            status = worker.poll()
            if status is None:
                continue
            del running[index]
            heard = status - 128 in stop.SIGNALS  # or ended by one that it did not hear
            if heard or status < 0:
                number = status - 128 if heard else -status
                print(f"jaxcolor: {_told(index, count, number)}", file=sys.stderr)
                return 1
            if status:  # it has said why
                return status
    return 0


def _told(index: int, count: int, number: int) -> str:
    if number == signal.SIGABRT:  # the runtime's way out
        return _lost(index, count)
    return f"process {index} of {count} was ended by {signal.Signals(number).name} ({AGAIN})"


def _lost(index: int, count: int) -> str:
    return f"process {index} of {count} has lost the others ({AGAIN})"


def _end(workers) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.terminate()
    for worker in workers:
        try:
            worker.wait(GRACE)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
