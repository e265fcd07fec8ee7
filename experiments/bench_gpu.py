"""Entropic transport between large clouds on a GPU, against OTT-JAX, flash-sinkhorn and GeomLoss.

    python experiments/bench_gpu.py [--json FILE] [--sizes 10000 40000 100000]
        [--epsilons 2e-4 8e-4 5e-3] [--error 1e-3] [--rounds 7] [--smoke]

Clouds look like colours: mixtures of Gaussians clipped to the unit cube, cost |x - y|^2. Every side
is stopped at the same row plus column L1 error of the potentials that it returns, computed here in
float64, the same for all: solvers with a tolerance are given it, the others as few iterations, or
as coarse an annealing, as reach it. A side that does not is listed with its own error. Peers that
are not installed, or fail, are listed with the reason.

Compiling is timed apart; then sides alternate. The share of the roofline is of the exponentials
that the GPU's special function units can do: 16 a clock on each multiprocessor.

Without a GPU nothing is measured, and the table says so. --smoke runs everything on a CPU, at a
size where no figure means anything, with the GPU kernel simulated.
"""

import argparse
import itertools
import json
import os
import subprocess
import warnings
from pathlib import Path

import harness
import jax
import jax.numpy as jnp
import numpy as np
from gpu_sides import (
    Case,
    colours,
    compiled,
    flash_sides,
    geomloss_sides,
    jaxcolor_sides,
    ott_sides,
    switched,
)

from jaxcolor.transport import kernels

PACKAGES = ("jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin", "numpy", "ott-jax",
            "flash-sinkhorn", "geomloss", "pykeops", "torch")  # fmt: skip
UNMEASURED = "no GPU: not measured"
OURS = "jaxcolor newton, mosaic"
PER_CLOCK = 16  # exponentials of one multiprocessor
H200 = {"multiprocessors": 132, "clock": 1.98e9}


def bench(case: Case, hows: tuple[str, ...], rounds: int, device: dict | None) -> dict:
    """Every side on one problem: times, errors, what was left out and why; a table."""
    sides, compiling, left_out = {}, {}, {}
    makers = (jaxcolor_sides(case, hows), ott_sides(case), flash_sides(case), geomloss_sides(case))
    for name, make in itertools.chain(*makers):
        try:
            side, compiling[name] = make()
            f, g, *_ = side()
            if not np.isfinite(case.error((f, g))):
                raise FloatingPointError("its potentials are not finite")
            sides[name] = side
        except Exception as failure:  # a peer's, whatever it is
            left_out[name] = f"{type(failure).__name__}: {str(failure)[:200]}"
    timings = harness.interleave(sides, rounds, budget=300)
    errors, shares = {}, {}
    for name, side in sides.items():
        f, g, *passes = side()
        errors[name] = case.error((f, g))
        if passes and device:
            rate = int(passes[0]) * case.n**2 / timings[name].median
            shares[name] = rate / roofline(device)
    ours = OURS if OURS in sides else next(iter(sides))
    extra = {
        name: {
            "compiling, s": f"{compiling[name]:.1f}",
            "L1": f"{errors[name]:.1e}" + (" (not reached)" * (errors[name] > 1.05 * case.goal)),
            "roofline": f"{100 * shares[name]:.0f} %" if name in shares else "",
        }
        for name in sides
    }
    print(f"\nn = m = {case.n:,}, epsilon {case.epsilon:g}, to L1 {case.goal:g}\n")
    print(harness.table(timings, ours, extra))
    print("\n".join(f"left out: {name}: {why}" for name, why in left_out.items()), flush=True)
    return {"n": case.n, "epsilon": case.epsilon, "goal": case.goal, "timings": timings,
            "compiling": compiling, "errors": errors, "roofline": shares,
            "left_out": left_out}  # fmt: skip


def passes(n: int, hows: tuple[str, ...], rounds: int, device: dict | None) -> dict:
    """One log-sum-exp over n x n pairs, and one product: exponentials a second."""
    x, y, h = colours(n, 0), colours(n, 1), np.zeros(n, np.float32)
    epsilon = jnp.float32(8e-4)

    def softmin(x, y, h):
        return kernels.Cloud(x, y).softmin(h, epsilon, 1)

    def product(x, y, h):  # with a normaliser that costs nothing
        return kernels.Streamed(kernels.Cloud(x, y), h, epsilon, h).forward(h)

    sides = {}
    for (name, one), how in itertools.product({"softmin": softmin, "S v": product}.items(), hows):
        with switched(how):
            sides[f"{name}, {how}"], _ = compiled(one, (x, y, h))
    timings = harness.interleave(sides, rounds)
    rates = {name: n * n / t.median for name, t in timings.items()}
    shares = {name: rate / roofline(device) for name, rate in rates.items()} if device else {}
    extra = {
        name: {
            "exponentials/s": f"{rates[name]:.2e}",
            "roofline": f"{100 * shares[name]:.0f} %" if device else "",
        }
        for name in sides
    }
    print(f"\none pass over {n:,} x {n:,} pairs\n")
    print(harness.table(timings, next(iter(sides)), extra), flush=True)
    return {"n": n, "timings": timings, "rates": rates, "roofline": shares}


def gpu() -> dict | None:
    """The GPU: its name, multiprocessors, greatest clock in Hz; nothing where there is none."""
    device = jax.devices()[0]
    if device.platform != "gpu":
        return None
    asked = ["nvidia-smi", "--query-gpu=clocks.max.sm", "--format=csv,noheader,nounits"]
    try:
        clock = 1e6 * float(subprocess.run(asked, capture_output=True, text=True).stdout.split()[0])
    except (OSError, ValueError, IndexError):
        clock = H200["clock"]
    count = getattr(device, "core_count", None) or H200["multiprocessors"]
    return {"name": device.device_kind, "multiprocessors": count, "clock": clock}


def roofline(device: dict) -> float:
    """Exponentials a second."""
    return device["multiprocessors"] * PER_CLOCK * device["clock"]


def measure(args: argparse.Namespace, hows: tuple[str, ...], device: dict | None) -> dict:
    return {
        "passes": [passes(n, hows, args.rounds, device) for n in args.sizes],
        "table": [
            bench(Case(n, epsilon, args.error), hows, args.rounds, device)
            for n, epsilon in itertools.product(args.sizes, args.epsilons)
        ],
    }


def smoke(args: argparse.Namespace) -> dict:
    """Everything once on a CPU: the kernel simulated, clouds of two dozen points."""
    args.sizes, args.epsilons, args.rounds = [24], [0.1], 0
    before, kernels.COMPACT = kernels.COMPACT, 0  # or clouds so small would become matrices
    try:
        return measure(args, ("interpret", "xla"), None)
    finally:
        kernels.COMPACT = before


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--json", type=Path, help="also write the figures")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 40_000, 100_000])
    parser.add_argument("--epsilons", type=float, nargs="+", default=[2e-4, 8e-4, 5e-3])
    parser.add_argument("--error", type=float, default=1e-3, help="row plus column L1")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--smoke", action="store_true", help="on a CPU: does it run at all?")
    args = parser.parse_args(words)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # Torch wants some memory too
    warnings.filterwarnings("ignore")  # the peers'
    device = gpu()
    record: dict = {"machine": harness.machine(PACKAGES), "gpu": device, "smoke": args.smoke}
    if args.smoke:
        record |= smoke(args)
    elif device is None:
        record["table"] = UNMEASURED
        print(UNMEASURED)
    else:
        print(json.dumps(device))
        record |= measure(args, ("mosaic", "xla"), device)
    if args.json:
        harness.save(args.json, record)


if __name__ == "__main__":
    main()
