"""The network: from two palettes to the dual potential of the transport between them.

Both palettes are splatted, by trilinear weights, on one small grid in a common frame (centred,
each axis in units of its deviation): the induced points. A dense network turns the difference and
the sum of the two histograms into a potential on the grid, read at the target's colours: the first
guess. Then, a few times: look at the plan that the guess makes at some epsilon, sweep twice as
Sinkhorn does, and correct what is left over by a network on the grid that sees the residual: a
multigrid cycle whose coarse solve is learned. So a look costs one evaluation of the kernel, and
what a Newton step would need conjugate gradients for is a few small products.

Everything is a sum over colours weighted by mass, or acts colour by colour: permutations of either
palette do nothing, colours without weight do nothing, and any number of colours is served.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcolor.measure import Measure
from jaxcolor.tree import pytree, static

EDGE = 2.4  # the grid's end, in squashed deviations: no colour is beyond
TYPICAL = 25.0  # CIELAB units that palettes spread, and by axis:
DEVIATION = 15.0
LOOKS = (0.05, 0.015)
SWEEPS = 2
FLOOR = 1e-9  # of masses in a ratio
HANDED = 3.0  # greatest log ratio of masses that a network is shown


@pytree
class Layer:
    """An affine layer."""

    weight: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        return x @ self.weight + self.bias


@pytree
class Local:
    """A correction colour by colour, told of the whole by `film`."""

    inner: Layer
    film: Layer
    outer: Layer

    def __call__(self, features: Array, whole: Array) -> Array:
        hidden = jax.nn.relu(self.inner(features) + self.film(whole)[None])
        return self.outer(hidden)[:, 0]


@pytree
class Round:
    """A correction of what a half-step leaves: residual on the grid -> potential on the grid."""

    residual: Layer
    gate: Layer
    whole: Layer
    middle: Layer
    grid: Layer
    local: Local


@pytree
class Network:
    """All weights, and the shape of the grid.

    Attributes:
        encoder: histograms -> hidden, the first layer plain, the others residual.
        grid: hidden -> potential on the grid. local: its correction.
        rounds: one for each look.
        nodes: of the grid along L, a, b.
        looks: epsilon of each look, in units of the palettes' spread.
    """

    encoder: tuple[Layer, ...]
    grid: Layer
    local: Local
    rounds: tuple[Round, ...]
    nodes: tuple[int, int, int] = static(default=(8, 6, 6))
    looks: tuple[float, ...] = static(default=LOOKS)


@pytree
class Seen:
    """One pair in the common frame, and what every stage needs of it."""

    x: Array  # (n, 3), in units of the spread
    y: Array
    a: Array
    b: Array
    epsilon: Array
    spread: Array  # CIELAB units
    here: Array  # (m, 4) where each target colour is
    rows: Array  # (m, k1) trilinear weights of the target's colours, along L
    columns: Array  # (m, k2 k3) and along a, b


def initial(
    key: Array,
    hidden: int = 160,
    inner: int = 64,
    local: int = 32,
    depth: int = 2,
    nodes: tuple[int, int, int] = (8, 6, 6),
    looks: tuple[float, ...] = LOOKS,
) -> Network:
    """Random weights (He, 2015), with small last layers: the first guess is hardly any."""
    keys = iter(jax.random.split(key, 64))
    cells = int(np.prod(nodes))

    def layer(n: int, m: int, scale: float = 1.0) -> Layer:
        weight = jax.random.normal(next(keys), (n, m), jnp.float32) * (scale * np.sqrt(2 / n))
        return Layer(weight.astype(jnp.float32), jnp.zeros(m, jnp.float32))

    def correction(features: int, whole: int) -> Local:
        film = layer(whole, local, 0.3)
        return Local(layer(features, local), film, layer(local, 1, 0.03))

    def round_() -> Round:
        return Round(
            residual=layer(cells, inner),
            gate=layer(hidden, inner),
            whole=layer(hidden, inner),
            middle=layer(inner, inner),
            grid=layer(inner, cells, 0.02),
            local=correction(7, inner),
        )

    first = layer(2 * cells + 8, hidden)
    return Network(
        encoder=(first, *(layer(hidden, hidden) for _ in range(depth))),
        grid=layer(hidden, cells, 0.05),
        local=correction(6, hidden),
        rounds=tuple(round_() for _ in looks),
        nodes=nodes,
        looks=looks,
    )


def potential(network: Network, x: Array, a: Array, y: Array, b: Array, epsilon: Array) -> Array:
    """The potential g of the target's colours, in CIELAB units, with b.g = 0.

    Args:
        x: (n, 3) and y: (m, 3) CIELAB colours. a: (n,) and b: (m,) weights of sum 1.
        epsilon: of the problem, cost |x - y|.
    """
    seen, hidden, g = guess(network, x, a, y, b, epsilon)
    cost = distances(seen)
    for stage, e in zip(network.rounds, network.looks, strict=True):
        g = corrected(stage, seen, hidden, g, look(seen, cost, g, at(seen, e)))
    return finished(seen, g)


def potentials(network: Network, sources: Measure, targets: Measure, epsilon: Array) -> Array:
    """(B, m) the same for B pairs at once.

    The small products are batched, the looks are not, whose kernels stay in cache one by one.
    """
    parts = sources.points, sources.weights, targets.points, targets.weights, epsilon
    seen, hidden, g = jax.vmap(guess, (None, 0, 0, 0, 0, 0))(network, *parts)
    cost = jax.lax.map(distances, seen)
    for stage, e in zip(network.rounds, network.looks, strict=True):
        looks = jax.vmap(at, (0, None))(seen, e)
        seem = jax.lax.map(lambda z: look(*z), (seen, cost, g, looks))
        g = jax.vmap(corrected, (None, 0, 0, 0, 0))(stage, seen, hidden, g, seem)
    return jax.vmap(finished)(seen, g)


def guess(network: Network, x, a, y, b, epsilon) -> tuple[Seen, Array, Array]:
    """The pair in its frame, what the encoder makes of it, and the first guess (m,)."""
    centre = 0.5 * (a @ x + b @ y)
    x, y = x - centre, y - centre
    deviation = jnp.sqrt(0.5 * (a @ x**2 + b @ y**2) + 0.25)
    u, w = x / deviation, y / deviation
    spread = jnp.sqrt((deviation**2).sum())
    rows, columns = _trilinear(w, network.nodes)
    own, other = (
        _splat(*_trilinear(u, network.nodes), a),
        _splat(rows, columns, b),
    )
    shift = 0.5 * (a @ u - b @ w)
    told = jnp.concatenate(
        [
            20 * (own - other),
            5 * jnp.sqrt(own + other) - 0.3,
            jnp.log(deviation / DEVIATION),
            shift,
            jnp.log(jnp.stack([spread / TYPICAL, jnp.cbrt(epsilon)])),
        ]
    )
    first, *others = network.encoder
    hidden = jax.nn.relu(first(told))
    for layer in others:
        hidden = hidden + jax.nn.relu(layer(hidden))
    here = jnp.concatenate([w / 2, (w**2).sum(1, keepdims=True) / 6 - 1], 1)
    seen = Seen(x / spread, y / spread, a, b, epsilon, spread, here, rows, columns)
    g = _read(seen, network.grid(hidden))
    size = jnp.log(b * 128 + 1e-3) / 3
    return seen, hidden, g + network.local(_features(seen, g, size), hidden)


def at(seen: Seen, look: float) -> Array:
    """The epsilon of a look, in units of the spread: never below the problem's own."""
    return jnp.maximum(look, seen.epsilon / seen.spread)


