import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.iterate import Info, Status, check, default_tol, iterate


def info(statuses, steps=None, errors=None) -> Info:
    shape = np.shape(statuses)
    steps = np.zeros(shape, np.int32) if steps is None else steps
    errors = np.zeros(shape, np.float32) if errors is None else errors
    return Info(
        jnp.asarray(statuses, jnp.int8),
        jnp.asarray(steps, jnp.int32),
        jnp.zeros(shape, jnp.int32),
        jnp.asarray(errors, jnp.float32),
    )


def test_worse_outcomes_have_larger_codes():
    order = ["OK", "MAX_STEPS", "STALLED", "INFEASIBLE", "NONFINITE"]
    assert [status.name for status in sorted(Status)] == order
    assert Status.OK == 0


def test_check_is_silent_where_all_is_well():
    check(info(0))
    check(info([0, 0, 0]))
    check(info([[0, 0], [0, 0]]))


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (Status.MAX_STEPS, "max_steps"),
        (Status.STALLED, "float64"),
        (Status.INFEASIBLE, "same mass"),
        (Status.NONFINITE, "NaN"),
    ],
)
def test_check_names_the_cause_and_a_remedy(status, remedy):
    with pytest.raises(RuntimeError, match=status.name) as caught:
        check(info(status, steps=17, errors=0.25))
    message = str(caught.value)
    assert remedy in message.split(":")[-1]
    assert "1 of 1" in message
    assert "0.25" in message
    assert "17 steps" in message
    assert "index" not in message  # there is only one


def test_check_counts_all_failures_and_points_at_the_first_of_the_worst():
    statuses = [0, 1, 0, 3, 1, 3]
    with pytest.raises(RuntimeError) as caught:
        check(info(statuses, steps=[1, 2, 3, 4, 5, 6], errors=[0, 1, 0, 0.5, 1, 0.75]))
    message = str(caught.value)
    assert message.startswith("4 of 6 problems ended with INFEASIBLE, first at index [3, 5]")
    assert "error 0.5 after 4 steps" in message


def test_check_lists_at_most_five_indices_of_a_flattened_batch():
    with pytest.raises(RuntimeError, match=r"8 of 8 .* \[0, 1, 2, 3, 4\] "):
        check(info(np.full((2, 4), 2)))


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap])
def test_check_says_to_call_it_outside_transformations(transform):
    def wrapped(status):
        zero = jnp.zeros_like(status)
        check(Info(status, zero, zero, zero))
        return status

    with pytest.raises(TypeError, match="outside jit"):
        transform(wrapped)(jnp.zeros(3, jnp.int8))


def test_default_tolerance_follows_the_dtype():
    assert default_tol(jnp.float32) == 1e-4
    assert default_tol(np.dtype("float64")) == 1e-8


def test_iterate_stops_each_problem_of_a_batch_where_it_would_alone():
    def solve(x):
        return iterate(lambda x: 2 * x, x, lambda x: x < 100)

    starts = jnp.asarray([1.0, 60.0, 300.0])
    np.testing.assert_array_equal(jax.vmap(solve)(starts), [128.0, 120.0, 300.0])
    np.testing.assert_array_equal([solve(x) for x in starts], [128.0, 120.0, 300.0])
