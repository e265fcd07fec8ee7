"""Where the fused GPU kernel of `mosaic` serves, and XLA's derivatives for it.

It serves float32, `SqEuclidean` and `Euclidean` costs, at most four coordinates, on CUDA GPUs of
compute capability 9 (Hopper) and later; XLA serves all else. Before its first use in a process it
is run on a small case and compared with NumPy: where it does not compile, or is wrong, one warning
says so, and XLA serves there too.
"""

import math
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.transport import mosaic
from jaxcolor.transport.costs import Cost, Euclidean, SqEuclidean

CAPABILITY = 9.0  # Hopper
MOST_COORDINATES = 4
MOST_VALUES = 16  # to average: beyond, XLA's matrix product is the better one
TOLERANCE = 1e-5  # of the proof


def available() -> bool:
    """Whether the default device is a CUDA GPU that these kernels are made for."""
    capability = str(getattr(jax.local_devices()[0], "compute_capability", ""))
    try:
        return jax.default_backend() == "gpu" and float(capability) >= CAPABILITY
    except ValueError:  # ROCm's are no numbers
        return False


def chosen(cost: Cost, x: Array, *others: Array) -> bool:
    """Whether the kernels are to serve this cost between clouds like x (n, d), and `others`."""
    how = mosaic.mode()
    d = x.shape[1]
    suits = type(cost) in (SqEuclidean, Euclidean) and 1 <= d <= MOST_COORDINATES
    suits = suits and all(z.dtype == jnp.float32 for z in (x, *others))
    suits = suits and all(math.prod(z.shape[1:]) <= MOST_VALUES for z in others)
    if how == "xla" or not suits:
        return False
    return how != "auto" or (available() and proven(type(cost), d))


@cache
def proven(kind: type[Cost], d: int) -> bool:
    """Whether the kernels do on this machine what NumPy does; if not, says so, once."""
    try:
        # its own thread: we may be in the middle of tracing a program
        with ThreadPoolExecutor(1) as pool:
            error = pool.submit(_error, kind(), d).result()
    except Exception as failure:  # whatever a compiler may raise
        said = (str(failure).splitlines() or [""])[0]
        error = f"{type(failure).__name__}: {said[:120]}"
    else:
        if error <= TOLERANCE:
            return True
        error = f"off by {error:.1e}"
    of = f"{kind.__name__}, {d} coordinates"
    warnings.warn(f"the fused GPU kernel failed its test ({of}: {error}): using XLA", stacklevel=2)
    return False


def _error(cost: Cost, d: int) -> float:
    """How far the four functions are from float64 on a fixed case: two blocks, several parts."""
    n, m, k = mosaic.ROWS + 88, 2 * mosaic.SHORTEST + 43, 3
    rng = np.random.default_rng(0)
    x, y, h = rng.random((n, d)), rng.random((m, d)), rng.normal(size=m)
    h[1::3] = -np.inf
    u, values, epsilon = rng.normal(size=n), rng.normal(size=(m, k)), 0.1
    x, y, h, u, values = (z.astype(np.float32) for z in (x, y, h, u, values))

    squared = ((x[:, None].astype(float) - y[None]) ** 2).sum(-1)
    z = h - (squared if isinstance(cost, SqEuclidean) else squared**0.5) / epsilon
    normaliser = np.log(np.exp(z).sum(1))
    softmax = np.exp(z - normaliser[:, None])
    wanted = normaliser, softmax @ values, softmax @ values[:, 0], u @ softmax

    @jax.jit
    def ours(x, y, h, u, values):
        scale = jnp.full((), epsilon, jnp.float32)
        sums = mosaic.softmin(cost, x, y, h, scale)
        return (
            sums,
            mosaic.average(cost, x, y, h, scale, values),
            mosaic.forward(cost, x, y, h, scale, sums, values[:, 0]),
            mosaic.backward(cost, x, y, h, scale, sums, u),
        )

    place = jax.local_devices()[0]
    got = ours(*jax.device_put((x, y, h, u, values), place))
    errors = [np.abs(a - b).max() / np.abs(b).max() for a, b in zip(got, wanted, strict=True)]
    return float(np.max(errors))  # NaN where one is


def instead_of(plain: Callable, kernel: Callable) -> Callable:
    """`kernel` on a GPU, `plain` elsewhere; its derivatives are those of `plain`, in any case.

    Both take the same pytrees of arrays. What is traced on a machine with a GPU may yet be meant
    for its CPU: only lowering knows.
    """

    @jax.custom_jvp
    def either(*arguments):
        if mosaic.mode() != "auto":
            return kernel(*arguments)
        return jax.lax.platform_dependent(*arguments, cuda=kernel, default=plain)

    @either.defjvp
    def _(primals, tangents):
        return either(*primals), jax.jvp(plain, primals, tangents)[1]

    return either
