"""A kernel on several devices: each has some rows; potentials are on all.

    log sum_j: every device for its own rows, which are then gathered: n numbers;
    log sum_i: every device over its own rows, then a maximum and a sum over devices: 2 m numbers.

Nothing else is sent, whatever a solver does, but for 512 points that `newton` may begin with;
costs stay where they are.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxcolor.sharding import AXIS, BY_ROWS, EVERYWHERE, each_its_part, replicated
from jaxcolor.transport.kernels import Cloud, Kernel, Rows
from jaxcolor.tree import pytree, static


@pytree
class Sharded:
    """Any kernel, its rows divided between devices.

    Attributes:
        kernel: `Dense`, `Cloud` or `GridKernel` (whose first axis is divided), of any size; it
            costs nothing where its rows lie there already.
        mesh: devices along one axis (`sharding.line_of`).

    Example:
        >>> from jaxcolor.sharding import line_of
        >>> x = jnp.array([[0.0], [1.0], [2.0]])
        >>> kernel = Sharded(Cloud(x, x), line_of())
        >>> kernel.average(jnp.zeros(3), jnp.float32(0.01), x, axis=1).ravel()
        Array([0., 1., 2.], dtype=float32)
    """

    kernel: Any  # a Kernel that has ROWS
    mesh: Mesh = static()

    @property
    def shape(self) -> tuple[int, int]:
        return self.kernel.shape

    @property
    def y(self) -> Array:
        assert isinstance(self.kernel, Cloud)
        return self.kernel.y

    def softmin(self, h: Array, epsilon: Array, axis: int) -> Array:
        if axis == 1:
            return self._of_rows(lambda k, h, e: k.softmin(h, e, 1), h, epsilon)
        return self._over_rows(_merged, (h,), (-jnp.inf,), epsilon)

    def average(self, h: Array, epsilon: Array, values: Array, axis: int) -> Array:
        if axis == 1:
            return self._of_rows(lambda k, h, e, v: k.average(h, e, v, 1), h, epsilon, values)
        return self._over_rows(_mean, (h, values), (-jnp.inf, 0), epsilon)

    def at(self, points: Array, axis: int) -> "Sharded":
        return Sharded(self.kernel.at(points, axis), self.mesh)

    def span(self, a: Array, b: Array) -> Array:
        def greatest(kernel, a, b):
            return jax.lax.pmax(jax.lax.stop_gradient(kernel.span(a, b)), AXIS)

        return self._over_rows(greatest, (a,), (0,), b)

    def dense(self) -> Array:
        return self.kernel.dense()

    def rows(self, h: Array, epsilon: Array, stored: bool) -> tuple[Rows, Array]:
        def part(kernel, h, epsilon):
            rows, normaliser = kernel.rows(h, epsilon, stored)
            # an axis of devices before every leaf: what a device keeps is its own business
            return jax.tree.map(lambda leaf: leaf[None], rows), normaliser

        kernel = self._filled
        given = _specs(kernel), EVERYWHERE, EVERYWHERE
        parts, normaliser = each_its_part(part, self.mesh, given, BY_ROWS)(kernel, h, epsilon)
        n = self.shape[0]
        return Parts(parts, self.mesh, n, kernel.shape[0]), _gathered(normaliser, self.mesh, n)

    @property
    def _filled(self) -> Any:
        """The kernel with as many rows as devices can share: the last again and again."""
        parts, form = jax.tree.flatten(getattr(self.kernel, self.kernel.ROWS))
        missing = -parts[0].shape[0] % self.mesh.size
        if missing == 0:
            return self.kernel
        last = jnp.broadcast_to(parts[0][-1:], (missing, *parts[0].shape[1:]))
        parts[0] = jnp.concatenate([parts[0], last])
        return replace(self.kernel, **{self.kernel.ROWS: jax.tree.unflatten(form, parts)})

    def _of_rows(self, function, *arguments: Array) -> Array:
        """function(kernel, *arguments) -> (rows, ...), each device for its own."""
        kernel = self._filled
        given = _specs(kernel), *(EVERYWHERE for _ in arguments)
        rows = each_its_part(function, self.mesh, given, BY_ROWS)(kernel, *arguments)
        return _gathered(rows, self.mesh, self.shape[0])

    def _over_rows(self, function, values: tuple, fill: tuple, *arguments: Array) -> Array:
        """function(kernel, *values, *arguments), the same on all devices.

        Args:
            values: arrays with one for each row. fill: what stands for the rows that fill up.
        """
        kernel = self._filled
        given = _specs(kernel), *(BY_ROWS for _ in values), *(EVERYWHERE for _ in arguments)
        filled = (_fill(rows, kernel.shape[0], v) for rows, v in zip(values, fill, strict=True))
        split = each_its_part(function, self.mesh, given, EVERYWHERE)
        return split(kernel, *filled, *arguments)


def cloud_of(kernel: Kernel) -> Cloud | None:
    """The clouds of a kernel that has some, wherever they lie."""
    if isinstance(kernel, Sharded):
        kernel = kernel.kernel
    return kernel if isinstance(kernel, Cloud) else None


def on_all(coupling):
    """A coupling whose potentials, value and info every device, and every process, has whole."""
    mesh = coupling.kernel.mesh
    whole = replicated((coupling.f, coupling.g, coupling.value, coupling.info), mesh)
    f, g, value, info = whole
    return replace(coupling, f=f, g=g, value=value, info=info)


def _specs(kernel: Any) -> Any:
    """Where the leaves of a kernel lie: those of its rows divided, all others everywhere."""
    leaves, form = jax.tree.flatten(getattr(kernel, kernel.ROWS))
    rows = jax.tree.unflatten(form, [BY_ROWS, *(EVERYWHERE for _ in leaves[1:])])
    return replace(jax.tree.map(lambda _: EVERYWHERE, kernel), **{kernel.ROWS: rows})


def _gathered(rows: Array, mesh: Mesh, n: int) -> Array:
    """The first n of what devices hold for their rows, on all of them."""
    return jax.lax.with_sharding_constraint(rows, NamedSharding(mesh, EVERYWHERE))[:n]


def _fill(rows: Array, size: int, value: float) -> Array:
    missing = [(0, size - rows.shape[0]), *((0, 0) for _ in rows.shape[1:])]
    return jnp.pad(rows, missing, constant_values=value) if missing[0][1] else rows


def _own(kernel: Kernel, h: Array, epsilon: Array) -> tuple[Array, Array, Array]:
    """log sum exp over a device's own rows; the h that is safe to use; the maximum of all devices.

    A device may have rows without weight only.
    """
    some = jnp.isfinite(h).any()
    safe = jnp.where(some, h, 0)
    part = jnp.where(some, kernel.softmin(safe, epsilon, 0), -jnp.inf)
    return part, safe, jax.lax.stop_gradient(jax.lax.pmax(jax.lax.stop_gradient(part), AXIS))


def _merged(kernel: Kernel, h: Array, epsilon: Array) -> Array:
    part, _, top = _own(kernel, h, epsilon)
    return top + jnp.log(jax.lax.psum(jnp.exp(part - top), AXIS))


def _mean(kernel: Kernel, h: Array, values: Array, epsilon: Array) -> Array:
    part, safe, top = _own(kernel, h, epsilon)
    share = jnp.exp(part - top)
    mine = kernel.average(safe, epsilon, values, 0)
    shares = share.reshape(-1, *(1,) * (values.ndim - 1))
    return jax.lax.psum(shares * mine, AXIS) / jax.lax.psum(shares, AXIS)


@pytree
class Parts:
    """A softmax whose rows are divided between devices.

    Attributes:
        parts: a `Rows`, with an axis of devices in front of every leaf.
        mesh: the devices. n: how many rows there are. filled: and with those that fill up.
    """

    parts: Rows
    mesh: Mesh = static()
    n: int = static()
    filled: int = static()

    def forward(self, v: Array) -> Array:
        def own(parts, v):
            return jax.tree.map(lambda leaf: leaf[0], parts).forward(v)

        rows = self._split(own, EVERYWHERE, BY_ROWS)(self.parts, v)
        return _gathered(rows, self.mesh, self.n)

    def backward(self, u: Array) -> Array:
        def own(parts, u):
            return jax.lax.psum(jax.tree.map(lambda leaf: leaf[0], parts).backward(u), AXIS)

        return self._split(own, BY_ROWS, EVERYWHERE)(self.parts, _fill(u, self.filled, 0))

    def _split(self, function, given: PartitionSpec, result: PartitionSpec):
        return each_its_part(function, self.mesh, (BY_ROWS, given), result)
