"""The GPU benchmark's own functions, on a machine that may have none."""

import json

import jax
import numpy as np
import pytest


@pytest.fixture
def load(load):
    pytest.importorskip("ott")
    return load


def test_without_a_gpu_it_says_that_nothing_was_measured(load, tmp_path, capsys):
    if jax.default_backend() == "gpu":
        pytest.skip("this machine has a GPU")
    load("bench_gpu").main(["--json", str(tmp_path / "figures.json")])
    assert capsys.readouterr().out == "no GPU: not measured\n"
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["table"] == "no GPU: not measured"
    assert written["gpu"] is None


def test_clouds_look_like_colours(load):
    sides = load("gpu_sides")
    points = sides.colours(500, 3)
    assert points.shape == (500, 3)
    assert points.dtype == np.float32
    assert points.min() >= 0
    assert points.max() <= 1
    assert (points == sides.colours(500, 3)).all()
    assert (points != sides.colours(500, 4)).any()


@pytest.mark.parametrize(("need", "found"), [(1, 8), (8, 8), (9, 10), (11, 12), (30, 32), (99, 64)])
def test_the_fewest_iterations_are_found_to_a_quarter(load, need, found):
    assert load("gpu_sides").fewest(lambda count: count >= need, most=64) == found


def test_the_error_is_of_both_sides(load):
    """Potentials of zero at a huge epsilon are all but the answer; a shift of f is seen twice."""
    sides = load("gpu_sides")
    case = sides.Case(20, 1e6, 1e-3)
    zero = np.zeros(20, np.float32)
    assert case.error((zero, zero)) < 1e-5
    shifted = np.full(20, 1e6 * np.log(1.1), np.float32)
    assert case.error((shifted, zero)) == pytest.approx(0.2, abs=1e-4)


def test_the_roofline_of_an_h200(load):
    bench = load("bench_gpu")
    assert bench.roofline(bench.H200) == pytest.approx(4.18e12, rel=1e-3)
