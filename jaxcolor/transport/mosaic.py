"""One fused GPU kernel for two clouds: log-sum-exp, average and products without a cost in memory.

XLA writes a block of costs, of exponents, of exponentials to memory and reads them again. Here all
that happens in registers: every thread of a warpgroup owns a few rows, and columns stream past it.

- Differences are exact, coordinate by coordinate: no matrix product, hence no TF32. Exponents stay
  in natural units until the maximum (or the normaliser) is off: log2(e) folded into them earlier
  would round numbers in the thousands once more, and such errors are errors of the marginals.
- The maximum of a row is a running one; sums are rescaled once a `CHUNK` of columns.
- Columns are split into parts, which fill a GPU where rows alone are too few; XLA merges them.
- Columns' sums are rows' sums of the turned problem, since these costs are symmetric. One pass for
  both would serve no solver: each needs the rows' sums before it can weigh the columns' ones.
- No shared memory, copy engine, barrier or atomic: what is simple cannot hang.

Written with Pallas' Mosaic GPU; so far simulated, and compiled for Hopper, but never run on a GPU.
These are plain functions of float32 arrays without derivatives; `fused` says where they serve, and
gives them XLA's derivatives.

The environment variable JAXCOLOR_KERNEL, read when a program is traced, chooses by hand:
`xla` never uses the kernel, `mosaic` always does where it serves (unproven, and failing to compile
where there is no such GPU), `interpret` simulates it on a CPU, slowly, for tests.

Reference:
    Milakov, Gimelshein (2018), Online normalizer calculation for softmax, algorithm 3; Dao, Fu,
    Ermon, Rudra, Re (2022), FlashAttention, algorithm 1.
"""

import operator
import os
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.transport.costs import Cost, SqEuclidean

SWITCH = "JAXCOLOR_KERNEL"
MODES = ("xla", "mosaic", "interpret")

ROWS = 512  # of a block: four for each thread of a warpgroup
CHUNK = 8  # columns between two rescalings
SHORTEST = 128  # columns of a part
PROGRAMS = 4096  # blocks times parts: several waves, so that the last one hardly counts
VALUES = 4  # averaged at once: each takes registers
LOG2E = 1.4426950408889634  # the hardware knows powers of two
LOWEST = -3e38  # a maximum to begin with: -infinity less itself would be NaN
TINY = 1e-35


def mode() -> str:
    """What JAXCOLOR_KERNEL says, or "auto".

    Raises:
        ValueError: where it says something else.
    """
    said = os.environ.get(SWITCH) or "auto"
    if said not in ("auto", *MODES):
        raise ValueError(f"{SWITCH} is {said!r}: set it to {' or '.join(MODES)}, or not at all")
    return said


def softmin(cost: Cost, x: Array, y: Array, h: Array, epsilon: Array) -> Array:
    """log sum_j exp(h_j - c(x_i, y_j) / epsilon), by an online maximum.

    Args:
        x: (n, d). y: (m, d). h: (m,), may be -infinity.

    Returns:
        (n,); -infinity for rows whose exponents all are.
    """
    return _merge(*_sums(cost, x, y, h, epsilon, ()))[0]


def average(cost: Cost, x: Array, y: Array, h: Array, epsilon: Array, values: Array) -> Array:
    """Mean of values (m, ...) under the softmax of the same exponents: (n, ...)."""
    columns = list(values.reshape(values.shape[0], -1).T)
    means = []
    for first in range(0, len(columns), VALUES):
        some = columns[first : first + VALUES]
        means += _merge(*_sums(cost, x, y, h, epsilon, some))[1:]
    return jnp.stack(means, 1).reshape(x.shape[0], *values.shape[1:])


def forward(
    cost: Cost, x: Array, y: Array, h: Array, epsilon: Array, normaliser: Array, v: Array
) -> Array:
    """S v, (n,), with S_ij = exp(h_j - c(x_i, y_j) / epsilon - normaliser_i)."""
    columns = [h, *y.T, v]
    (sums,) = _launch(partial(_known, cost, False), [*x.T, -normaliser], columns, epsilon, [0.0])
    return sums.sum(0)


def backward(
    cost: Cost, x: Array, y: Array, h: Array, epsilon: Array, normaliser: Array, u: Array
) -> Array:
    """S^T u, (m,): the same with the clouds' roles exchanged."""
    columns = [-normaliser, *x.T, u]
    (sums,) = _launch(partial(_known, cost, True), [*y.T, h], columns, epsilon, [0.0])
    return sums.sum(0)


def _sums(cost: Cost, x, y, h, epsilon, values) -> list[Array]:
    """For every part and row the greatest exponent, the sum of exponentials, those of `values`."""
    start = [LOWEST, 0.0, *(0.0 for _ in values)]
    return _launch(partial(_online, cost), list(x.T), [h, *y.T, *values], epsilon, start)


def _merge(top: Array, total: Array, *weighted: Array) -> list[Array]:
    """The log of all parts' sums together, and weighted means; each array is (parts, n)."""
    highest = top.max(0)
    share = jnp.exp2((top - highest) * LOG2E)
    total = (share * total).sum(0)
    return [highest + jnp.log(total), *((share * w).sum(0) / total for w in weighted)]


