"""One large solve by two processes against one: `python experiments/bench_processes.py`.

Two clouds of 40,000 colours, coupled by `newton` with the costs streamed, by

- one process that may use one core;
- one process that may use all;
- two processes with a core each, the source divided between them (`jaxcolor.shard`), which talk
  over the loopback interface by JAX's distributed runtime.

All are started and compiled first, then solve in turn. The two potentials are compared. The record
is `results/bench_processes.json`; `--points 4000 --rounds 1 --out FILE` is a quick look.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from harness import free_port, machine, save

RESULTS = Path(__file__).parent / "results" / "bench_processes.json"
SIDES = {"two processes": 2, "one process, one core": 1, "one process, all cores": 1}


def clouds(points: int):
    """Two clouds in the unit cube: dense parts and thin ones, as colours are."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = np.clip(rng.normal(0.4, 0.15, (points, 3)), 0, 1)
    y = rng.random((points, 3)) ** 2
    return x.astype(np.float32), y.astype(np.float32)


def work(args: argparse.Namespace) -> None:
    """A process: solve whenever a line comes in, and say how that went."""
    if args.cores:
        os.sched_setaffinity(0, set(args.cores))
    import jax

    if args.count > 1:
        jax.distributed.initialize(
            f"127.0.0.1:{args.port}", args.count, args.index, cluster_detection_method="deactivate"
        )
    import numpy as np

    from jaxcolor import Measure, shard, solve

    x, y = clouds(args.points)
    share = np.full(args.points, 1 / args.points, np.float32)
    mu, nu = Measure(x, share), Measure(y, share)  # pyright: ignore[reportArgumentType]
    if args.count > 1:
        mu = shard(mu)
    mu, nu = (jax.tree.map(lambda leaf: jax.numpy.asarray(leaf), one) for one in (mu, nu))
    steps = 1  # the first call compiles
    for line in sys.stdin:
        start = float(line)
        import time

        found = solve(mu, nu, epsilon=args.epsilon, max_steps=steps)
        g = np.asarray(found.g)
        seconds = time.time() - start
        steps = 100
        np.save(args.potential, g)
        told = {"seconds": seconds, "value": float(found.value), "error": float(found.info.error)}
        counts = {"steps": int(found.info.steps), "passes": int(found.info.passes)}
        print("done " + json.dumps(told | counts | {"status": int(found.info.status)}), flush=True)


class Side:
    """The processes of one side, which wait for their turn."""

    def __init__(self, name: str, args: argparse.Namespace, folder: Path):
        self.name, self.folder, self.answers = name, folder, []
        count, cores = SIDES[name], sorted(os.sched_getaffinity(0))
        port = free_port()
        self.processes = []
        for index in range(count):
            own = [cores[index % len(cores)]] if name != "one process, all cores" else []
            command = [sys.executable, __file__, "--worker", "--count", str(count)]
            command += ["--index", str(index), "--port", str(port), "--points", str(args.points)]
            command += ["--epsilon", str(args.epsilon), "--potential", str(self.potential(index))]
            command += ["--cores", *map(str, own)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self.processes.append(subprocess.Popen(command, **pipes))

    def potential(self, index: int) -> Path:
        return self.folder / f"{self.name.replace(' ', '_')}_{index}.npy"

    def turn(self) -> dict:
        """One solve; the seconds are those of the slowest process."""
        import time

        for process in self.processes:
            process.stdin.write(f"{time.time()}\n")
            process.stdin.flush()
        answers = []
        for process in self.processes:
            line = next(line for line in process.stdout if line.startswith("done "))
            answers.append(json.loads(line[5:]))
        return max(answers, key=lambda answer: answer["seconds"])

    def end(self) -> None:
        for process in self.processes:
            process.stdin.close()
        for process in self.processes:
            process.wait(60)


def compare(args: argparse.Namespace) -> dict:
    import tempfile

    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        sides = [Side(name, args, Path(folder)) for name in SIDES]
        try:
            for side in sides:
                side.turn()
            for turn in range(args.rounds):
                for side in sides:
                    side.answers.append(side.turn())
                    print(turn, side.name, side.answers[-1], file=sys.stderr)
        finally:
            for side in sides:
                side.end()
        potentials = [np.load(side.potential(0)) for side in sides]
    record: dict = {"points": args.points, "epsilon": args.epsilon, "rounds": args.rounds}
    record |= machine(("jax", "jaxlib", "numpy"))
    for side in sides:
        times = [answer["seconds"] for answer in side.answers]
        spread = [min(times), max(times)]
        record[side.name] = side.answers[-1] | {"median": float(np.median(times)), "spread": spread}
    two = record["two processes"]["median"]
    record["ratios"] = {side.name: record[side.name]["median"] / two for side in sides}
    value = record["two processes"]["value"]
    record["difference"] = {
        "potential": float(max(np.abs(potentials[0] - g).max() for g in potentials[1:])),
        "value, relative": max(abs(record[s.name]["value"] / value - 1) for s in sides[1:]),
    }
    return record


def show(record: dict) -> str:
    n = record["points"]
    lines = [
        f"{n:,} x {n:,}, epsilon {record['epsilon']}, {record['rounds']} rounds in turn, "
        f"{record['cores']} cores",
        "",
        "| | times two processes | seconds, median (spread) | passes | error |",
        "|---|---|---|---|---|",
    ]
    for name in SIDES:
        side, (low, high) = record[name], record[name]["spread"]
        lines.append(
            f"| {name} | {record['ratios'][name]:.2f} | {side['median']:.1f} ({low:.1f}-{high:.1f})"
            f" | {side['passes']} | {side['error']:.1e} |"
        )
    apart = record["difference"]
    told = f"{apart['potential']:.1e} in g, {apart['value, relative']:.1e} of the value"
    return "\n".join([*lines, "", f"largest difference: {told}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--points", type=int, default=40_000)
    parser.add_argument("--epsilon", type=float, default=5e-3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    for name in ("--count", "--index", "--port"):
        parser.add_argument(name, type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, nargs="*", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--potential", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args)
        return
    record = compare(args)
    print(show(record))
    save(args.out, record)


if __name__ == "__main__":
    main()
