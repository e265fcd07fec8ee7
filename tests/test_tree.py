import itertools

import jax
import jax.numpy as jnp
import pytest

from jaxcolor import maps
from jaxcolor.image import apply, colors, lut, spaces
from jaxcolor.iterate import Info
from jaxcolor.measure import Measure
from jaxcolor.transport import costs, coupling, kernels, marginals, newton, problem, sinkhorn
from jaxcolor.tree import pytree, static

ONE = jnp.ones(())
CLOUD = kernels.Cloud(jnp.eye(3), jnp.eye(3))
PROBLEM = problem.Problem(
    CLOUD, jnp.ones(3), jnp.ones(3), ONE, marginals.Balanced(), marginals.KL(ONE)
)
INFO = Info(ONE, ONE, ONE, ONE)
COUPLING = coupling.Coupling(PROBLEM, jnp.ones(3), jnp.ones(3), ONE, INFO)

INSTANCES = [
    *spaces.SPACES.values(),
    spaces.LAlphaBeta(linear=False),
    maps.Affine(jnp.eye(3), jnp.zeros(3)),
    maps.InSpace(spaces.Lab(), maps.Affine(jnp.eye(3), jnp.zeros(3))),
    maps.InSpace(spaces.Oklab(), maps.Affine(jnp.eye(3), jnp.zeros(3))),
    maps.Blend(jnp.array(0.5), maps.Affine(jnp.eye(3), jnp.zeros(3))),
    maps.Quantile(jnp.eye(3)[None], jnp.zeros((1, 3)), jnp.ones((1, 3)), jnp.zeros((1, 3, 2))),
    Measure(jnp.eye(3), jnp.zeros(3)),
    lut.Lut(jnp.eye(3), jnp.zeros(3)),
    lut.Lut(jnp.eye(3), jnp.zeros(3), "trilinear"),
    colors.Encode(spaces.Lab()),
    colors.Neutral(),
    apply.ToGrey(spaces.Srgb()),
    costs.SqEuclidean(),
    costs.Euclidean(),
    costs.Lp(ONE),
    CLOUD,
    kernels.Cloud(jnp.eye(3), jnp.eye(3), costs.Euclidean()),
    kernels.Dense(jnp.eye(3)),
    kernels.Stored(jnp.eye(3)),
    kernels.Streamed(CLOUD, jnp.ones(3), ONE, jnp.ones(3)),
    marginals.Balanced(),
    marginals.KL(ONE),
    marginals.TV(ONE),
    marginals.Range(ONE, ONE),
    PROBLEM,
    INFO,
    COUPLING,
    coupling.Start(jnp.ones(3), ONE),
    coupling.Entropic(COUPLING),
    newton.Options(ONE, ONE),
    sinkhorn.Options(ONE, ONE, ONE),
    sinkhorn.Options(ONE, ONE, ONE, relax=False),
    sinkhorn.Options(ONE, ONE, ONE, symmetric=True),
]


def test_no_two_classes_share_a_tree_definition():
    """Else `jit` may run the program of one on the data of another (see `pytree`)."""
    for a, b in itertools.combinations(INSTANCES, 2):
        assert jax.tree.structure(a) != jax.tree.structure(b), (a, b)


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda i: type(i).__name__)
def test_flatten_and_unflatten_are_inverse(instance):
    leaves, definition = jax.tree.flatten(instance)
    again = jax.tree.unflatten(definition, leaves)
    assert type(again) is type(instance)
    assert jax.tree.structure(again) == definition


def test_static_fields_are_not_leaves():
    @pytree
    class Thing:
        value: float
        kind: str = static(default="a")

    assert jax.tree.leaves(Thing(1.0)) == [1.0]
    assert jax.tree.structure(Thing(1.0)) != jax.tree.structure(Thing(1.0, "b"))
    with pytest.raises(AttributeError):
        Thing(1.0).value = 2.0  # pyright: ignore[reportAttributeAccessIssue]
