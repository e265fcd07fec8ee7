"""Which optimizer should drive a flow of the sliced distance? Photographs flowing to a common look.

    python experiments/flows.py [--folder experiments]

The colours of seven photographs (scikit-image's and scikit-learn's; 4,096 points of each) flow to
the sliced barycenter of all: `transport.flow`, three fresh orthonormal directions a step. Every
optimizer gets budgets of 10, 30 and 100 steps, which its schedule spans, and at each the best of a
few rates. Loss: SW_2 to the look along 64 directions that no flow uses, mean of the photographs.
Fall of the mean pairwise SW2 and median SSIM: of the pictures themselves, after 30 steps.

What one learns: take `sgd(1.0)`, the default. At the look all directions agree that nothing should
move, so the noise of fresh ones dies out by itself: a falling rate loses steps in short flows and
gains none in long ones, and so does momentum. Adam's steps are of one size whatever is left to go:
it is behind at every budget, and tears neighbouring colours apart (contours, false colours).

A flow is a map of colours: its optimizer must move each point by what it knows of that point alone.
`pointwise` tests that on some of optax's; `adamw` passes, but its decay pulls colours to black.
Needs the `bench` extra.
"""

import argparse
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path

import harness
import jax
import jax.numpy as jnp
import numpy as np
import optax
from figures_common import BLUE, INKS, RED
from jax import Array
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from photographs import photographs

from jaxcolor.image import colors
from jaxcolor.image.apply import apply
from jaxcolor.image.metrics import ssim
from jaxcolor.image.pixels import view
from jaxcolor.image.spaces import Srgb
from jaxcolor.measure import Measure, stack
from jaxcolor.recipes.look import Look
from jaxcolor.transport import directions, flow
from jaxcolor.transport.sliced_distance import distance

PACKAGES = ("jax", "jaxlib", "numpy", "optax", "scikit-image", "scikit-learn")
POINTS, BUDGETS, SHOWN = 4096, (10, 30, 100), 30
KEY = jax.random.key(0)
HELD_OUT = directions.quadrature(64, 3)
CUTS = (1, 2, 4, 7, 10, 20, 30, 50, 70, 100)

Make = Callable[[float | Array, int], optax.GradientTransformation]


def momentum(rate) -> optax.GradientTransformation:
    return optax.sgd(rate, momentum=0.5)


def shaped(optimizer: Callable, shape: Callable[[int], optax.Schedule]) -> Make:
    """(rate, steps) -> the optimizer at rate times a schedule over so many steps, at most one."""

    def make(rate, steps):
        schedule = shape(steps)
        return optimizer(lambda step: rate * schedule(step))

    return make


def constant(steps: int) -> optax.Schedule:
    return optax.constant_schedule(1.0)


def exponential(steps: int) -> optax.Schedule:
    return optax.exponential_decay(1.0, steps, 0.05)


def cosine(steps: int) -> optax.Schedule:
    return optax.cosine_decay_schedule(1.0, steps)


