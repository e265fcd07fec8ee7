"""One entropic problem between large clouds, and how each library is made to solve it.

A side is made ready (compiled, tuned) by a function that returns it with the seconds that
compiling took; `bench_gpu.py` times the sides.
"""

import contextlib
import importlib.util
import itertools
import os
import time
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from bench_entropic import error as marginal_error
from bench_entropic import ott_settings

from jaxcolor.transport import kernels, mosaic, newton, sinkhorn
from jaxcolor.transport.costs import SqEuclidean

DENSE = 2**31  # costs that OTT-JAX may store: 8 GB
ONLINE = 1024  # else its batch size
PARTS = (0.95, 0.5, 0.2, 0.1)  # of the goal, as its threshold: the first that does
PATIENCE = 60.0  # seconds that a peer gets for finding its iterations
MOST = 2**15  # iterations
SCALINGS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99)  # of GeomLoss's annealing

Potentials = tuple[np.ndarray, np.ndarray]
Side = Callable[[], Potentials]


# --- the problem --------------------------------------------------------------------------------


def colours(n: int, seed: int) -> np.ndarray:
    """n points of a mixture of twelve Gaussians, clipped to the unit cube, float32."""
    rng = np.random.default_rng(seed)
    means, shares = rng.uniform(0.1, 0.9, (12, 3)), rng.dirichlet(np.ones(12))
    factors = 0.08 * rng.normal(size=(12, 3, 3))
    which = rng.choice(12, n, p=shares)
    points = means[which] + np.einsum("nij,nj->ni", factors[which], rng.normal(size=(n, 3)))
    return np.clip(points, 0, 1).astype(np.float32)


class Case:
    """One problem: clouds x, y (n, 3), even weights (n,), epsilon, and the error to be reached."""

    def __init__(self, n: int, epsilon: float, goal: float):
        self.x, self.y = colours(n, 0), colours(n, 1)
        self.weights = np.full(n, 1 / n, np.float32)
        self.n, self.epsilon, self.goal = n, epsilon, goal

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        return self.x, self.y, self.weights, self.weights

    def error(self, found: Potentials) -> float:
        a, b = self.weights, self.weights
        with switched("xla"):
            return marginal_error(self.x, self.y, a, b, *found, self.epsilon, SqEuclidean())


@contextlib.contextmanager
def switched(how: str) -> Iterator[None]:
    """Programs traced inside use this kernel; none that was traced before is used again."""
    before = os.environ.get(mosaic.SWITCH)
    os.environ[mosaic.SWITCH] = how
    jax.clear_caches()
    try:
        yield
    finally:
        os.environ.pop(mosaic.SWITCH) if before is None else os.environ.update(
            {mosaic.SWITCH: before}
        )
        jax.clear_caches()


def compiled(function: Callable, arrays: tuple) -> tuple[Callable, float]:
    """A program for these arrays, which are on the device; seconds that compiling took."""
    arrays = jax.device_put(arrays)
    start = time.perf_counter()
    program = jax.jit(function).lower(*arrays).compile()
    seconds = time.perf_counter() - start
    return lambda: jax.block_until_ready(program(*arrays)), seconds


# --- the sides ----------------------------------------------------------------------------------


def jaxcolor_sides(case: Case, hows: tuple[str, ...]) -> Iterator[tuple[str, Callable]]:
    for method, how in itertools.product((newton, sinkhorn), hows):

        def make(method=method, how=how):
            def program(x, y, a, b):
                cloud = kernels.Cloud(x, y)
                out = method.solve(cloud, a, b, epsilon=case.epsilon, tol=case.goal)
                return out.f, out.g, out.info.passes

            with switched(how):
                return compiled(program, case.arrays)

        yield f"jaxcolor {method.__name__.split('.')[-1]}, {how}", make


def ott_sides(case: Case) -> Iterator[tuple[str, Callable]]:
    """Its threshold is on the error of one side: where both exceed the goal it gets a lower one."""
    if importlib.util.find_spec("ott") is None:
        yield "OTT-JAX", _absent
        return
    settings = ott_settings()
    from ott.solvers.linear import acceleration

    settings["momentum 1.8"] = {"momentum": acceleration.Momentum(value=1.8)}
    online = {"batch_size": ONLINE} if case.n**2 > DENSE else {}
    for name, setting in settings.items():

        def make(setting=setting):
            for part in PARTS:
                made = compiled(_ott(case, setting, online, part), case.arrays)
                if part == PARTS[-1] or case.error(made[0]()) <= case.goal:
                    return made

        yield f"OTT-JAX {name}{', online' if online else ''}", make


