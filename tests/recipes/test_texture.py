"""Textures of pictures and clips: sizes, dtypes, moments, mixes."""

from itertools import pairwise

import jax
import numpy as np
import pytest
from skimage import data

from jaxcolor.recipes.texture import mix, mixes, synth

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def exemplars():
    """Three (24, 32, 3) uint8 crops of pictures that come with scikit-image."""
    tissue, gravel, fur = data.immunohistochemistry(), data.gravel(), data.chelsea()
    return tissue[100:124, 200:232], np.dstack(3 * [gravel[:24, :32]]), fur[100:124, 100:132]


@pytest.fixture(scope="module")
def clips(exemplars):
    """They drifting, (6, 24, 32, 3)."""
    return [np.stack([np.roll(one, 3 * t, 1) for t in range(6)]) for one in exemplars]


class TestSynth:
    @pytest.mark.parametrize("size", [None, (40, 51)])
    def test_it_has_the_exemplars_moments(self, exemplars, size):
        for exemplar in exemplars[1:]:
            floats = exemplar / 255
            draws = np.stack([synth(exemplar, jax.random.key(k), size) for k in range(6)]) / 255
            np.testing.assert_allclose(draws.mean((0, 1, 2)), floats.mean((0, 1)), atol=0.02)
            # what is in jumps at its border is not texture, what is beyond the range is clipped
            ratio = draws.std((0, 1, 2)) / floats.std((0, 1))
            assert ((ratio > 0.5) & (ratio < 1.15)).all()

    def test_sizes(self, exemplars, clips):
        assert synth(exemplars[0], KEY, (7, 90)).shape == (7, 90, 3)
        assert synth(exemplars[0], KEY).shape == (24, 32, 3)
        assert synth(clips[0], KEY, (9, 16, 40)).shape == (9, 16, 40, 3)

    def test_clips_loop(self, clips):
        frames = synth(clips[2], KEY, (12, 24, 32)).astype(float)
        steps = np.abs(np.roll(frames, -1, 0) - frames).mean((1, 2, 3))
        assert steps[-1] < 1.5 * steps[:-1].mean()

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
    @pytest.mark.parametrize("channels", [None, 2, 3, 4])
    def test_kinds(self, exemplars, dtype, channels):
        scale = 1.0 if dtype.startswith("f") else np.iinfo(dtype).max
        picture = (exemplars[2] / 255 * scale).astype(dtype)
        picture = np.dstack([picture, picture[..., :1]])
        picture = picture[..., 0] if channels is None else picture[..., :channels]
        result = synth(picture, KEY)
        assert result.dtype == picture.dtype
        assert result.shape == ((24, 32) if channels in (None, 2) else (24, 32, 3))
        due = exemplars[2][..., : 3 if result.ndim == 3 else 1].mean() / 255
        assert abs(result.mean() / scale - due) < 0.03

    def test_floats_beyond_the_range_stay_unclipped(self):
        wide = np.random.default_rng(0).normal(0, 9, (16, 16, 3)).astype(np.float32)
        assert synth(wide, KEY).std() > 5

    def test_keys(self, exemplars):
        first, again, other = (synth(exemplars[0], jax.random.key(k)) for k in (0, 0, 1))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()

    @pytest.mark.parametrize(
        ("exemplar", "message"),
        [
            (np.zeros((4, 4, 5)), "exemplar: expected an array"),
            (np.zeros((4, 4, 4, 1)), r"expected a clip \(T, H, W, 3\)"),
            (np.full((4, 4), np.nan), "exemplar: holds NaN"),
            (np.zeros((0, 4)), "no pixels"),
        ],
    )
    def test_refusals(self, exemplar, message):
        with pytest.raises(ValueError, match=message):
            synth(exemplar, KEY)


class TestMix:
    def test_weights(self, exemplars):
        means = np.stack([one.mean((0, 1)) for one in exemplars])
        for weights in ([2, 1, 1], [0, 1, 0]):
            result = mix(exemplars, KEY, weights=weights)
            due = np.asarray(weights) @ means / sum(weights)
            np.testing.assert_allclose(result.mean((0, 1)), due, atol=6)
        even = mix(exemplars, KEY)
        np.testing.assert_array_equal(even, mix(exemplars, KEY, weights=[5, 5, 5]))

    def test_ends_of_a_path_are_syntheses(self, exemplars):
        first, second = exemplars[:2]
        path = list(mixes(first, second, 3, KEY))
        np.testing.assert_array_equal(path[0], synth(first, KEY))
        np.testing.assert_array_equal(path[1], mix([first, second], KEY))
        steps = [np.abs(a.astype(float) - b).mean() for a, b in pairwise(path)]
        assert max(steps) < 1.5 * min(steps)

    def test_all_are_cropped_to_one_grid_about_their_middles(self, exemplars):
        wide = np.pad(exemplars[1], [(0, 0), (6, 6), (0, 0)])
        tall = np.pad(exemplars[0], [(5, 5), (0, 0), (0, 0)])
        result = mix([wide, tall], KEY)
        np.testing.assert_array_equal(result, mix([exemplars[1], exemplars[0]], KEY))
        assert mix([wide, tall], KEY, size=(9, 8)).shape == (9, 8, 3)

    def test_grey_and_colour_give_colour(self, exemplars):
        grey = exemplars[1][..., 0]
        np.testing.assert_array_equal(
            mix([grey, exemplars[0]], KEY), mix([exemplars[1], exemplars[0]], KEY)
        )

    def test_clips(self, clips):
        result = mix(clips[:2], KEY, weights=[1, 2])
        assert result.shape == (6, 24, 32, 3)
        due = (clips[0].mean((0, 1, 2)) + 2 * clips[1].mean((0, 1, 2))) / 3
        np.testing.assert_allclose(result.mean((0, 1, 2)), due, atol=6)
        assert len(list(mixes(*clips[:2], 2, KEY, size=(3, 8, 8)))) == 2

    def test_refusals(self, exemplars, clips):
        for given, options, message in (
            (exemplars[:1], {}, "two textures or more"),
            ([exemplars[0], clips[0]], {}, "pictures and clips"),
            (exemplars, {"weights": [1, 2]}, "as many weights"),
            (exemplars, {"weights": [1, 2, -1]}, "positive or 0"),
            (exemplars, {"weights": [0, 0, 0]}, "positive or 0"),
            (exemplars, {"weights": [1, 1, np.nan]}, "as many weights"),
            (exemplars, {"size": (3,)}, "size must be 2 numbers"),
        ):
            with pytest.raises(ValueError, match=message):
                mix(given, KEY, **options)
        with pytest.raises(ValueError, match="steps must be at least 2"):
            mixes(*exemplars[:2], 1, KEY)