def warmup(steps: int) -> optax.Schedule:
    """Up for a tenth of the steps, then down a cosine."""
    return optax.warmup_cosine_decay_schedule(0.1, 1.0, max(1, steps // 10), steps)


DESCENT, HEAVY, ADAM = (0.5, 1.0, 1.5), (0.3, 0.45, 0.6, 1.0), (0.03, 0.1, 0.3)
OPTIMIZERS: dict[str, tuple[Make, tuple[float, ...]]] = {
    "sgd": (shaped(optax.sgd, constant), DESCENT),
    "sgd, exponential": (shaped(optax.sgd, exponential), DESCENT),
    "sgd, cosine": (shaped(optax.sgd, cosine), DESCENT),
    "momentum": (shaped(momentum, constant), HEAVY),
    "momentum, cosine": (shaped(momentum, cosine), HEAVY),
    "adam": (shaped(optax.adam, constant), ADAM),
    "adam, cosine": (shaped(optax.adam, cosine), ADAM),
    "adam, warmup + cosine": (shaped(optax.adam, warmup), ADAM),
}


# --- which are valid ----------------------------------------------------------------------------

CANDIDATES: dict[str, optax.GradientTransformation] = {
    "sgd": optax.sgd(0.1),
    "momentum": momentum(0.1),
    "adam": optax.adam(0.1),
    "adamw": optax.adamw(0.1),
    "adabelief": optax.adabelief(0.1),
    "adagrad": optax.adagrad(0.1),
    "rmsprop": optax.rmsprop(0.1),
    "lion": optax.lion(0.1),
    "lamb": optax.lamb(0.1),
    "lars": optax.lars(0.1),
    "novograd": optax.novograd(0.1),
    "adafactor": optax.adafactor(0.1),
    "sgd, global norm clipped": optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(0.1)),
}


def pointwise(optimizer: optax.GradientTransformation) -> bool:
    """Whether three updates of eight points equal those of the first four and the others apart."""
    rng = np.random.default_rng(0)
    x, fields = (jnp.asarray(rng.normal(size=(*s, 3, 8)), jnp.float32) for s in ((), (3,)))

    def run(x, fields):
        state = optimizer.init(x)
        for field in fields:
            updates, state = optimizer.update(field, state, x)
            x = jnp.asarray(optax.apply_updates(x, updates))
        return x

    halves = [run(x[:, part], fields[:, :, part]) for part in (slice(4), slice(4, 8))]
    return bool(jnp.allclose(run(x, fields), jnp.concatenate(halves, 1), atol=1e-6))


# --- losses -------------------------------------------------------------------------------------


@partial(jax.jit, static_argnames=("make", "steps", "cuts"))
def positions(
    sources: Measure, goal: Measure, rates: Array, make: Make, steps: int, cuts: tuple[int, ...]
) -> Array:
    """(rates, cuts, K, n, 3): K clouds after so many of the steps, at each rate."""

    def at(rate):
        optimizer = make(rate, steps)

        def one(source, key):
            T = flow.solve(source, goal, key, optimizer=optimizer, steps=steps)
            parts = [jax.tree.map(lambda leaf: leaf[:cut], T) for cut in cuts]  # noqa: B023
            return jnp.stack([part(source.points) for part in parts])

        keys = jax.random.split(KEY, len(sources.points))
        return jnp.moveaxis(jax.vmap(one)(sources, keys), 0, 1)

    return jax.lax.map(at, rates)


@jax.jit
def loss(points: Array, weights: Array, goal: Measure) -> Array:
    """Mean SW_2 of K clouds (K, n, 3) to the goal, along directions held out."""

    def one(cloud):
        return distance(Measure(*cloud), goal, HELD_OUT)

    return jax.lax.map(one, (points, weights)).mean()


def trained(sources: Measure, goal: Measure, name: str) -> dict:
    """Best loss and rate at each budget, and the way there with the largest."""
    make, rates = OPTIMIZERS[name]
    found, path = {}, []
    for steps in BUDGETS:
        cuts = CUTS if steps == CUTS[-1] else (steps,)
        clouds = positions(sources, goal, jnp.asarray(rates), make, steps, cuts)
        paths = [[float(loss(x, sources.weights, goal)) for x in way] for way in clouds]
        best = int(np.argmin([path[-1] for path in paths]))
        path = paths[best]
        found[steps] = {"loss": path[-1], "rate": rates[best]}
    return {"budgets": found, "path": path}


# --- pictures -----------------------------------------------------------------------------------


def optimizer_of(name: str, found: dict) -> optax.GradientTransformation:
    """At the best rate for the steps shown."""
    return OPTIMIZERS[name][0](found["budgets"][SHOWN]["rate"], SHOWN)


def stacked(pictures: list[np.ndarray]) -> Measure:
    return stack(*[colors.sample(view(picture), size=POINTS) for picture in pictures])


@jax.jit
def spread(clouds: Measure) -> Array:
    """Mean pairwise SW_2 of K clouds."""
    pairs = jnp.array(list(combinations(range(len(clouds.points)), 2)))

    def between(pair):
        first, second = (jax.tree.map(lambda leaf: leaf[k], clouds) for k in pair)  # noqa: B023
        return distance(first, second, HELD_OUT)

    return jax.lax.map(between, pairs).mean()


def carried(pictures: list[np.ndarray], sources: Measure, goal: Measure, optimizer):
    keys = jax.random.split(KEY, len(pictures))
    results = []
    for k, picture in enumerate(pictures):
        source = jax.tree.map(lambda leaf: leaf[k], sources)  # noqa: B023
        T = flow.solve(source, goal, keys[k], optimizer=optimizer, steps=SHOWN)
        results.append(apply(T, picture))
    return results


def run(pictures: dict[str, np.ndarray], rounds: int) -> tuple[dict, dict[str, list[np.ndarray]]]:
    originals = list(pictures.values())
    goal = Look(originals).measure(Srgb(), np.float32, size=POINTS)
    sources = stacked(originals)
    before = spread(sources)
    record, results = {}, {"before": originals}
    chosen = {}
    for name in OPTIMIZERS:
        record[name] = trained(sources, goal, name)
        chosen[name] = optimizer_of(name, record[name])
        results[name] = carried(originals, sources, goal, chosen[name])
        pairs = zip(originals, results[name], strict=True)
        record[name]["fall"] = float(1 - spread(stacked(results[name])) / before)
        record[name]["ssim"] = float(np.median([ssim(a, b) for a, b in pairs]))
        print(".", end="", flush=True)
    one = jax.tree.map(lambda leaf: leaf[0], sources)

    def side(optimizer):
        T = flow.solve(one, goal, KEY, optimizer=optimizer, steps=SHOWN)
        return jax.block_until_ready(T.losses)

    timings = harness.interleave({name: partial(side, o) for name, o in chosen.items()}, rounds)
    for name, timing in timings.items():
        record[name]["timing"] = timing
    return record, results


def table(record: dict) -> str:
    budgets = ", ".join(map(str, BUDGETS))
    lines = [
        f"| optimizer | 1000 SW2 at {budgets} steps (rate) | pairwise SW2 falls by | median SSIM "
        f"| ms a step, {POINTS:,} points |",
        "|---|---|---|---|---|",
    ]
    for name, r in record.items():
        at = ", ".join(f"{1e3 * b['loss']:.1f} ({b['rate']:g})" for b in r["budgets"].values())
        step = 1e3 * r["timing"].median / SHOWN
        lines.append(f"| {name} | {at} | {r['fall']:.1%} | {r['ssim']:.3f} | {step:.2f} |")
    return "\n".join(lines)


def draw(record: dict) -> Figure:
    """Loss against step; structure kept against distance gone."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4))
    colors_of = {"sgd": BLUE, "momentum": INKS[2], "adam": RED}
    styles = {"": ("-", "o"), "exponential": (":", "v"), "cosine": ("--", "s"),
              "warmup + cosine": ("-.", "D")}  # fmt: skip
    for name, r in record.items():
        family, _, schedule = name.partition(", ")
        line, marker = styles[schedule]
        left.loglog(CUTS, r["path"], line, color=colors_of[family], label=name)
        point = 100 * r["fall"], r["ssim"]
        right.plot(*point, marker, color=colors_of[family], label=name, alpha=0.8)
    left.set(xlabel="step (of 100)", ylabel="SW$_2$ to the look, held-out directions")
    right.set(xlabel=f"fall of mean pairwise SW$_2$ after {SHOWN} steps, %", ylabel="median SSIM")
    left.xaxis.set_major_formatter("{x:g}")
    for axis in (left, right):
        axis.grid(alpha=0.3, which="both")
        axis.legend(fontsize=9)
    return figure


def strip(results: dict[str, list[np.ndarray]]) -> Figure:
    """A row for each optimizer, a column for each of scikit-image's photographs."""
    figure, axes = plt.subplots(len(results), 5, figsize=(11, 9.6))
    for row, (name, pictures) in zip(axes, results.items(), strict=True):
        for panel, picture in zip(row, pictures, strict=True):
            panel.imshow(picture)
            panel.set(xticks=[], yticks=[])
        row[0].set_ylabel(name.replace(", ", ",\n"))
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    valid = {name: pointwise(optimizer) for name, optimizer in CANDIDATES.items()}
    for word, wanted in (("move", True), ("do not move", False)):
        names = [name for name, answer in valid.items() if answer == wanted]
        print(f"{word} each point by itself: {', '.join(names)}")
    pictures = photographs()
    record, results = run(pictures, args.rounds)
    print(f"\n{table(record)}")
    harness.save(
        args.folder / "results" / "flows.json",
        {"machine": harness.machine(PACKAGES), "cuts": CUTS, "valid": valid, "flows": record},
    )
    draw(record).savefig(args.folder / "figures" / "optimizers.png")
    shown = ("before", "sgd", "sgd, cosine", "momentum", "adam", "adam, cosine")
    ours = [k for k, name in enumerate(pictures) if name not in ("china", "flower")]
    rows = {name: [results[name][k] for k in ours] for name in shown}
    page = args.folder / "figures" / "optimizers.jpg"
    strip(rows).savefig(page, dpi=100, pil_kwargs={"quality": 80})


if __name__ == "__main__":
    main()
