"""Train the network: `python -m jaxcolor.amortize.train FOLDER`.

Data, weights, progress and the loss curve go to FOLDER; the same command goes on where it stopped,
to the bit. No labels are needed; a validation set that training never sees is solved to compare.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from jaxcolor import stop

if __name__ == "__main__":  # before what takes long to import
    stop.listen("training")

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.amortize import data, store
from jaxcolor.amortize.loss import LOSSES, semi_dual
from jaxcolor.amortize.model import LOOKS, Network, initial, potentials
from jaxcolor.measure import Measure
from jaxcolor.tree import pytree

INNER = 20  # steps between two looks at the clock
VALIDATION = 256  # pairs
EPSILON = (0.05, 10.0)
SMALL = 0.5  # half of the problems are below


@pytree
class State:
    """All that training needs to go on."""

    network: Network
    average: Network  # exponential, over about a thousand steps: what is kept in the end
    moments: object  # optax's
    step: Array


def optimizer(rate: float, steps: int):
    """Adam with decoupled decay, clipped, warmed up, cooled down by a cosine."""
    import optax

    warm = max(min(200, steps // 10), 1)
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, warm, max(steps, warm + 1))
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=1e-4))


def pairs(key: Array, pool: Measure, made: int, count: int) -> tuple[Measure, Measure, Array]:
    """Sources, targets and epsilons: half of the palettes made up (the pool's first `made`)."""
    kinds, first, second, bend, small, level = jax.random.split(key, 6)
    total = pool.points.shape[0]
    made_up = jax.random.randint(first, (2 * count,), 0, made)
    real = jax.random.randint(second, (2 * count,), made if total > made else 0, total)
    pick = jnp.where(jax.random.bernoulli(kinds, 0.5, (2 * count,)), made_up, real)
    both = data.bent(bend, Measure(pool.points[pick], pool.weights[pick]))
    sources, targets = (jax.tree.map(lambda z, s=s: z[s::2], both) for s in (0, 1))
    low, high = EPSILON
    top = jnp.where(jax.random.bernoulli(small, 0.5, (count,)), SMALL, high)
    share = jax.random.uniform(level, (count,))
    return sources, targets, low * (top / low) ** share


def stepper(tool, pool: Measure, made: int, batch: int, devices: int, loss=semi_dual):
    """A function (state) -> (state, losses) of INNER steps, each on all devices."""
    mesh = jax.make_mesh((devices,), ("d",))
    whole = jax.sharding.PartitionSpec()

    def one(state: State, _):
        def part(network, key, pool):
            own = jax.random.fold_in(key, jax.lax.axis_index("d"))

            def value(network):
                return loss(network, *pairs(own, pool, made, batch // devices))

            return jax.lax.pmean(jax.value_and_grad(value)(network), "d")

        key = jax.random.fold_in(jax.random.key(1), state.step)
        value, slope = jax.shard_map(
            part, mesh=mesh, in_specs=whole, out_specs=whole, check_vma=False
        )(state.network, key, pool)
        change, moments = tool.update(slope, state.moments, state.network)
        network = jax.tree.map(lambda p, u: p + u, state.network, change)
        slow = jnp.minimum(0.999, 1 - 1 / (state.step + 2.0))
        average = jax.tree.map(lambda e, p: slow * e + (1 - slow) * p, state.average, network)
        return State(network, average, moments, state.step + 1), value

    @jax.jit
    def many(state: State):
        return jax.lax.scan(one, state, length=INNER)

    return many


def solved(pool: Measure, epsilon: float, seed: int = 7) -> tuple[Measure, Measure, Array]:
    """Pairs of a pool, and the potentials that they should have."""
    from jaxcolor.iterate import check
    from jaxcolor.transport.costs import Euclidean
    from jaxcolor.transport.solvers import solve_batch

    rng = np.random.default_rng(seed)
    picks = np.array([rng.choice(len(pool.points), 2, False) for _ in range(VALIDATION)])
    weights = pool.weights / pool.weights.sum(1, keepdims=True)
    sources, targets = (Measure(pool.points[i], weights[i]) for i in picks.T)
    coupling = solve_batch(sources, targets, epsilon=epsilon, cost=Euclidean(), tol=1e-3)
    check(coupling.info)
    return sources, targets, coupling.g


@jax.jit
def distance(network: Network, sources: Measure, targets: Measure, g: Array, epsilon: Array):
    """Root mean square error of each pair's potential, in CIELAB units."""
    ours = potentials(network, sources, targets, jnp.full(g.shape[0], epsilon))
    gap = ours - g
    gap = gap - jnp.median(gap, 1, keepdims=True)
    return jnp.sqrt((targets.weights * gap**2).sum(1))


def run(args: argparse.Namespace) -> None:
    """Train as asked, from where the folder stands."""
    folder = Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    store.sweep(folder)
    pool, made = store.pool(folder / "pool.npz", args.scenes, args.photos)
    held = store.held_out(folder / "validation.npz", args.validation)
    tool = optimizer(args.rate, args.steps)
    key = jax.random.key(args.seed)
    network = initial(key, hidden=args.width, inner=args.inner, looks=tuple(args.looks))
    if args.begin:
        network = jax.tree.map(jnp.asarray, store.load_network(args.begin))
    state = State(network, network, tool.init(network), jnp.int32(0))  # pyright: ignore[reportArgumentType]
    record = {"steps": [], "loss": [], "rms": [], "seconds": 0.0}
    state, record = store.resume(folder, state, record)
    tests = solved(held, 0.1)
    many = stepper(tool, pool, made, args.batch, len(jax.devices()), LOSSES[args.loss])
    began = time.perf_counter() - record["seconds"]
    _loop(args, folder, state, record, tests, many, began)


def _loop(args, folder: Path, state: State, record: dict, tests, many, began: float) -> None:
    from tqdm import tqdm

    done = int(state.step)
    last = time.perf_counter()
    with tqdm(total=args.steps, initial=done, unit="step", disable=None) as bar:
        losses = []
        while done < args.steps:
            state, values = many(state)
            losses.append(float(values.mean()))
            done += INNER
            bar.update(INNER)
            if time.perf_counter() - last < args.every and done < args.steps:
                continue
            last = time.perf_counter()
            rms = float(jnp.median(distance(state.average, *tests, jnp.float32(0.1))))
            record["steps"].append(done)
            record["loss"].append(float(np.mean(losses)))
            record["rms"].append(rms)
            record["seconds"] = last - began
            losses = []
            store.checkpoint(folder, state, record)
            bar.set_postfix(rms=f"{rms:.3f}")
            print(f"step {done}: off by {rms:.3f} CIELAB units", file=sys.stderr, flush=True)
    store.save_network(folder / "weights.npz", state.average)
    store.plot(folder / "loss.png", record)
    print(json.dumps({"steps": done, "rms": record["rms"][-1] if record["rms"] else None}))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jaxcolor.amortize.train", description=__doc__)
    parser.add_argument("folder", help="for everything that is written; an old one is resumed")
    parser.add_argument("--begin", help="weights to begin from, such as those of another folder")
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--batch", type=int, default=128, help="pairs a step")
    parser.add_argument("--rate", type=float, default=2e-3, help="greatest learning rate")
    parser.add_argument("--loss", choices=LOSSES, default="semi-dual")
    parser.add_argument("--looks", type=float, nargs="*", default=LOOKS)
    parser.add_argument("--width", type=int, default=160, help="of the encoder")
    parser.add_argument("--inner", type=int, default=64, help="width of a correction")
    parser.add_argument("--scenes", type=int, default=10_048, help="made-up pictures in the pool")
    parser.add_argument("--photos", help="a folder of photographs, for the other half of the pool")
    parser.add_argument("--validation", help="an .npz with points and weights, never trained on")
    parser.add_argument("--every", type=float, default=60, help="seconds between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cores", type=int, help="to work on; by default all")
    return parser


def main(arguments: list[str] | None = None) -> None:
    args = parser().parse_args(arguments)
    cores = args.cores or (os.cpu_count() or 1)
    # a device for each core: XLA runs the small operations of one on one core
    devices = max(c for c in (1, 2, 4, 8) if c <= cores)
    if args.batch % devices or args.batch < 1:
        raise SystemExit(
            f"--batch {args.batch} cannot be divided between {devices} cores: take a multiple of "
            f"{devices}, or fewer --cores"
        )
    jax.config.update("jax_num_cpu_devices", devices)
    run(args)


if __name__ == "__main__":
    code = 1
    try:
        main()
        code = 0
    except (ValueError, OSError) as error:
        sys.exit(f"training: {error}")
    finally:
        stop.done(code)  # as the command ends
