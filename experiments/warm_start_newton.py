"""Newton from each start: steps, passes over all pairs, failures, seconds, start included."""

from collections.abc import Callable
from functools import cache

import harness
import jax
import jax.numpy as jnp
import numpy as np
import warm_start_starts as st
from warm_start_pairs import COST, EPSILON, Pairs, doubled, taken
from warm_start_sweeps import summary

from jaxcolor.amortize import warm
from jaxcolor.measure import Measure
from jaxcolor.transport import coupling
from jaxcolor.transport.backends import import_pot
from jaxcolor.transport.coupling import Coupling
from jaxcolor.transport.solvers import solve, solve_batch

LEVELS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # where annealing may begin, tuned for each start
SINGLE = 0.0001  # L1 in float32, and in float64:
DOUBLE = 1e-6
ALONE = 16  # pairs of which each is solved by itself


def solved(pairs: Pairs, epsilon, tol: float, g=None, level: float = 0.0) -> Coupling:
    """From potentials g, annealing from `level` on, or cold."""
    if g is None:
        return solve_batch(*pairs, epsilon=epsilon, cost=COST, tol=tol)
    g = jnp.asarray(g, pairs[1].weights.dtype)
    init = coupling.Start(g, jnp.full(len(g), level, g.dtype))
    return solve_batch(*pairs, epsilon=epsilon, cost=COST, tol=tol, init=init)


def level(start: st.Start, practice: Pairs) -> float:
    """Where annealing begins: for ours as it is shipped, else what is best in practice."""
    if hasattr(start.guess, "init"):
        return warm.TRUSTED
    return tuned(practice, st.potentials(start, practice, EPSILON))


def gain(ours: st.Start, pairs: Pairs, epsilon: float, tol: float) -> float:
    """Seconds cold over seconds from ours, the network's included."""

    def side(init):
        found = solve_batch(*pairs, epsilon=epsilon, cost=COST, tol=tol, init=init)
        return jax.block_until_ready(found.g)

    sides = {"cold": lambda: side(None), "ours": lambda: side(getattr(ours.guess, "init", None))}
    timings = harness.interleave(sides, rounds=5)
    return timings["cold"].median / timings["ours"].median


def tuned(pairs: Pairs, g: np.ndarray, epsilon: float = EPSILON) -> float:
    """The level with the fewest passes, on palettes for tuning."""
    passes = {e: solved(pairs, epsilon, SINGLE, g, e).info.passes.mean() for e in LEVELS}
    return min(passes, key=lambda level: float(passes[level]))


def counted(pairs: Pairs, g: np.ndarray | None, level: float, epsilon: float = EPSILON) -> dict:
    """Both precisions: five-number summaries of steps and passes, and failures."""
    row: dict = {"level": level}
    row["single"] = described(solved(pairs, epsilon, SINGLE, g, level))
    with jax.enable_x64(True):
        row["double"] = described(solved(doubled(pairs), epsilon, DOUBLE, g, level))
    return row


def described(found: Coupling) -> dict:
    info = jax.tree.map(np.asarray, found.info)
    return {
        "steps": summary(info.steps),
        "passes": summary(info.passes),
        "mean passes": float(info.passes.mean()),
        "failures": int((info.status != 0).sum()),
        "count": int(info.status.size),
    }


@cache
def beginning(guess, level: float):
    """A start as solvers take it; one object for each, so that nothing is compiled twice."""

    def begin(mu: Measure, nu: Measure, epsilon) -> coupling.Start:
        g = guess(mu, nu, epsilon)
        return coupling.Start(g, jnp.asarray(level, g.dtype))

    return begin


def batched_side(start: st.Start | None, level: float, pairs: Pairs, tol: float = SINGLE):
    """All pairs at once, the starts being made in the same call."""

    def side():
        if start is None:
            found = solved(pairs, EPSILON, tol)
        elif start.guess is None:
            found = solved(pairs, EPSILON, tol, st.potentials(start, pairs, EPSILON), level)
        else:
            init = getattr(start.guess, "init", None) or beginning(start.guess, level)
            found = solve_batch(*pairs, epsilon=EPSILON, cost=COST, tol=tol, init=init)
        return jax.block_until_ready(found.g)

    return side


def alone_side(start: st.Start | None, level: float, pairs: Pairs, tol: float = SINGLE):
    """One pair after the other, each a compiled call."""
    init = beginning(start.guess, level) if start and start.guess else None
    init = getattr(start and start.guess, "init", init)
    one = jax.jit(lambda mu, nu: solve(mu, nu, epsilon=EPSILON, cost=COST, tol=tol, init=init).g)
    given = jax.jit(
        lambda mu, nu, init: solve(mu, nu, epsilon=EPSILON, cost=COST, tol=tol, init=init).g
    )
    each = [_row(pairs, i) for i in range(len(pairs[0].weights))]

    def side():
        for single in each:
            if start and start.guess is None:
                g = st.exact_dual(*single)
                found = given(*single, coupling.Start(jnp.asarray(g), jnp.float32(level)))
            else:
                found = one(*single)
            found.block_until_ready()

    return side


def _row(pairs: Pairs, i: int) -> Pairs:
    return jax.tree.map(lambda leaf: leaf[i], pairs)


def timed(starts: dict[str, st.Start], levels: dict[str, float], pairs: Pairs, rounds: int) -> dict:
    """Seconds a pair with each start, by batch and alone; `POT` solves without entropy."""
    few = taken(pairs, ALONE)
    batch: dict[str, Callable[[], object]]
    alone: dict[str, Callable[[], object]]
    chosen: dict[str, st.Start | None] = {"cold": None, **starts}
    batch = {n: batched_side(s, levels.get(n, 0), pairs) for n, s in chosen.items()}
    alone = {n: alone_side(s, levels.get(n, 0), few) for n, s in chosen.items()}
    try:
        import_pot()
        batch["POT, exact plan"] = lambda: st.exact_duals(*pairs)
        alone["POT, exact plan"] = lambda: [
            st.exact_dual(*_row(few, i)) for i in range(len(few[0].weights))
        ]
    except ImportError:
        pass
    return {
        "batched": _each(harness.interleave(batch, rounds), len(pairs[0].weights)),
        "alone": _each(harness.interleave(alone, rounds), len(few[0].weights)),
    }


def _each(timings: dict[str, harness.Timing], count: int) -> dict:
    """Milliseconds a pair: median and quartiles, and the median's ratio to cold's."""
    cold = timings["cold"].median
    return {
        name: {
            "ratio": t.median / cold,
            "milliseconds": [1e3 * s / count for s in (t.median, *t.quartiles)],
            "runs": t.runs,
        }
        for name, t in timings.items()
    }
