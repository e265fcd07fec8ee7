"""What a solve costs on many devices, and whether that is so: `python experiments/scale.py`.

The model of `scale.md`: a pass over n x m pairs takes

    n m / (devices * rate)  +  what is sent

with the rate of a core measured on 10,000 points by each of two processes at once, without a word
between them, and what is sent timed by itself. Measured against it: passes over 20,000 and 40,000
points, by one process and by two. Writes `results/scale.json` and prints the tables.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from harness import free_port, machine, save

RESULTS = Path(__file__).parent / "results" / "scale.json"
VERBS = ("log-sum-exp over columns", "log-sum-exp over rows", "product", "transposed product")
SENT = {  # by each verb: collectives, and the floats of each for n rows and m columns
    "log-sum-exp over columns": ("gather",),
    "log-sum-exp over rows": ("reduce", "reduce"),
    "product": ("gather",),
    "transposed product": ("reduce",),
}
CALIBRATED = 10_000
ROUNDS = 7
# of one device on paper, an H200: special-function units, L2, memory, links within a machine and
# between machines (bytes a second and direction), and what a collective takes whatever its size
DEVICE = {"exps": 132 * 16 * 1.98e9, "memory": 4.8e12, "inside": 450e9, "outside": 50e9}
LATENCY = {"inside": 20e-6, "outside": 60e-6}
MACHINE = 8  # devices
FLOPS = 12  # a pair: differences 3, squares 5, exponent 3, sum 1


class Worker:
    """What a process is asked to time."""

    def __init__(self, index: int, count: int, port: int):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[index]})
        import jax

        if count > 1:
            jax.distributed.initialize(
                f"127.0.0.1:{port}", count, index, cluster_detection_method="deactivate"
            )
        self.calls = {}

    def time(self, what: str, n: int, m: int, verb: str) -> float:
        """Seconds of a call; the first one of its kind compiles beforehand."""
        import jax

        key = what, n, m, verb
        if key not in self.calls:
            self.calls[key] = getattr(self, what)(n, m, verb)
            jax.block_until_ready(self.calls[key]())
        start = time.perf_counter()
        jax.block_until_ready(self.calls[key]())
        return time.perf_counter() - start

    def local(self, n: int, m: int, verb: str):
        """A pass over n x m pairs of this process's own."""
        import jax.numpy as jnp

        x, y, f, g = (jnp.asarray(array) for array in _problem(n, m))
        return _pass(_cloud(x, y), f, g, verb)

    def sharded(self, n: int, m: int, verb: str):
        """A pass over n x m pairs by all processes."""
        from jaxcolor import Measure, Sharded, shard
        from jaxcolor.sharding import line_of, replicated

        x, y, f, g = _problem(n, m)
        mesh = line_of()
        x = shard(Measure(x, f)).points  # pyright: ignore[reportArgumentType]
        y, f, g = replicated((y, f, g), mesh)
        return _pass(Sharded(_cloud(x, y), mesh), f, g, verb)

    def gather(self, n: int, m: int, verb: str):
        return self._collective(n, gathered=True)

    def reduce(self, n: int, m: int, verb: str):
        return self._collective(m, gathered=False)

    def _collective(self, size: int, gathered: bool):
        """n numbers, of which every process has a part, or m, of which each has its own."""
        import jax
        import numpy as np
        from jax.sharding import NamedSharding, PartitionSpec

        from jaxcolor.sharding import AXIS, divided, line_of

        mesh = line_of()
        one = PartitionSpec(AXIS)
        if gathered:
            own = divided(np.ones(size, np.float32), mesh)
            whole = NamedSharding(mesh, PartitionSpec())
            call = jax.jit(lambda x: jax.lax.with_sharding_constraint(x, whole))
        else:
            own = divided(np.ones((mesh.size, size), np.float32), mesh)

            def add(x):
                return jax.lax.psum(x[0], AXIS)

            call = jax.jit(jax.shard_map(add, mesh=mesh, in_specs=one, out_specs=PartitionSpec()))
        return lambda: call(own)


def _problem(n: int, m: int):
    import numpy as np

    rng = np.random.default_rng(0)
    shapes = ((n, 3), (m, 3), (n,), (m,))
    return [rng.random(shape, dtype=np.float32) for shape in shapes]


def _cloud(x, y):
    from jaxcolor import Cloud

    return Cloud(x, y)


def _pass(kernel, f, g, verb: str):
    """A call of one of the `VERBS`."""
    import jax
    import jax.numpy as jnp

    epsilon = jnp.float32(5e-3)
    if verb == VERBS[0]:
        call = jax.jit(lambda k, f, g: k.softmin(g, epsilon, 1))
        return lambda: call(kernel, f, g)
    if verb == VERBS[1]:
        call = jax.jit(lambda k, f, g: k.softmin(f, epsilon, 0))
        return lambda: call(kernel, f, g)
    rows, _ = jax.jit(lambda k, g: k.rows(g, epsilon, False))(kernel, g)
    if verb == VERBS[2]:
        call = jax.jit(lambda rows, v: rows.forward(v))
        return lambda: call(rows, g)
    call = jax.jit(lambda rows, u: rows.backward(u))
    return lambda: call(rows, f)


def work(index: int, count: int, port: int) -> None:
    worker = Worker(index, count, port)
    for line in sys.stdin:
        print("done", worker.time(**json.loads(line)), flush=True)


