"""A peer in its own environment: `python peers_worker.py NAME GIVEN.npz MADE.npz`, for `peers`."""

import sys

import numpy as np
from peers import PEERS, timed


def main(name: str, given: str, made: str) -> None:
    with np.load(given) as stored:
        pictures = list(stored.values())
    done = timed(PEERS[name].transfer, list(zip(pictures[::2], pictures[1::2], strict=True)))
    results = [np.empty(0) if result is None else result for result, _ in done]
    np.savez(made, np.array([seconds for _, seconds in done]), *results)


if __name__ == "__main__":
    main(*sys.argv[1:])