def _ott(case: Case, setting: dict, online: dict, part: float) -> Callable:
    from ott.geometry import pointcloud
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn as ott_sinkhorn

    def one(x, y, a, b):
        shape = pointcloud.PointCloud(x, y, epsilon=case.epsilon, **online)
        solver = ott_sinkhorn.Sinkhorn(threshold=part * case.goal, max_iterations=MOST, **setting)
        out = solver(linear_problem.LinearProblem(shape, a, b))
        # its potentials hold the weights
        return out.f - case.epsilon * jnp.log(a), out.g - case.epsilon * jnp.log(b)

    return one


def flash_sides(case: Case) -> Iterator[tuple[str, Callable]]:
    """Without TF32, which at a small epsilon does not reach the error. Its cost is not halved."""
    if importlib.util.find_spec("flash_sinkhorn") is None:
        yield "flash-sinkhorn", _absent
        return

    def alternating(tensors, count):
        from flash_sinkhorn.sinkhorn_solvers import sinkhorn_flashstyle_alternating as solve

        return solve(*tensors, eps=case.epsilon, n_iters=count, allow_tf32=False)

    def annealed(tensors, count):
        from flash_sinkhorn.sinkhorn_solvers import sinkhorn_flashstyle_symmetric as solve

        steps = np.geomspace(3, case.epsilon, max(2, int(np.log(3 / case.epsilon) / np.log(1.8))))
        schedule = [*map(float, steps), *[case.epsilon] * count]
        return solve(*tensors, eps_list=schedule, allow_tf32=False)

    for name, solve in {"alternating": alternating, "annealed, symmetric": annealed}.items():
        yield f"flash-sinkhorn {name}", lambda solve=solve: _counted(case, solve)


def _counted(case: Case, solve: Callable) -> tuple[Side, float]:
    """A Torch solver with the fewest iterations, to a quarter, that reach the error."""
    tensors, finish = _tensors(case)

    def run(count):
        return finish(solve(tensors, count))

    start = time.perf_counter()
    run(1)
    first = time.perf_counter() - start
    count = fewest(lambda count: case.error(run(count)) <= case.goal)
    return lambda: run(count), first


def fewest(reaches: Callable[[int], bool], most: int = MOST, patience: float = PATIENCE) -> int:
    """The smallest count that reaches, to within a quarter; the last tried where none does."""
    start, count = time.perf_counter(), 8
    while not reaches(count):
        if count >= most or time.perf_counter() - start > patience:
            return count
        count *= 2
    for part in (5 / 8, 6 / 8, 7 / 8):
        if count > 8 and reaches(int(part * count)):
            return int(part * count)
    return count


def geomloss_sides(case: Case) -> Iterator[tuple[str, Callable]]:
    """It halves the cost: blur^2 = epsilon / 2, and its potentials are half of ours."""
    if importlib.util.find_spec("geomloss") is None:
        yield "GeomLoss", _absent
        return
    online = importlib.util.find_spec("pykeops") is not None
    if not online and case.n**2 > DENSE:
        yield "GeomLoss", _absent
        return
    backend = "online" if online else "tensorized"

    def make():
        from geomloss import SamplesLoss

        (x, y, a, b), finish = _tensors(case)

        def run(scaling):
            loss = SamplesLoss("sinkhorn", p=2, blur=(case.epsilon / 2) ** 0.5, scaling=scaling,
                               debias=False, potentials=True, backend=backend)  # fmt: skip
            return finish(tuple(2 * part.ravel() for part in loss(a, x, b, y)))

        start = time.perf_counter()
        run(SCALINGS[0])
        first = time.perf_counter() - start
        good = (s for s in SCALINGS if case.error(run(s)) <= case.goal)
        scaling = next(good, SCALINGS[-1])
        return lambda: run(scaling), first

    yield f"GeomLoss {backend}", make


def _tensors(case: Case) -> tuple[tuple, Callable]:
    """The problem for Torch, on its GPU where it has one; and what takes potentials from there."""
    import torch

    place = "cuda" if torch.cuda.is_available() else "cpu"
    tensors = tuple(torch.tensor(part, device=place) for part in case.arrays)

    def finish(found):
        f, g = (part.detach().cpu().numpy() for part in found[:2])  # which waits for the GPU
        return f, g

    return tensors, finish


def _absent():
    raise ImportError("not installed")