class Processes:
    """Some workers that are asked at once."""

    def __init__(self, count: int):
        port = free_port()
        self.workers = [
            subprocess.Popen(
                [sys.executable, __file__, "--worker", str(index), str(count), str(port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for index in range(count)
        ]

    def time(self, what: str, n: int, m: int, verb: str = "") -> float:
        """Seconds, of the slowest."""
        asked = {"what": what, "n": n, "m": m, "verb": verb}
        for worker in self.workers:
            assert worker.stdin is not None
            worker.stdin.write(json.dumps(asked) + "\n")
            worker.stdin.flush()
        return max(float(_answer(worker)) for worker in self.workers)

    def end(self) -> None:
        for worker in self.workers:
            assert worker.stdin is not None
            worker.stdin.close()
        for worker in self.workers:
            worker.wait(60)


def _answer(worker: subprocess.Popen) -> str:
    assert worker.stdout is not None
    for line in worker.stdout:
        if line.startswith("done "):
            return line[5:]
    raise RuntimeError("a process of the benchmark ended")


def measure(sizes: list[int]) -> dict:
    """Rates, what sending costs, and passes beside what the model says of them."""
    groups = {count: Processes(count) for count in (1, 2)}
    record: dict = machine(("jax", "jaxlib", "numpy")) | {"rates": {}, "sent": {}, "passes": []}
    try:
        for n in sizes:
            for kind in ("gather", "reduce"):
                times = [groups[2].time(kind, n, n) for _ in range(21)]
                record["sent"][f"{kind} {n}"] = median(times)
        for n in sizes:
            for verb in VERBS:
                for count, group in groups.items():
                    sent = sum(record["sent"][f"{kind} {n}"] for kind in SENT[verb])
                    one = one_pass(group, n, verb, count, sent if count > 1 else 0)
                    record["rates"][f"{verb}, {count}"] = one["rate"]
                    record["passes"].append(one)
                    print(one, file=sys.stderr)
    finally:
        for group in groups.values():
            group.end()
    return record


def one_pass(group: Processes, n: int, verb: str, count: int, sent: float) -> dict:
    """A pass beside its model, whose rate is measured just before and after each of its repeats.

    The machine is noisy: a ratio within one round holds, and the median of those is told.
    """
    what, rounds = ("sharded" if count > 1 else "local"), []

    def rate():
        small = [group.time("local", CALIBRATED, CALIBRATED, verb) for _ in range(4)]
        return CALIBRATED**2 / median(small)

    before = rate()
    for _ in range(ROUNDS):
        seconds, after = group.time(what, n, n, verb), rate()
        both = (before + after) / 2
        model = n**2 / (count * both) + sent
        rounds.append({"seconds": seconds, "model": model, "ratio": seconds / model, "rate": both})
        before = after
    middle = sorted(rounds, key=lambda one: one["ratio"])[ROUNDS // 2]
    return {"verb": verb, "n": n, "processes": count, "sent": sent, "rounds": rounds} | middle


def paper(n: int, devices: int) -> dict:
    """One Sinkhorn iteration over n x n pairs in 3-D: two passes, on paper, a device at a time.

    Sent by rings: of a gather of n floats a device receives all but its own, a reduction of n
    floats is a scatter and a gather. The rows' pass gathers n; the columns' reduces a maximum and
    a sum of n each.
    """
    pairs = 2 * n * n / devices
    others = (devices - 1) / devices
    sent = 4 * n * others * (1 + 2 * 2)
    place = "inside" if devices <= MACHINE else "outside"
    collectives = 3 if devices > 1 else 0
    seconds = {
        "exps": pairs / DEVICE["exps"],
        "memory": 2 * (16 * n + 20 * n / devices) / DEVICE["memory"],
        "sent": sent / DEVICE[place] + collectives * LATENCY[place],
    }
    return {
        "n": n,
        "devices": devices,
        "exps": pairs,
        "flops": FLOPS * pairs,
        "bytes from memory": 2 * (16 * n + 20 * n / devices),
        "bytes sent": sent,
        "collectives": collectives,
        "held": 16 * n / devices + 16 * n + 8 * 4 * n,
        "seconds": seconds,
        "share sent": seconds["sent"] / (seconds["exps"] + seconds["sent"]),
    }


def on_paper(records: list[dict]) -> str:
    lines = [
        "| n | devices | exps | flops | from memory | sent | collectives | exps, ms | sent, ms |"
    ]
    lines.append("|---" * 9 + "|")
    for one in records:
        taken = {name: 1e3 * seconds for name, seconds in one["seconds"].items()}
        lines.append(
            f"| {one['n']:,} | {one['devices']} | {one['exps']:.2e} | {one['flops']:.1e} "
            f"| {one['bytes from memory'] / 1e6:.0f} MB | {one['bytes sent'] / 1e6:.1f} MB "
            f"| {one['collectives']} | {taken['exps']:.1f} | {taken['sent']:.2f} |"
        )
    return "\n".join(lines)


def show(record: dict) -> str:
    lines = ["| pass | n | processes | seconds | model | measured / model |", "|---" * 6 + "|"]
    for one in record["passes"]:
        lines.append(
            f"| {one['verb']} | {one['n']:,} | {one['processes']} | {one['seconds']:.3f} "
            f"| {one['model']:.3f} | {one['ratio']:.2f} |"
        )
    lines += ["", "| pairs a second and core | alone | beside another |", "|---|---|---|"]
    for verb in VERBS:
        one, two = (record["rates"][f"{verb}, {count}"] for count in (1, 2))
        lines.append(f"| {verb} | {one:.2e} | {two:.2e} |")
    lines += ["", "| sent between two processes | seconds |", "|---|---|"]
    lines += [f"| {kind}, floats | {seconds:.1e} |" for kind, seconds in record["sent"].items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 40_000])
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--worker", type=int, nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(*args.worker)
        return
    record = measure(args.sizes)
    record["paper"] = [paper(1_000_000, devices) for devices in (1, 8, 64)]
    print(show(record), on_paper(record["paper"]), sep="\n\n")
    save(args.out, record)


if __name__ == "__main__":
    main()
