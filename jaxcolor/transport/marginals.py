"""What happens to mass that does not fit: one penalty for each side of a plan.

A marginal is F(p | a), a convex function of the plan's own marginal p given the measure's weights
a. Solvers need it through the potential f (all formulas are per unit of weight, point by point):

- `step(f, epsilon)`: the potential that is optimal given the other side; the argument is the one
  that would be optimal were the marginal hard (the proximal step in the log domain);
- `dual(f)`: -F*(-f), its term in the dual value; `change(f, d)` is dual(f + d) - dual(f), free of
  cancellation;
- `mass(f)`: the derivative of `dual`, the mass that goes with f where that is determined;
- `slope(epsilon)`, `curvature(f)`: derivatives of `step` and of -`mass`, for Newton;
- `bounds()`: least and greatest total mass, in units of the measure's own.

Reference:
    Chizat, Peyre, Schmitzer, Vialard (2018), Scaling algorithms for unbalanced optimal transport
    problems, table 1, with the potential in place of the scaling.
"""

from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
from jax import Array

from jaxcolor.tree import pytree


@runtime_checkable
class Marginal(Protocol):
    """What `sinkhorn` asks of a marginal."""

    def step(self, f: Array, epsilon: Array) -> Array: ...
    def dual(self, f: Array) -> Array: ...
    def bounds(self) -> tuple[Array | float, Array | float]: ...


@runtime_checkable
class SmoothMarginal(Marginal, Protocol):
    """What `newton` asks for on top: the dual term must have two derivatives."""

    def change(self, f: Array, d: Array) -> Array: ...
    def mass(self, f: Array) -> Array: ...
    def slope(self, epsilon: Array) -> Array | float: ...
    def curvature(self, f: Array) -> Array: ...


@pytree
class Balanced:
    """p = a: all mass is moved, none made."""

    def step(self, f: Array, epsilon: Array) -> Array:
        return f

    def dual(self, f: Array) -> Array:
        return f

    def change(self, f: Array, d: Array) -> Array:
        return d

    def mass(self, f: Array) -> Array:
        return jnp.ones_like(f)

    def slope(self, epsilon: Array) -> Array | float:
        return jnp.ones_like(epsilon)

    def curvature(self, f: Array) -> Array:
        return jnp.zeros_like(f)

    def bounds(self) -> tuple[Array | float, Array | float]:
        return 1.0, 1.0


BALANCED = Balanced()


@pytree
class KL:
    """F(p | a) = rho KL(p | a), KL with mass terms: mass fades where partners are far.

    Attributes:
        rho: scalar > 0, in units of the cost; a partner further than about rho is given up.

    Example:
        >>> KL(1.0).step(jnp.float32(3), jnp.float32(0.5))
        Array(2., dtype=float32)
    """

    rho: Array | float

    def step(self, f: Array, epsilon: Array) -> Array:
        return self.slope(epsilon) * f

    def dual(self, f: Array) -> Array:
        return -self._rho(f) * jnp.expm1(-f / self._rho(f))

    def change(self, f: Array, d: Array) -> Array:
        return -self._rho(f) * self.mass(f) * jnp.expm1(-d / self._rho(f))

    def mass(self, f: Array) -> Array:
        return jnp.exp(-f / self._rho(f))

    def slope(self, epsilon: Array) -> Array | float:
        return 1 / (1 + epsilon / self._rho(epsilon))

    def curvature(self, f: Array) -> Array:
        return self.mass(f) / self._rho(f)

    def bounds(self) -> tuple[Array | float, Array | float]:
        return 0.0, jnp.inf

    def _rho(self, like: Array) -> Array:
        return jnp.asarray(self.rho, like.dtype)


@pytree
class TV:
    """F(p | a) = rho |p - a|_1: a point is moved whole or, where that costs over rho, not at all.

    Attributes:
        rho: scalar > 0, the price of making or losing a unit of mass.

    Example:
        >>> TV(1.0).step(jnp.array([-3.0, 0.5, 3.0]), jnp.float32(0.1))
        Array([-1. ,  0.5,  1. ], dtype=float32)
    """

    rho: Array | float

    def step(self, f: Array, epsilon: Array) -> Array:
        rho = jnp.asarray(self.rho, f.dtype)
        return jnp.clip(f, -rho, rho)

    def dual(self, f: Array) -> Array:
        # -infinity below -rho, where no step ever ends; at f = rho the slope belongs to rho
        rho = jnp.asarray(self.rho, f.dtype)
        return jnp.where(f >= rho, rho, f)

    def bounds(self) -> tuple[Array | float, Array | float]:
        return 0.0, jnp.inf


