"""Several processes on one command: which of them this is, and where they wait for each other."""

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from jaxcolor.cli.common import number

Item = TypeVar("Item")


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
        """Wait until all processes have come to the place of this name; each name once."""


def add_group(parser: argparse.ArgumentParser) -> None:
    """How many processes work, and where the others are."""
    parser.add_argument(
        "--processes",
        type=number(1, 10_000, int),
        default=1,
        metavar="N",
        help="share the work between N processes (default: 1)",
    )


@contextlib.contextmanager
def joined(args: argparse.Namespace) -> Iterator[Group]:
    """The group that the arguments name, for as long as the work lasts."""
    yield Group()
