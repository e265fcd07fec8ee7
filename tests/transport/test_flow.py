import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from jaxcolor.maps import ColorMap
from jaxcolor.measure import Measure, pad, point_cloud
from jaxcolor.transport import directions, flow, sliced
from jaxcolor.transport.sliced_distance import distance

from problems import cloud  # isort: skip

COMPILED_WITH_CARE = True

KEY = jax.random.key(0)
THETA = directions.quadrature(100, 3)
ADAM = optax.adam(optax.cosine_decay_schedule(0.2, 80))
MOMENTUM = optax.sgd(0.3, momentum=0.5)


def left(T, source, target) -> float:
    """SW_2 after over before, along directions that the flow has not seen."""
    moved = Measure(T(source.points), source.weights)
    theta = THETA.astype(source.points.dtype)
    return float(distance(moved, target, theta) / distance(source, target, theta))


@pytest.mark.parametrize(
    "optimizer", [flow.DESCENT, ADAM, MOMENTUM], ids=["sgd", "adam", "momentum"]
)
def test_any_optimizer_reaches_the_target(optimizer, dtype):
    source, target = cloud(0, 1000, dtype), cloud(30, 800, dtype)
    T = flow.solve(source, target, KEY, optimizer=optimizer, steps=80)
    assert isinstance(T, ColorMap)
    assert T.losses.shape == (80,)
    assert T.losses.dtype == dtype
    # Adam's steps are of one size: it ends in a noise that descent does not have
    distance_left, loss_left = (0.1, 0.05) if optimizer is ADAM else (0.06, 0.01)
    assert left(T, source, target) < distance_left
    assert T.losses[-1] < loss_left * T.losses[0]


def test_a_schedule_is_followed(single):
    """At rate zero nothing moves any more."""
    source, target = cloud(1, 500, single), cloud(31, 500, single)
    stopped = optax.sgd(optax.piecewise_constant_schedule(0.5, {5: 0.0}))
    T = flow.solve(source, target, KEY, optimizer=stopped, steps=10)
    short = flow.solve(source, target, KEY, optimizer=optax.sgd(0.5), steps=10)
    x = source.points
    cut = jax.tree.map(lambda leaf: leaf[:5], short)
    np.testing.assert_allclose(T(x), cut(x), atol=1e-5)


def test_the_map_carries_other_colours_as_it_carried_the_source(dtype):
    source, target = cloud(2, 800, dtype), cloud(32, 800, dtype)
    T = flow.solve(source, target, KEY, optimizer=MOMENTUM, steps=20)
    np.testing.assert_allclose(T(source.points), T.points, atol=1e-4)
    new = source.points[:50] + jnp.asarray(1e-4, dtype)
    np.testing.assert_allclose(T(new), T(source.points[:50]), atol=0.05)
    np.testing.assert_allclose(jax.jit(lambda T, x: T(x))(T, new), T(new), atol=1e-4)


def test_one_frame_at_rate_one_is_distribution_transfer(single):
    """The same tables give the same map, whether they are a flow's or a `Quantile`'s."""
    from jaxcolor.maps import Quantile

    source, target = cloud(3, 700, single), cloud(33, 700, single)
    T = flow.solve(source, target, KEY, steps=6)
    same = Quantile(T.directions, T.low, T.step, T.shift)
    np.testing.assert_allclose(T(source.points), same(source.points), atol=1e-4)


def test_losses_are_the_distance_on_the_way(single):
    """The first of them, without a step taken yet, is SW_2^2 along the first directions."""
    source, target = cloud(4, 600, single), cloud(34, 500, single)
    T = flow.solve(source, target, KEY, steps=3, knots=4096)
    expected = distance(source, target, T.directions[0], method="sorted") ** 2
    np.testing.assert_allclose(T.losses[0], expected, rtol=5e-3)


@pytest.mark.parametrize(
    ("draw", "slices"),
    [
        (directions.independent, 1),
        (directions.orthonormal, 3),
        (directions.independent, 5),
        (directions.orthonormal, 5),
    ],
)
def test_any_number_of_directions(draw, slices, single):
    source, target = cloud(5, 600, single), cloud(35, 600, single)
    gentle = optax.sgd(min(1.0, slices / 3))
    T = flow.solve(source, target, KEY, optimizer=gentle, steps=60, slices=slices, draw=draw)
    assert T.directions.shape == (60, slices, 3)
    assert left(T, source, target) < 0.12


