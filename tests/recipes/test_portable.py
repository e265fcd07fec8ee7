"""Maps as JSON: exact there and back, and evaluated by NumPy alone."""

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcolor
from jaxcolor import maps
from jaxcolor.image import spaces
from jaxcolor.recipes import portable
from jaxcolor.transport.mixture import GaussianMixture
from jaxcolor.transport.mixture_map import MixtureMap

RNG = np.random.default_rng(0)
COLORS = RNG.random((2000, 3)).astype(np.float32)
# beyond what screens show, too, where functions go on as straight lines
WIDE = RNG.uniform(-0.5, 1.5, (2000, 3)).astype(np.float32)
README = (Path(__file__).parents[2] / "README.md").read_text()
[READER] = re.findall(r"```python\n(import json.*?)```", README, re.S)
FITS = {
    **{f"gaussian, {space}": {"method": "gaussian", "space": space} for space in spaces.SPACES},
    "reinhard": {"method": "reinhard"},
    "mixture": {"method": "mixture", "components": 4},
    "mixture, oklab": {"method": "mixture", "components": 4, "space": "oklab"},
    "in part": {"method": "gaussian", "strength": 0.3},
}
on_colors = jax.jit(lambda color_map, colors: color_map(colors))


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """`run` of the README's few lines, which are executed on a file of their own."""
    folder = tmp_path_factory.mktemp("reader")
    portable.save(folder / "look.json", maps.Affine(jnp.eye(3) / 2, jnp.ones(3)))
    names: dict = {}
    exec(READER.replace("look.json", str(folder / "look.json")), names)
    assert names["colors"].shape == (5, 3)
    assert (names["colors"] >= 1).all()
    return names["run"]


@pytest.mark.parametrize("how", FITS.values(), ids=FITS)
def test_numpy_agrees(tmp_path, photographs, reader, how):
    color_map = jaxcolor.fit(*photographs, **how)
    portable.save(tmp_path / "x.json", color_map)
    steps = json.loads((tmp_path / "x.json").read_text())["steps"]
    own = photographs[0].reshape(-1, 3)[::5] / np.float32(255)
    np.testing.assert_allclose(reader(steps, own), on_colors(color_map, own), atol=1e-5)
    # far from all components of a mixture float32 has but four digits of their probabilities
    with jax.enable_x64(True):
        for colors, rtol in ((COLORS, 0), (WIDE, 1e-4)):
            exact = color_map(jnp.asarray(colors, float))
            np.testing.assert_allclose(reader(steps, colors.astype(float)), exact, rtol, 1e-5)
    np.testing.assert_allclose(reader(steps, COLORS), on_colors(color_map, COLORS), atol=1e-4)


@pytest.mark.parametrize("how", FITS.values(), ids=FITS)
def test_round_trip(tmp_path, photographs, how):
    color_map = jaxcolor.fit(*photographs, **how)
    portable.save(tmp_path / "x.json", color_map)
    again = portable.load(tmp_path / "x.json")
    assert portable.steps(again) == portable.steps(color_map)
    portable.save(tmp_path / "y.json", again)
    assert (tmp_path / "y.json").read_bytes() == (tmp_path / "x.json").read_bytes()
    np.testing.assert_allclose(
        on_colors(again, COLORS), on_colors(color_map, COLORS), atol=5e-6, rtol=0
    )


def test_what_it_looks_like(tmp_path):
    matrix = jnp.array([[0.1, 0, 0], [0, 1 / 3, 0], [0, 0, 2.0]])
    portable.save(
        tmp_path / "x.json", maps.InSpace(spaces.Linear(), maps.Affine(matrix, jnp.zeros(3)))
    )
    assert (
        (tmp_path / "x.json").read_text()
        == """{
 "format": "jaxcolor-map",
 "version": 1,
 "steps": [
  {
   "op": "srgb_to_linear"
  },
  {
   "op": "affine",
   "matrix": [
    [0.100000001, 0.0, 0.0],
    [0.0, 0.333333343, 0.0],
    [0.0, 0.0, 2.0]
   ],
   "offset": [0.0, 0.0, 0.0]
  },
  {
   "op": "linear_to_srgb"
  }
 ]
}
"""
    )


def test_other_floors_and_logarithms(reader, photographs):
    for floor, linear in ((0.02, True), (1e-3, False)):
        color_map = jaxcolor.reinhard(*photographs, floor=floor, linear=linear)
        exact = on_colors(color_map, COLORS)
        np.testing.assert_allclose(reader(portable.steps(color_map), COLORS), exact, atol=1e-5)