def distances(seen: Seen) -> Array:
    """(n, m), in units of the spread.

    By a product: exact to 1e-3 units of CIELAB, which is enough to look. Differences XLA would
    compute anew in every sum that they are part of, at three times the price of all the rest.
    """
    x, y = seen.x, seen.y
    squared = (x * x).sum(1)[:, None] + (y * y).sum(1)[None] - 2 * jnp.matmul(x, y.T)
    return jnp.sqrt(jnp.maximum(squared, 0))


@pytree
class Look:
    """The plan at a potential, its rows exact, before and after Sinkhorn sweeps from there."""

    before: Array  # (m,) column masses
    after: Array
    moved: Array  # (m,) by what the sweeps changed the potential, in units of the spread


def look(seen: Seen, cost: Array, g: Array, epsilon: Array, sweeps: int = SWEEPS) -> Look:
    """One evaluation of the kernel; the sweeps are products with it.

    Sweeps take away what is local in an error; what they leave is smooth, fit for a grid.
    """
    h = g / epsilon + jnp.log(jnp.maximum(seen.b, 1e-30))
    z = h[None] - cost / epsilon
    kernel = jnp.exp(z - z.max(1, keepdims=True))
    before = after = (seen.a / kernel.sum(1)) @ kernel
    logs = jnp.zeros_like(g)
    for _ in range(sweeps):
        logs = logs - ratio(seen, after)
        v = jnp.exp(logs)
        after = v * ((seen.a / (kernel @ v)) @ kernel)
    return Look(before, after, epsilon * logs)


