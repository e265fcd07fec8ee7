"""Derivatives of the optimal potentials by the implicit function theorem.

At the optimum f = F(g, theta) and g = G(f, theta), the two half-steps of Sinkhorn. Differentiating
both gives a linear system in the tangents; it is solved, not unrolled, so that forward and reverse
mode cost one more solve whatever the method that found (f, g) did.

Reference:
    Cuturi, Teboul, Niles-Weed, Vert (2020), Supervised quantile normalization for low-rank matrix
    factorization, appendix; Luise, Rudi, Pontil, Ciliberto (2018), Differential properties of
    Sinkhorn approximation, theorem 2.
"""

import jax
import jax.numpy as jnp
from jax import Array

from jaxcolor.transport import problem as pb
from jaxcolor.transport.kernels import STORED, transposable
from jaxcolor.transport.linear import conjugate_gradients
from jaxcolor.transport.problem import Problem

PRODUCTS = 1000


@jax.custom_jvp
def attach(p: Problem, f: Array, g: Array) -> tuple[Array, Array]:
    """(f, g) as they are, but with the derivatives of the optimum of `p`, whoever found them.

    The problem's kernel, weights, epsilon and marginals may carry tangents; those of the arguments
    f and g are ignored.
    """
    return f, g


@attach.defjvp
def _attach_jvp(primals, tangents):
    p, f, g = primals
    dp = tangents[0]
    f, g = attach(p, f, g)
    _, df = jax.jvp(lambda q: pb.best_f(q, g), (p,), (dp,))
    _, dg = jax.jvp(lambda q: pb.best_g(q, f), (p,), (dp,))
    return (f, g), _propagate(p, f, g, df, dg)


def _propagate(p: Problem, f: Array, g: Array, df0: Array, dg0: Array) -> tuple[Array, Array]:
    """Solve df = df0 - kappa_a S_r dg, dg = dg0 - kappa_b S_c df.

    S_r and S_c are the plan's rows and columns divided by their masses r and c. With
    D = sqrt(kappa_b / c) and dg = dg0 + D z the system is symmetric:
    (1 - D S_r' diag(kappa_a r) S_r D) z = D S_r' (r (kappa_a S_r dg0 - df0)).
    """
    n, m = p.kernel.shape
    scale = pb.mass(p)
    rows, normaliser = p.kernel.rows(
        pb.leaning(p.b, g, p.epsilon, scale), p.epsilon, n * m <= STORED
    )
    hard = -p.epsilon * normaliser
    r = pb.moved(p.a, f, hard, p.epsilon)
    c = rows.backward(r)
    slope_a = _slope(p.source_marginal, hard, p.epsilon)
    slope_b = _slope(p.target_marginal, pb.hard_g(p, f), p.epsilon)
    live = (p.b > 0) & (c > jnp.finfo(c.dtype).tiny * 1e4)
    d = jnp.where(live, jnp.sqrt(slope_b / jnp.where(live, c, 1)), 0)

    def matvec(z):
        return z - d * rows.backward(slope_a * r * rows.forward(d * z))

    linear = transposable(rows)  # what tangents pass through
    rhs = d * linear.backward(r * (slope_a * linear.forward(dg0) - df0))
    if pb.both_hard(p):
        # the system's null vector; what lies along it is the gauge, or infeasible
        null = jnp.where(live, jnp.sqrt(jnp.where(live, c, 1)), 0)
        rhs = rhs - null * (jnp.vdot(null, rhs) / jnp.vdot(null, null))
    forcing = jnp.sqrt(jnp.finfo(g.dtype).eps) * 1e-2

    def solve(matvec, rhs):
        return conjugate_gradients(matvec, rhs, jnp.asarray(forcing, g.dtype), PRODUCTS)[0]

    z = jax.lax.custom_linear_solve(matvec, rhs, solve, symmetric=True)
    df = df0 - slope_a * linear.forward(dg0 + d * z)
    # once more by columns: it serves the points without weight, which the system leaves out
    h = pb.leaning(p.a, f, p.epsilon, scale)
    return df, dg0 - slope_b * transposable(p.kernel).average(h, p.epsilon, df, axis=0)


def _slope(marginal, hard: Array, epsilon: Array) -> Array:
    """Derivative of a marginal's step, point by point."""
    return jax.jvp(lambda h: marginal.step(h, epsilon), (hard,), (jnp.ones_like(hard),))[1]
