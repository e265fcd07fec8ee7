import jax
import jax.numpy as jnp
import numpy as np

from jaxcolor.transport import anderson

COMPILED_WITH_CARE = True


def iterate(G, x, steps, scale=None, memory=anderson.MEMORY):
    """The iterates, accelerated, and G of the last."""
    past = anderson.start(x, memory)
    scale = jnp.ones_like(x) if scale is None else scale
    for _ in range(steps):
        x, past = anderson.mix(past, x, G(x), scale)
    return x


def contraction(dtype, n=4, rate=0.97):
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    A = jnp.asarray(q @ np.diag(np.linspace(-0.5, rate, n)) @ q.T, dtype)
    b = jnp.asarray(rng.normal(size=n), dtype)
    fixed = jnp.linalg.solve(jnp.eye(n, dtype=dtype) - A, b)
    return lambda x: A @ x + b, fixed


def test_a_linear_map_of_four_unknowns_is_solved_in_few_steps(dtype):
    """As by GMRES; unaccelerated, .97^12 = .69 of the error would be left."""
    G, fixed = contraction(dtype)
    x = iterate(G, jnp.zeros(4, dtype), 12)
    np.testing.assert_allclose(x, fixed, rtol=1e-2)


def test_a_memory_of_one_is_the_plain_iteration(single):
    G, _ = contraction(single)
    x = jnp.zeros(4)
    for _ in range(5):
        x = G(x)
    np.testing.assert_allclose(iterate(G, jnp.zeros(4), 5, memory=1), x, rtol=1e-5)


def test_the_fixed_point_stays(dtype):
    G, fixed = contraction(dtype)
    np.testing.assert_allclose(iterate(G, fixed, 3), fixed, rtol=1e-4)


def test_coordinates_that_do_not_count_may_do_what_they_like(single):
    """A coordinate that never converges does not hold up the others."""
    G, fixed = contraction(single)

    def both(x):
        return jnp.concatenate([G(x[:4]), x[4:] + 1])

    scale = jnp.array([1.0, 1, 1, 1, 0])
    x = iterate(both, jnp.zeros(5), 12, scale)
    np.testing.assert_allclose(x[:4], fixed, rtol=1e-2)


def test_a_jump_of_the_residual_begins_anew(single):
    """What was remembered of another map is forgotten."""
    G, fixed = contraction(single)
    past = anderson.start(jnp.zeros(4))
    x = jnp.zeros(4)
    for _ in range(4):
        x, past = anderson.mix(past, x, x + 1e-3, jnp.ones(4))
    for _ in range(12):
        x, past = anderson.mix(past, x, G(x), jnp.ones(4))
    np.testing.assert_allclose(x, fixed, rtol=1e-2)


def test_vmap_is_a_loop(single):
    G, _ = contraction(single)
    starts = jnp.asarray(np.random.default_rng(1).normal(size=(3, 4)), jnp.float32)
    both = jax.vmap(lambda x: iterate(G, x, 4))(starts)
    np.testing.assert_allclose(both, [iterate(G, x, 4) for x in starts], rtol=1e-3, atol=1e-4)
