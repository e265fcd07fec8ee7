"""What the learned start owes to its loss, its looks, its width, its seed: short trainings of each.

    python experiments/ablate_warm_start.py FOLDER [--steps 3000] [--json FILE] [--only NAME ...]

FOLDER keeps the pool of palettes and every training; one that is finished is not repeated. Judged
on pairs of $JAXCOLOR_DATA's training palettes (never trained on), else of held-out made-up scenes:
the error of the potentials in CIELAB units, Newton steps and passes to 1e-4 at epsilon .1 from
each network's guess at the best of four epsilons to begin at, and the network's time a pair.
"""

import argparse
import shutil
from functools import partial
from pathlib import Path

import harness
import jax
import jax.numpy as jnp
import numpy as np
from bench_transfer import data_folder

from jaxcolor.amortize import store, train
from jaxcolor.amortize.model import LOOKS, Network, potential
from jaxcolor.measure import Measure
from jaxcolor.transport.costs import Euclidean
from jaxcolor.transport.coupling import Start
from jaxcolor.transport.solvers import solve_batch

PACKAGES = ("jax", "jaxlib", "numpy", "optax")
BEGIN = (0.1, 0.2, 0.3, 0.5)
STANDARD = "semi-dual, two looks, width 160"
RUNS: dict[str, list[str]] = {
    STANDARD: [],
    "seed 1": ["--seed", "1"],
    "seed 2": ["--seed", "2"],
    "marginal error after 3 sweeps, through them": ["--loss", "unrolled"],
    "the solver's potentials": ["--loss", "solved"],
    "no look": ["--looks"],
    "one look": ["--looks", str(LOOKS[0])],
    "three looks": ["--looks", *map(str, LOOKS), "0.006"],
    "width 64": ["--width", "64", "--inner", "24"],
    "width 320": ["--width", "320", "--inner", "128"],
}


def trained(folder: Path, name: str, words: list[str], args: argparse.Namespace) -> Network:
    """The network of one run; they share the folder's pool."""
    place = folder / name.replace(" ", "_").replace(",", "")
    place.mkdir(parents=True, exist_ok=True)
    for file in ("pool.npz", "validation.npz"):
        if (folder / file).exists() and not (place / file).exists():
            shutil.copy(folder / file, place / file)
    if not (place / "weights.npz").exists():
        every = ["--steps", str(args.steps), "--every", "600"]
        words = [str(place), *every, *words]
        if args.validation:
            words += ["--validation", str(args.validation)]
        train.run(train.parser().parse_args(words))
    for file in ("pool.npz", "validation.npz"):
        if not (folder / file).exists() and (place / file).exists():
            shutil.copy(place / file, folder / file)
    return store.load_network(place / "weights.npz")


@jax.jit
def guesses(network: Network, sources: Measure, targets: Measure):
    """(B, m) potentials, one pair after another, as a solver would ask for them."""

    def one(pair):
        x, a, y, b = pair
        return potential(network, x, a, y, b, jnp.float32(0.1))

    parts = sources.points, sources.weights, targets.points, targets.weights
    return jax.lax.map(one, parts)


def judged(network: Network, sources: Measure, targets: Measure, truth) -> dict:
    g = guesses(network, sources, targets)
    gap = g - truth
    gap = gap - jnp.median(gap, 1, keepdims=True)
    off = np.sqrt((targets.weights * gap**2).sum(1))
    solve = partial(solve_batch, sources, targets, epsilon=0.1, cost=Euclidean(), tol=1e-4)
    infos = {e: solve(init=Start(g, jnp.full(len(g), e))).info for e in BEGIN}
    best = min(BEGIN, key=lambda e: float(infos[e].steps.mean()))
    timing = harness.interleave(
        {"network": lambda: guesses(network, sources, targets).block_until_ready()}, rounds=5
    )
    return {
        "rms": np.percentile(off, (25, 50, 75, 95)).tolist(),
        "begin": best,
        "steps": np.percentile(infos[best].steps, (0, 25, 50, 75, 100)).tolist(),
        "mean steps": float(infos[best].steps.mean()),
        "mean passes": float(infos[best].passes.mean()),
        "failures": int((infos[best].status != 0).sum()),
        "microseconds": 1e6 * timing["network"].median / len(g),
    }


def table(rows: dict[str, dict]) -> str:
    lines = [
        "| | off by, CIELAB: median (95 %) | begun at | Newton steps: median, mean, most | passes "
        "| failed | network, microseconds |",
        "|---" * 7 + "|",
    ]
    for name, r in rows.items():
        steps = f"{r['steps'][2]:.0f}, {r['mean steps']:.2f}, {r['steps'][4]:.0f}"
        lines.append(
            f"| {name} | {r['rms'][1]:.2f} ({r['rms'][3]:.2f}) | {r['begin']} | {steps} "
            f"| {r['mean passes']:.0f} | {r['failures']} | {r['microseconds']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--json", help="also write the figures")
    parser.add_argument("--only", nargs="+", default=list(RUNS))
    parser.add_argument("--weights", nargs="*", default=[], help="networks trained elsewhere, too")
    args = parser.parse_args()
    file = data_folder() / "palettes_bsds500_train.npz"
    args.validation = file if file.is_file() else None
    args.folder.mkdir(parents=True, exist_ok=True)
    held = store.held_out(args.folder / "validation.npz", args.validation)
    tests = train.solved(held, 0.1)
    cold = solve_batch(*tests[:2], epsilon=0.1, cost=Euclidean(), tol=1e-4).info
    rows = {}
    for name in args.only:
        rows[name] = judged(trained(args.folder, name, RUNS[name], args), *tests)
    for path in args.weights:
        rows[path] = judged(store.load_network(path), *tests)
    print(
        f"{args.steps} training steps each; cold: median {np.median(cold.steps):.0f} steps, "
        f"mean {cold.steps.mean():.2f}, passes {cold.passes.mean():.0f}\n"
    )
    print(table(rows))
    if args.json:
        record = {"steps": args.steps, "cold": float(cold.steps.mean()), "rows": rows}
        harness.save(args.json, {"machine": harness.machine(PACKAGES), **record})


if __name__ == "__main__":
    main()