# --- how ----------------------------------------------------------------------------------------


def _distance(cost: Cost, x: list[Array], y: list[Array]) -> Array:
    """c(x_i, y) of a block's rows and one column: lists of coordinates."""
    squared = reduce(operator.add, [(a - b) ** 2 for a, b in zip(x, y, strict=True)])
    if isinstance(cost, SqEuclidean):
        return squared
    return squared * jax.lax.rsqrt(jnp.maximum(squared, TINY))


def _online(cost: Cost, rows: list, chunk: list[list], scale: Array, carry: list) -> list:
    """Some columns more, where the greatest exponent is not known yet."""
    top, *sums = carry
    hs, *rest = chunk
    ys, values = rest[: len(rows)], rest[len(rows) :]
    z = [h - scale * _distance(cost, rows, y) for h, *y in zip(hs, *ys, strict=True)]
    new = reduce(jnp.maximum, z, top)
    shrink = jnp.exp2((top - new) * LOG2E)
    p = [jnp.exp2((e - new) * LOG2E) for e in z]
    parts = [p, *([e * v for e, v in zip(p, vs, strict=True)] for vs in values)]
    return [new, *(s * shrink + reduce(operator.add, q) for s, q in zip(sums, parts, strict=True))]


def _known(cost: Cost, turned: bool, rows: list, chunk: list[list], scale: Array, carry) -> list:
    """Some columns more, where exponents are at most zero: S's entries times a vector's.

    Either way round an entry is (h - scale c) - normaliser, rounded the same: S^T is S's transpose.
    """
    *x, mine = rows
    (total,) = carry
    for theirs, *y, weight in zip(*chunk, strict=True):
        first, second = (mine, theirs) if turned else (theirs, mine)
        z = (first - scale * _distance(cost, x, y)) + second
        total = total + weight * jnp.exp2(z * LOG2E)
    return [total]


def _launch(
    update: Callable, rows: list[Array], columns: list[Array], epsilon: Array, start: list[float]
) -> list[Array]:
    """`update`, from `start` on, for each block of rows over the columns of each part.

    Args:
        rows: arrays (n,). columns: arrays (m,), the first of them exponents.

    Returns:
        Arrays (parts, n), as many as `start` has numbers.
    """
    from jax.experimental.pallas import mosaic_gpu as plgpu

    n = rows[0].shape[0]
    blocks, parts, span = _split(n, columns[0].shape[0])
    padded = jnp.pad(jnp.stack(rows), ((0, 0), (0, blocks * ROWS - n)))
    missing = parts * span - columns[0].shape[0]
    fill = jnp.zeros((len(columns), missing), jnp.float32).at[0].set(-jnp.inf)
    streamed = jnp.concatenate([jnp.stack(columns), fill], 1)
    out = jax.ShapeDtypeStruct((parts, blocks * ROWS), jnp.float32)
    simulated = mode() == "interpret"
    run = plgpu.kernel(
        partial(_program, update, span, start, simulated),
        out_type=[out] * len(start),
        grid=(blocks, parts),
        grid_names=("block", "part"),
        compiler_params=plgpu.CompilerParams(approx_math=True),
        interpret=_simulation() if simulated else None,
    )
    return [sums[:, :n] for sums in run(jnp.reshape(1 / epsilon, 1), padded, streamed)]


def _split(n: int, m: int) -> tuple[int, int, int]:
    """Blocks of rows, parts of the columns, columns of a part (a multiple of CHUNK)."""
    blocks = -(-n // ROWS)
    parts = max(1, min(PROGRAMS // blocks, m // SHORTEST))
    span = -(-m // (parts * CHUNK)) * CHUNK
    return blocks, -(-m // span), span


def _program(update, span: int, start: list[float], simulated: bool, scale, rows, columns, *out):
    """What a warpgroup does: references to (1,), (d or d + 1, n), (columns', m), (parts, n)."""
    from jax.experimental import pallas as pl

    here = pl.ds(jax.lax.axis_index("block") * ROWS, ROWS)
    part = jax.lax.axis_index("part")
    mine = [rows[k, here] for k in range(rows.shape[0])]
    factor = scale[0]

    def chunk(first):
        if simulated:  # where a read takes half a millisecond
            read = columns[:, pl.ds(first, CHUNK)]
            return [[row[j] for j in range(CHUNK)] for row in read]
        # every thread the same number: there is no layout for vectors of eight
        return [[columns[k, first + j] for j in range(CHUNK)] for k in range(columns.shape[0])]

    def step(index, carry):
        return update(mine, chunk(part * span + index * CHUNK), factor, carry)

    # made of a row, whose layout among the threads they must have from the start
    begin = [0 * mine[0] + value for value in start]
    count = np.int32(span // CHUNK)  # int32 whatever jax_enable_x64 says, like `part`
    for ref, value in zip(out, jax.lax.fori_loop(np.int32(0), count, step, begin), strict=True):
        ref[part, here] = value


def _simulation() -> Any:
    from jax.experimental.pallas import mosaic_gpu as plgpu

    settings = getattr(plgpu, "InterpretGPUParams", None)
    if settings is None:  # jax 0.10
        from jax._src.pallas.mosaic_gpu.interpret.params import InterpretGPUParams as settings
    return settings()
