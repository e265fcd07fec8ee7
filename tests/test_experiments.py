"""The experiments' own functions, on small things with known answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.measure import point_cloud, stack

from problems import cloud  # isort: skip


def test_all_pairs_is_one_trace_and_equals_the_loop(load):
    all_pairs = load("all_pairs")

    def shifted(source, target):
        return source.points + target.weights @ target.points

    stacked = stack(*[cloud(k, 20 + k, np.float32) for k in range(3)])
    one = all_pairs.Counted(shifted)
    batch = all_pairs.all_pairs(one)
    first, second = all_pairs.pairs(3)
    together = batch(stacked, first, second)
    batch(stacked, second, first)
    assert one.traces == 1
    assert together.shape == (6, 22, 3)
    for k, (i, j) in enumerate([(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]):
        alone = shifted(all_pairs.take(stacked, i), all_pairs.take(stacked, j))
        np.testing.assert_allclose(together[k], alone, atol=1e-5)


def test_optimizers_that_look_at_other_points_are_found_out(load):
    flows = load("flows")
    wanted = {"sgd": True, "adam": True, "lamb": False, "sgd, global norm clipped": False}
    found = {name: flows.pointwise(flows.CANDIDATES[name]) for name in wanted}
    assert found == wanted


@pytest.mark.parametrize("name", ["constant", "exponential", "cosine", "warmup"])
def test_schedules_span_the_budget_and_peak_at_one(load, name):
    schedule = getattr(load("flows"), name)(50)
    values = np.array([float(schedule(step)) for step in range(51)])
    assert values.max() == pytest.approx(1)
    assert values[-1] == pytest.approx({"constant": 1, "exponential": 0.05}.get(name, 0), abs=1e-6)


def test_variation_is_the_length_of_an_edge(load):
    """Rounded off below 1/100: per pixel of the edge a little less than its height."""
    variational = load("variational")
    picture = jnp.zeros((10, 20, 3)).at[:, 10:].set(1.0)
    expected = 10 * (np.sqrt(3 + 1e-4) - 1e-2) / 200
    assert float(variational.variation(picture)) == pytest.approx(expected, rel=1e-4)


def test_a_palette_brings_back_what_a_cast_took(load):
    """Without noise or total variation only the term on colours can move anything."""
    variational = load("variational")
    clean = np.asarray(jax.random.uniform(jax.random.key(0), (16, 16, 3)))
    goal = point_cloud(clean.reshape(-1, 3))
    faded = jnp.asarray(0.5 * clean + 0.4)
    kept = variational.denoise(faded, goal, 0.0, 0.0)
    pulled = variational.denoise(faded, goal, 0.0, 20.0)
    np.testing.assert_allclose(kept, faded, atol=1e-3)
    before, after = (variational.psnr(np.asarray(u), clean) for u in (faded, pulled))
    assert after > before + 5


@pytest.mark.parametrize("term", ["means", "sliced distance"])
def test_two_colours_are_told_apart(load, term):
    variational = load("variational")
    truth = np.zeros((12, 16), bool)
    truth[3:9, 4:11] = True
    picture = np.where(truth[..., None], [0.9, 0.2, 0.1], [0.2, 0.3, 0.8]).astype(np.float32)
    inside, outside = (point_cloud(picture[mask][:5]) for mask in (truth, ~truth))
    chosen = variational.TERMS[term][0]
    u = variational.segment(jnp.asarray(picture), inside, outside, 0.001, chosen)
    assert variational.overlap(np.asarray(u) > 0.5, truth) == 1


def test_the_rao_mean_of_equal_areas_has_that_area_and_the_euclidean_one_swells(load):
    gaussians = load("figures_gaussian")
    thin = np.stack([gaussians.turned(2, 0.5, angle) for angle in (0, 50, 110)])
    weights = np.array([0.5, 0.2, 0.3])
    areas = [np.linalg.det(mean(thin, weights)) for mean in (gaussians.rao, gaussians.euclidean)]
    assert areas[0] == pytest.approx(1)
    assert areas[1] > 1.5
    across = gaussians.rao(np.stack([np.diag([4.0, 1]), np.diag([1.0, 9])]), np.array([0.5, 0.5]))
    np.testing.assert_allclose(across, np.diag([2, 3]), atol=1e-12)


def test_patches_laid_over_one_another_are_the_picture(load):
    patch_textures = load("patch_textures")
    picture = jax.random.uniform(jax.random.key(0), (6, 8, 3))
    parts = patch_textures.patches(picture)
    np.testing.assert_allclose(parts[2, 3].reshape(3, 3, 3), picture[2:5, 3:6])
    np.testing.assert_allclose(patch_textures.averaged(parts), picture, atol=1e-6)


@pytest.mark.slow
def test_a_corpus_goes_through_the_installed_command(load, tmp_path):
    corpus = load("bench_corpus")
    if not corpus.COMMAND.exists():
        pytest.skip("the command is not installed")
    [one] = corpus.runs(["batch, gaussian"], [5], [1], tmp_path, (60, 40))
    assert one.per_second == pytest.approx(5 / one.seconds)
    assert one.peak_mib > 50
    assert len(list((tmp_path / "out1").glob("*.*g"))) == 5
    spent = corpus.profile(tmp_path / "in5", tmp_path / "reference.png", 5)
    assert set(spent["harmonize"]) == {"decode", "solve", "encode", "measure", "look"}