def test_the_limit_costs_no_more_than_the_exact_assignment():
    """Within 2 %, as S1 observed: the flow ends near the projection, not at any coupling."""
    source, target = (cloud(k, 300, np.float32, weighted=False) for k in (6, 36))
    slow = optax.sgd(0.25)
    T = flow.solve(source, target, KEY, optimizer=slow, steps=300, knots=2048)
    moved = np.asarray(T(source.points))
    cost = cdist(source.points, target.points, "sqeuclidean")
    best = cost[linear_sum_assignment(cost)].mean()
    ours = ((moved - np.asarray(source.points)) ** 2).sum(1).mean()
    assert 0.98 * best < ours < 1.02 * best


def test_weights_count_and_padding_is_inert(dtype):
    source, target = cloud(7, 300, dtype), cloud(37, 200, dtype)
    T = flow.solve(source, target, KEY, steps=5)
    more = flow.solve(pad(source, 400), pad(target, 256), KEY, steps=5)
    # the map is steep somewhere, and sums are rounded otherwise
    off = np.abs(np.asarray(more(source.points) - T(source.points)))
    assert np.quantile(off, 0.95) < 1e-4
    assert off.max() < 0.01
    assert more.losses.shape == (5,)
    np.testing.assert_allclose(more.losses, T.losses, rtol=1e-4)


def test_vmap_is_a_loop(single):
    pairs = [(cloud(k, 200, single), cloud(k + 9, 150, single)) for k in range(3)]
    mu, nu = jax.tree.map(lambda *leaf: jnp.stack(leaf), *pairs)
    batch = jax.vmap(lambda m, n: flow.solve(m, n, KEY, steps=4).shift)(mu, nu)
    for k, pair in enumerate(pairs):
        off = np.abs(np.asarray(batch[k] - flow.solve(*pair, KEY, steps=4).shift))
        assert np.quantile(off, 0.99) < 1e-4


def test_a_second_call_compiles_nothing(single):
    source, target = cloud(8, 100, single), cloud(38, 90, single)
    flow.solve(source, target, KEY, optimizer=ADAM, steps=2)
    size = flow.solve._cache_size()
    flow.solve(source, target, jax.random.key(1), optimizer=ADAM, steps=2)
    assert flow.solve._cache_size() == size


@pytest.mark.parametrize("options", [{"steps": 0}, {"slices": 0}])
def test_nothing_to_do_is_an_error(options):
    source = cloud(9, 10, np.float32)
    with pytest.raises(ValueError, match="at least 1"):
        flow.solve(source, source, KEY, **options)


# iterative distribution transfer's own stop


def test_distribution_transfer_stops_when_held_out_directions_say_so(dtype):
    source, target = cloud(0, 2000, dtype, weighted=False), cloud(30, 2000, dtype, weighted=False)
    T = sliced.solve(source, target, KEY, bases=60, tol=0.01)
    used = np.asarray(jnp.abs(T.shift).max((1, 2)) > 0)
    count = int(used.sum())
    assert used[:count].all()  # then nothing more
    assert 3 < count < 40
    assert left(T, source, target) < 0.05
    patient = sliced.solve(source, target, KEY, bases=60, tol=1e-4)
    assert int((jnp.abs(patient.shift).max((1, 2)) > 0).sum()) > count


def test_without_a_stop_all_frames_are_used(single):
    source, target = cloud(0, 300, single), cloud(30, 300, single)
    plain = sliced.solve(source, target, KEY, bases=8)
    never = sliced.solve(source, target, KEY, bases=8, tol=0.0)
    np.testing.assert_allclose(never.shift[:3], plain.shift[:3], atol=1e-4)
    assert (jnp.abs(plain.shift).max((1, 2)) > 0).all()


def test_relaxed_frames_move_less(single):
    source, target = point_cloud(cloud(1, 500, single).points), cloud(31, 500, single)
    moves = [
        float(
            jnp.abs(
                sliced.solve(source, target, KEY, bases=1, relaxation=r)(source.points)
                - source.points
            ).sum()
        )
        for r in (0.25, 1.0)
    ]
    np.testing.assert_allclose(moves[0], moves[1] / 4, rtol=1e-4)