@pytree
class Range:
    """low a <= p <= high a: mass may shrink or grow, free of charge, within limits.

    Attributes:
        low, high: scalars, 0 <= low <= high, high > 0.

    Example:
        >>> Range(0.5, 2.0).step(jnp.array([-3.0, 0.2, 3.0]), jnp.float32(1.0)).round(2)
        Array([-2.31,  0.  ,  2.31], dtype=float32)
    """

    low: Array | float
    high: Array | float

    def step(self, f: Array, epsilon: Array) -> Array:
        low, high = jnp.asarray(self.low, f.dtype), jnp.asarray(self.high, f.dtype)
        # low = 0 is no lower limit; the double where keeps derivatives finite
        some = low > 0
        least = jnp.where(some, f + epsilon * jnp.log(jnp.where(some, low, 1)), -jnp.inf)
        return jnp.clip(jnp.zeros_like(f), least, f + epsilon * jnp.log(high))

    def dual(self, f: Array) -> Array:
        low, high = jnp.asarray(self.low, f.dtype), jnp.asarray(self.high, f.dtype)
        return jnp.minimum(low * f, high * f)

    def bounds(self) -> tuple[Array | float, Array | float]:
        return self.low, self.high


@pytree
class Mixed:
    """F(p | a) = min over q of rho KL(q | a) + kappa rho |p - q|_1, kappa = rho / (rho + epsilon).

    Total variation's clip and then KL's power, one after the other: mass fades with distance, as
    under KL, and a point that is very far costs a bounded price, as under TV.

    Attributes:
        rho: scalar > 0, in units of the cost, of both.

    Example:
        >>> Mixed(1.0).step(jnp.array([-3.0, 0.5, 3.0]), jnp.float32(0.25))
        Array([-0.8,  0.4,  0.8], dtype=float32)
    """

    rho: Array | float

    def step(self, f: Array, epsilon: Array) -> Array:
        return KL(self.rho).step(TV(self.rho).step(f, epsilon), epsilon)

    def dual(self, f: Array) -> Array:
        # that of KL, which no step leaves the bounds of
        return KL(self.rho).dual(f)

    def bounds(self) -> tuple[Array | float, Array | float]:
        return 0.0, jnp.inf


@pytree
class Shifted:
    """A marginal seen from another reference measure than a b' / s.

    With the reference u v' in its place plans are u v' exp((f + g - C) / epsilon) for potentials
    larger by epsilon log(a / (u sqrt(s))), and so for the target: that is the shift.

    Attributes:
        inner: the marginal, as the other reference has it.
        shift: what its potential has more, scalar or (n,); finite, also where there is no weight.

    Example:
        >>> Shifted(TV(1.0), 0.25).step(jnp.array([0.5, 3.0]), jnp.float32(0.1))
        Array([0.5 , 0.75], dtype=float32)
    """

    inner: Any  # a Marginal
    shift: Array | float

    def step(self, f: Array, epsilon: Array) -> Array:
        shift = self._shift(f)
        return self.inner.step(f + shift, epsilon) - shift

    def dual(self, f: Array) -> Array:
        return self.inner.dual(f + self._shift(f))

    def change(self, f: Array, d: Array) -> Array:
        return self.inner.change(f + self._shift(f), d)

    def mass(self, f: Array) -> Array:
        return self.inner.mass(f + self._shift(f))

    def slope(self, epsilon: Array) -> Array | float:
        return self.inner.slope(epsilon)

    def curvature(self, f: Array) -> Array:
        return self.inner.curvature(f + self._shift(f))

    def bounds(self) -> tuple[Array | float, Array | float]:
        return self.inner.bounds()

    def _shift(self, like: Array) -> Array:
        return jnp.asarray(self.shift, like.dtype)


def kind(marginal: Marginal) -> Marginal:
    """The marginal itself, whatever reference it is seen from."""
    return kind(marginal.inner) if isinstance(marginal, Shifted) else marginal


def shifted(marginal: Marginal, shift: Array | float) -> Marginal:
    """The marginal from another reference; a hard one is the same from all."""
    return marginal if isinstance(marginal, Balanced) else Shifted(marginal, shift)