def test_in_double_precision(tmp_path, reader, x64):
    affine = maps.Affine(jnp.asarray(RNG.normal(size=(3, 3))), jnp.asarray(RNG.normal(size=3)))
    color_map = maps.InSpace(spaces.Lab(), maps.Blend(jnp.asarray(0.7), affine))
    portable.save(tmp_path / "x.json", color_map)
    x = COLORS.astype(np.float64)
    steps = json.loads((tmp_path / "x.json").read_text())["steps"]
    exact = color_map(jnp.asarray(x))
    np.testing.assert_allclose(reader(steps, x), exact, atol=1e-11)
    np.testing.assert_allclose(
        portable.load(tmp_path / "x.json")(jnp.asarray(x)), exact, atol=1e-11
    )


def test_components_without_weight_are_left_out(reader):
    eye = jnp.broadcast_to(jnp.eye(3), (3, 3, 3))
    source = GaussianMixture(jnp.array([0.5, 0.0, 0.5]), jnp.eye(3), eye)
    # two pairs begin at the last component
    color_map = MixtureMap(
        *(source, jnp.array([0, 2, 2]), jnp.array([1.0, 0.25, 0.75])),
        *(eye * jnp.array([1.0, 2, 3])[:, None, None], jnp.eye(3), jax.random.key(0)),
    )
    [step] = portable.steps(color_map)
    assert step["weights"] == [0.5, 0.5]
    assert step["offsets"] == [[1, 0, 0], [0, 0.25, 0.75]]
    np.testing.assert_allclose(reader([step], COLORS), color_map(jnp.asarray(COLORS)), atol=1e-6)


@pytest.mark.parametrize(
    ("color_map", "says"),
    [
        (maps.Quantile(*[jnp.zeros((1, 3, 3))] * 4), "Quantile is not made of affine maps"),
        (maps.InSpace(spaces.Lab(), maps.Quantile(*[jnp.zeros((1, 3, 3))] * 4)), "write a LUT"),
        (jnp.tanh, "write a LUT"),
        (maps.Affine(jnp.eye(3), jnp.full(3, jnp.nan)), "not JSON compliant"),
        (
            MixtureMap(*[jnp.zeros(1)] * 6, draw="rand"),  # pyright: ignore
            "a mixture map that draws",
        ),
    ],
)
def test_what_it_cannot_hold(tmp_path, color_map, says):
    with pytest.raises(ValueError, match=says) as caught:
        portable.save(tmp_path / "x.json", color_map)
    assert "x.json" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_space_of_ones_own_is_refused():
    class Mine(spaces.Srgb):
        """Whatever it does."""

    with pytest.raises(ValueError, match="in the space Mine"):
        portable.steps(maps.InSpace(Mine(), maps.Affine(jnp.eye(3), jnp.zeros(3))))


AFFINE = {"op": "affine", "matrix": np.eye(3).tolist(), "offset": [0, 0, 0]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a map that can be read"),
        ("[1]", 'expected {"format": "jaxcolor-map"'),
        ('{"version": 1}', "expected"),
        ('{"format": "jaxcolor-map", "version": 2}', "version 2; only 1 is read"),
        ([None], "step 1"),
        ({}, "must be a list"),
        ([{"op": "sharpen"}], "step 1: unknown op 'sharpen'"),
        ([AFFINE, {"matrix": 1}], "step 2: no 'op'"),
        ([AFFINE | {"offset": [0, 0]}], '"offset" must be finite numbers of the shape'),
        ([AFFINE | {"offset": [0, 0, "0"]}], '"offset" must be finite numbers'),
        ([AFFINE | {"offset": [0, 0, float("nan")]}], '"offset" must be finite numbers'),
        ([{"op": "cbrt", "range": [0, 1]}], "step 1: no 'slopes'"),
        ([{"op": "blend", "strength": 1, "steps": [{}]}], "step 1: step 1: no 'op'"),
        ([{"op": "mixture", "weights": [1], "means": [[0, 0]]}], '"means" must be'),
    ],
)
def test_what_is_no_map(tmp_path, text, says):
    if not isinstance(text, str):
        text = json.dumps(portable.HEADER | {"steps": text})
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        portable.load(tmp_path / "x.json")
    assert says in str(caught.value)
    assert "x.json" in str(caught.value)
