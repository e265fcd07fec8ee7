"""The door: two measures in, a coupling out, whatever the method and whoever computes."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.iterate import default_tol
from jaxcolor.measure import Grid, Measure, as_cloud, nodes
from jaxcolor.sharding import divided, mesh_of, replicated
from jaxcolor.transport import backends, batch, grid, multiscale, newton, pyramid, sinkhorn
from jaxcolor.transport import exact as exact_
from jaxcolor.transport import problem as pb
from jaxcolor.transport.costs import Cost, SqEuclidean
from jaxcolor.transport.coupling import Coupling, Start, cast, potential
from jaxcolor.transport.grid import GridKernel
from jaxcolor.transport.kernels import Cloud, Kernel
from jaxcolor.transport.marginals import BALANCED, Marginal
from jaxcolor.transport.problem import Problem
from jaxcolor.transport.sharded import Sharded, cloud_of, on_all
from jaxcolor.transport.sparse import SparseCoupling

SQUARED = SqEuclidean()
MODULES = {"newton": newton, "sinkhorn": sinkhorn, "multiscale": multiscale}

Init = Start | Coupling | Callable[[Any, Any, Array], Start | None] | None


def epsilon_from_blur(blur: float) -> float:
    """Our epsilon for GeomLoss's blur (p = 2): it halves the squared distance, so 2 blur^2.

    Example:
        >>> round(epsilon_from_blur(0.05), 6)
        0.005
    """
    return 2 * blur**2


def rho_from_reach(reach: float) -> float:
    """Our rho for GeomLoss's reach (p = 2), 2 reach^2.

    Example:
        >>> round(rho_from_reach(0.2), 6)
        0.08
    """
    return 2 * reach**2


def solve(
    source: Measure | Grid,
    target: Measure | Grid,
    *,
    epsilon: float | Array | None = None,
    cost: Cost = SQUARED,
    source_marginal: Marginal = BALANCED,
    target_marginal: Marginal = BALANCED,
    method: str = "newton",
    backend: str | backends.Adapter | None = None,
    init: Init = None,
    tol: float | Array | None = None,
    max_steps: int | Array | None = None,
) -> Coupling | SparseCoupling:
    """Optimal transport: min_P <C, P> + epsilon KL(P | a b' / s) + F_a(P 1) + F_b(P' 1).

    C_ij = cost(x_i, y_j), s = sqrt(|a| |b|), KL with mass terms. `method="exact"` solves it
    without the entropy. A pure function: `jit`, `vmap` and `grad` work, except where another
    library computes (`backend`), for `exact` and for `multiscale`. Nothing is raised for a solve
    that ends badly: look at `info.status`, or call `check(info)`.

    Args:
        source: n points x_i with weights a. target: m points y_j with weights b. Zero weights are
            padding. Two `Grid`s, whose nodes count in C order, are solved axis by axis.
        epsilon: regularisation > 0 in units of the cost; for "exact" leave it out. Blur of
            GeomLoss: `epsilon_from_blur`.
        cost: `SqEuclidean()`, `Euclidean()`, `Lp(p)` or a pytree of your own.
        source_marginal, target_marginal: `Balanced()`, `KL(rho)`, `TV(rho)`, `Range(low, high)`,
            `Mixed(rho)`; newton and multiscale take the first two.
        method: "newton" (fast at small epsilon too), "sinkhorn" (every marginal), "multiscale"
            (10^5 to 10^6 points in up to 3 dimensions, on the host) or "exact".
        backend: who computes: by default "jax"; "ott", "pot" for sinkhorn; "pot", "scipy" for
            exact; or a function (problem, tol, max_steps) -> (f, g). See `CAPABILITIES`.
        init: where to begin: a `Start`, the `Coupling` of a similar problem (whose support may
            differ), or a function (source, target, epsilon) -> Start or None, such as
            `coarse_to_fine` for grids. Never worse than starting cold: the higher dual value is
            taken. Not differentiated.
        tol: on the error, row plus column L1 violation in units of the mass; by default 1e-4 in
            float32, 1e-8 in float64.
        max_steps: of the method; by default 100 for newton and multiscale (cycles), 2,000 (blocks
            of ten) for sinkhorn.

    Returns:
        A `Coupling`; for "exact" a `SparseCoupling`.

    Raises:
        ValueError: for shapes that do not match, an unknown name, a pair of method, backend and
            marginal that does not exist, or a host backend under `jit`.

    Example:
        >>> from jaxcolor.measure import point_cloud
        >>> mu, nu = point_cloud([[0.0], [1.0]]), point_cloud([[2.0], [3.0]])
        >>> coupling = solve(mu, nu, epsilon=0.1)
        >>> round(float(coupling.value), 2), int(coupling.info.status)
        (4.07, 0)

    Reference:
        Peyre, Cuturi (2019), Computational Optimal Transport, chapters 4 and 10.
    """
    backend = backends.choose(method, backend)
    backends.check_marginals(method, backend, source_marginal, target_marginal)
    kernel, a, b = _costs(source, target, cost, ours=backend == "jax")
    _check_epsilon(epsilon, method)
    if isinstance(kernel, GridKernel):
        kernel = grid.prepared(kernel, epsilon)
    if method == "exact":
        return exact_.solve(kernel, a, b, backend=str(backend))
    p = pb.make(kernel, a, b, epsilon, source_marginal, target_marginal)
    if backend != "jax":
        adapter = backend if callable(backend) else backends.ADAPTERS[str(backend)]
        tol = default_tol(p.b.dtype) if tol is None else tol
        most = backends.MOST if max_steps is None else int(max_steps)
        return backends.run(adapter, p, float(tol), most)
    module = MODULES[method]
    start = cast(_start(init, source, target, p.epsilon), p.b.dtype)
    coupling = module.solve_problem(p, start, module.options(p.b.dtype, tol, max_steps))
    return on_all(coupling) if isinstance(kernel, Sharded) else coupling


def coarse_to_fine(
    source: Grid,
    target: Grid,
    epsilon: Array,
    *,
    source_marginal: Marginal = BALANCED,
    target_marginal: Marginal = BALANCED,
    method: str = "newton",
) -> Start | None:
    """Where `solve` may begin on grids: the same problem on grids four times as coarse, roughly.

    Worth its compilation where epsilon is small or many problems are solved; for other marginals
    or methods say so with `functools.partial`.

    Args:
        source, target, epsilon: as for `solve`, whose `init` this is.
        source_marginal, target_marginal, method: of the coarse problem.

    Returns:
        A `Start`; None for grids of up to 32 nodes an axis.

    Example:
        >>> axis = jnp.linspace(0, 1, 64)
        >>> mu, nu = (Grid((axis,), jnp.exp(-(((axis - c) / 0.1) ** 2))) for c in (0.3, 0.6))
        >>> mu, nu = (Grid(d.axes, d.weights / d.weights.sum()) for d in (mu, nu))
        >>> coupling = solve(mu, nu, epsilon=1e-3, init=coarse_to_fine)
        >>> round(float(coupling.value), 2)
        0.09
    """
    level = pyramid.coarser(source, target, jnp.asarray(epsilon))
    if level is None:
        return None
    source, coarse, epsilon = level
    coupling = solve(
        source,
        coarse,
        epsilon=epsilon,
        source_marginal=source_marginal,
        target_marginal=target_marginal,
        method=method,
        init=functools.partial(
            coarse_to_fine,
            source_marginal=source_marginal,
            target_marginal=target_marginal,
            method=method,
        ),
        tol=pyramid.TOL,
    )
    assert isinstance(coupling, Coupling)
    return Start(pyramid.extend(coupling, source.axes, target.axes), epsilon)


def solve_batch(
    sources: Measure,
    targets: Measure,
    *,
    epsilon: float | Array | None = None,
    cost: Cost = SQUARED,
    source_marginal: Marginal = BALANCED,
    target_marginal: Marginal = BALANCED,
    method: str = "newton",
    backend: str | None = None,
    init: Start | batch.Begin | None = None,
    tol: float | Array | None = None,
    max_steps: int | Array | None = None,
    lanes: int | None = None,
) -> Coupling:
    """Many problems of one shape, each as `solve`: a finished one stops costing.

    The same as `vmap` of `solve`, but faster: outside `jit` a CPU works on all its cores, one
    problem at a time on each; elsewhere `lanes` problems run at once and make room when done.

    Args:
        sources: (B, n, d) points and (B, n) weights. targets: (B, m, d) and (B, m).
        epsilon: scalar or (B,), and likewise any parameter of the marginals.
        cost: shared by all problems.
        init: B starts in one `Start`; or a function as for `solve`, called for each problem, such
            as `jaxcolor.amortize.start` for palettes.
        lanes: problems in flight; by default one per core on a CPU, 256 elsewhere.
        The others: as for `solve`. Only the backend "jax".

    Returns:
        A `Coupling` with the batch in front of every leaf.

    Raises:
        ValueError: as `solve`.

    Example:
        >>> from jaxcolor.measure import Measure
        >>> x = jnp.zeros((4, 2, 1)) + jnp.array([[0.0], [1.0]])
        >>> mu, nu = Measure(x, jnp.full((4, 2), 0.5)), Measure(x + 2, jnp.full((4, 2), 0.5))
        >>> [round(float(v), 2) for v in solve_batch(mu, nu, epsilon=0.1).value]
        [4.07, 4.07, 4.07, 4.07]
    """
    offered = [name for name in MODULES if backends.CAPABILITIES[name, "jax"].traced]
    if method not in offered or backend not in (None, "jax"):
        offered = ", ".join(offered)
        raise ValueError(f"solve_batch runs {offered} on jax, got {method!r} on {backend!r}")
    _check(sources, targets, batched=True)
    _check_epsilon(epsilon, method)
    backends.check_marginals(method, "jax", source_marginal, target_marginal)
    if lanes is not None and lanes < 1:
        raise ValueError(f"lanes must be at least 1, got {lanes}")
    p = _stack(sources, targets, epsilon, cost, source_marginal, target_marginal)
    chosen = MODULES[method].options(p.b.dtype, tol, max_steps)
    init = init if callable(init) else cast(init, p.b.dtype)
    return batch.solve_all(MODULES[method], p, init, chosen, lanes, mesh_of(sources.points))


def _costs(
    source: Measure | Grid, target: Measure | Grid, cost: Cost, ours: bool
) -> tuple[Kernel, Array, Array]:
    """The costs between two measures, and their weights; `ours` where any kernel will do."""
    if isinstance(source, Grid) and isinstance(target, Grid):
        if len(source.axes) != len(target.axes):
            counts = len(source.axes), len(target.axes)
            raise ValueError(f"source and target differ in dimension: {counts[0]} and {counts[1]}")
        if ours and isinstance(cost, SqEuclidean):
            kernel = GridKernel(_axes(source, "source"), _axes(target, "target"))
            return kernel, source.weights.ravel(), target.weights.ravel()
    source, target = (as_cloud(mu) if isinstance(mu, Grid) else mu for mu in (source, target))
    _check(source, target, batched=False)
    mesh = mesh_of(source.points)
    if mesh is None or not ours:
        return Cloud(source.points, target.points, cost), source.weights, target.weights
    x = divided(source.points, mesh)
    a, y, b, cost = replicated((source.weights, target.points, target.weights, cost), mesh)
    return Sharded(Cloud(x, y, cost), mesh), a, b


def _axes(density: Grid, name: str) -> tuple[Array, ...]:
    sizes = tuple(axis.shape[0] for axis in density.axes)
    if density.weights.shape != sizes:
        raise ValueError(f"{name} has weights {density.weights.shape} on a grid of {sizes}")
    return density.axes


def _check(source: Measure, target: Measure, batched: bool) -> None:
    rank = 3 if batched else 2
    form = "(B, n, d)" if batched else "(n, d)"
    for name, mu in (("source", source), ("target", target)):
        if mu.points.ndim != rank or mu.points.shape[:-1] != mu.weights.shape:
            raise ValueError(
                f"{name} needs points {form} and weights to match, "
                f"got {mu.points.shape} and {mu.weights.shape}"
            )
    if source.points.shape[-1] != target.points.shape[-1]:
        shapes = source.points.shape, target.points.shape
        raise ValueError(f"source and target differ in dimension: {shapes[0]} and {shapes[1]}")
    if batched and source.points.shape[0] != target.points.shape[0]:
        counts = source.points.shape[0], target.points.shape[0]
        raise ValueError(f"as many sources as targets are needed, got {counts[0]} and {counts[1]}")


def _check_epsilon(epsilon, method: str) -> None:
    if method == "exact" and epsilon is not None:
        raise ValueError("exact has no entropy: leave epsilon out, or use method='newton'")
    if method != "exact" and epsilon is None:
        raise ValueError(f"{method} needs epsilon, the regularisation in units of the cost")


def _start(init: Init, source, target, epsilon: Array) -> Start | None:
    if init is None or isinstance(init, Start):
        return init
    if isinstance(init, Coupling):
        if cloud_of(init.kernel) is not None:
            points = nodes(target.axes) if isinstance(target, Grid) else target.points
            return Start(potential(init, points, axis=0), init.epsilon)
        if isinstance(init.kernel, GridKernel) and isinstance(target, Grid):
            axes = init.kernel.x, target.axes
            return Start(pyramid.extend(init, *axes), init.epsilon)
        return Start(init.g, init.epsilon)
    return init(source, target, epsilon)


def _stack(sources, targets, epsilon, cost, source_marginal, target_marginal) -> Problem:
    """B problems in one pytree: what they share is repeated."""
    count = sources.points.shape[0]
    arrays = (sources.points, sources.weights, targets.points, targets.weights)
    dtype = pb.common_dtype(*arrays)
    x, a, y, b = (leaf.astype(dtype) for leaf in arrays)

    def per_problem(leaf):
        leaf = jnp.asarray(leaf, dtype)
        return leaf if leaf.ndim == 1 else jnp.broadcast_to(leaf, (count, *leaf.shape))

    shared = jax.tree.map(
        lambda leaf: jnp.broadcast_to(jnp.asarray(leaf, dtype), (count, *jnp.shape(leaf))), cost
    )
    rest = jax.tree.map(per_problem, (epsilon, source_marginal, target_marginal))
    return Problem(Cloud(x, y, shared), a, b, *rest)