def ratio(seen: Seen, columns: Array) -> Array:
    """(m,) log of the masses over what they should be, within bounds; 0 without weight."""
    return jnp.clip(jnp.log((columns + FLOOR) / (seen.b + FLOOR)), -HANDED, HANDED)


def corrected(stage: Round, seen: Seen, hidden: Array, g: Array, seeing: Look) -> Array:
    """The potential after the sweeps, and what the network adds to it."""
    residual = 50 * _splat(seen.rows, seen.columns, seeing.after - seen.b)
    whole = stage.residual(residual) * (1 + stage.gate(hidden)) + stage.whole(hidden)
    whole = jax.nn.relu(whole)
    whole = whole + jax.nn.relu(stage.middle(whole))
    smooth = _read(seen, stage.grid(whole))
    told = 10 * smooth, ratio(seen, seeing.after), ratio(seen, seeing.before)
    return g + seeing.moved + smooth + stage.local(_features(seen, *told), whole)


def finished(seen: Seen, g: Array) -> Array:
    """In CIELAB units, with b.g = 0."""
    g = g * seen.spread
    return g - seen.b @ g


def _features(seen: Seen, *others: Array) -> Array:
    return jnp.concatenate([seen.here, *(one[:, None] for one in others)], 1)


def _trilinear(u: Array, nodes: tuple[int, int, int]) -> tuple[Array, Array]:
    """Weights of the grid's nodes at points: (n, k1) along L and (n, k2 k3) along a, b."""
    squashed = u * jax.lax.rsqrt(1 + u**2 / 6)  # even spacing near the middle, wide at the ends

    def hats(k: int, count: int) -> Array:
        place = (squashed[:, k] / EDGE + 1) * (0.5 * (count - 1))
        place = jnp.clip(place, 0, count - 1)
        return jnp.maximum(0, 1 - jnp.abs(place[:, None] - jnp.arange(count, dtype=u.dtype)[None]))

    first, second, third = (hats(k, count) for k, count in enumerate(nodes))
    return first, (second[:, :, None] * third[:, None, :]).reshape(u.shape[0], -1)


def _splat(rows: Array, columns: Array, masses: Array) -> Array:
    """(cells,) masses on the grid."""
    return ((rows * masses[:, None]).T @ columns).ravel()


def _read(seen: Seen, grid: Array) -> Array:
    """(m,) a function on the grid at the target's colours."""
    return ((seen.rows @ grid.reshape(seen.rows.shape[1], -1)) * seen.columns).sum(1)
