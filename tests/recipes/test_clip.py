"""Clips by shot and by frame: cuts, stillness, smoothing in time."""

import av
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.image import video
from jaxcolor.image.transcode import Coding, transcode
from jaxcolor.maps import Affine
from jaxcolor.recipes.clip import NODES, ByFrame, Flicker, Grade, by_shot
from jaxcolor.recipes.look import Look
from jaxcolor.recipes.references import pooled
from jaxcolor.recipes.relaxation import Relaxation
from jaxcolor.recipes.shots import FRAMES, SHORTEST, Cuts, Shot, shots
from jaxcolor.recipes.styles import style

RNG = np.random.default_rng(0)
SIZE = 48, 64


def scene(seed):
    """A picture of its own colours."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / 64
    color, tint = rng.uniform(40, 210, (2, 3))
    return color + (tint - color) * (np.sin(5 * x + seed) * np.cos(4 * y))[..., None] / 2


def frames(*scenes, count=10, grain=2.0):
    return [
        np.clip(np.rint(one + RNG.normal(0, grain, one.shape)), 0, 255).astype(np.uint8)
        for one in scenes
        for _ in range(count)
    ]


def store(path, pictures):
    video.write_clip(path, pictures, 25, crf=1)
    return path


def decoded(pictures):
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, "rgb24")
        frame.pts = number
        yield frame


def grade(**how):
    how = {"method": "gaussian", "space": "srgb"} | how
    return Grade(Look([frames(scene(9), count=1)[0]]), style(**how))


class TestShots:
    def test_cuts_are_found(self, tmp_path):
        clip = store(tmp_path / "a.mp4", frames(scene(1), scene(2), scene(1)))
        assert [(shot.start, shot.length) for shot in shots(clip)] == [(0, 10), (10, 10), (20, 10)]
        [whole] = shots(clip, None)
        assert (whole.start, whole.length) == (0, 30)

    def test_a_shot_keeps_to_its_own_colors(self, tmp_path):
        clip = store(tmp_path / "a.mp4", frames(scene(1), scene(2)))
        for shot, seed in zip(shots(clip), (1, 2), strict=True):
            off = shot.picture.mean((0, 1)) - scene(seed).clip(0, 255).mean((0, 1))
            assert np.abs(off).max() < 2

    def test_light_that_changes_slowly_is_no_cut(self, tmp_path):
        ramp = [np.rint(scene(1) * (0.4 + 0.6 * t / 40)).astype(np.uint8) for t in range(40)]
        assert len(list(shots(store(tmp_path / "a.mp4", ramp)))) == 1

    def test_a_flash_is_no_shot(self):
        cuts = Cuts()
        dark, light = np.full((32, 32, 3), 20, np.uint8), np.full((32, 32, 3), 240, np.uint8)
        begun = [cuts(one) for one in [dark] * 9 + [light] + [dark] * (SHORTEST + 3)]
        assert sum(begun) == 1

    def test_a_higher_threshold_finds_fewer(self, tmp_path):
        clip = store(tmp_path / "a.mp4", frames(scene(1), scene(2)))
        assert len(list(shots(clip, 90))) == 1

    def test_memory_does_not_grow_with_the_shot(self):
        shot = Shot()
        for number in range(1000):
            shot.add(np.full((2, 4, 3), number % 256, np.uint8))
        assert shot.length == 1000
        assert FRAMES / 2 <= len(shot.kept) <= FRAMES
        # of all parts of the shot
        kept = np.array([one[0, 0, 0] for one in shot.kept], int)
        assert len(set(np.diff(kept) % 256)) == 1

    def test_a_clip_is_a_reference(self, tmp_path):
        clip = store(tmp_path / "a.mp4", frames(scene(1)))
        off = pooled(clip).mean((0, 1)) - scene(1).clip(0, 255).mean((0, 1))
        assert np.abs(off).max() < 2


class TestByShot:
    def test_what_stands_still_does_not_flicker(self, tmp_path):
        still = frames(scene(1), count=1) * 12
        store(tmp_path / "a.mkv", still)

        def lossless(source, layout):
            first = next(iter(source))  # the same codes again and again
            for number in range(12):
                copy = first.reformat(format=first.format.name)
                copy.pts, copy.time_base = number, first.time_base
                yield copy

        transcode(tmp_path / "a.mkv", tmp_path / "b.mkv", lossless, Coding("ffv1"))
        [shot] = shots(tmp_path / "b.mkv")
        maps = [grade(look="natural", method=None, space=None).fit(shot.picture)]
        transcode(tmp_path / "b.mkv", tmp_path / "c.mkv", by_shot([shot], maps), Coding("ffv1"))
        result, _ = video.read_clip(tmp_path / "c.mkv")
        assert np.abs(np.diff(result.astype(int), axis=0)).max() == 0
        assert np.abs(result[0].astype(int) - still[0]).mean() > 5

    def test_each_shot_has_its_map(self):
        flat = np.full((16, 16, 3), 200, np.uint8)
        two = [Shot(0), Shot(3)]
        maps = [Affine(jnp.eye(3) * share, jnp.zeros(3)) for share in (0.5, 0.25)]
        painted = by_shot(two, maps)(decoded([flat] * 5), "yuv444p")
        levels = [int(video.rgb(frame).mean()) for frame in painted]
        assert levels == [100, 100, 100, 50, 50]

    def test_the_goal_is_reached(self, tmp_path):
        clip = store(tmp_path / "a.mp4", frames(scene(1), scene(2)))
        found = list(shots(clip))
        maps = [grade().fit(shot.picture) for shot in found]
        transcode(clip, tmp_path / "b.mp4", by_shot(found, maps), Coding(quality=1))
        goal = scene(9).mean((0, 1))
        for frame in (0, 15):
            picture = video.read_clip(tmp_path / "b.mp4")[0][frame]
            assert np.abs(picture.mean((0, 1)) - goal).max() < 4


class TestByFrame:
    def run(self, pictures, seconds, **how):
        seen = []
        one = ByFrame(
            grade(**how), seconds, 25, watch=lambda *two: seen.append((two[0], two[1], two[2]))
        )
        painted = [video.rgb(frame) for frame in one(decoded(pictures), "yuv444p")]
        return painted, seen

    def test_maps_are_means_over_time(self):
        _, seen = self.run(frames(scene(1), count=12, grain=20), 0.08)
        alone = np.stack([one for one, _, _ in seen])
        assert alone.shape == (12, NODES**3, 3)
        away = np.arange(12)[:, None] - np.arange(12)
        weights = np.exp(-0.5 * (away / 2) ** 2) * (np.abs(away) <= 5)
        expected = np.tensordot(weights / weights.sum(1, keepdims=True), alone, 1)
        np.testing.assert_allclose(np.stack([mean for _, mean, _ in seen]), expected, atol=1e-5)

    def test_no_smoothing_is_a_map_for_each(self):
        _, seen = self.run(frames(scene(1), count=4, grain=20), 0)
        for alone, mean, _ in seen:
            np.testing.assert_array_equal(alone, mean)

    def test_means_end_at_cuts(self):
        pictures = frames(scene(1), scene(2), grain=0)
        _, seen = self.run(pictures, 0.2)
        assert [begins for _, _, begins in seen] == [k in (0, 10) for k in range(20)]
        for alone, mean, _ in seen:
            np.testing.assert_allclose(mean, alone, atol=1e-5)

    @pytest.mark.parametrize("how", [{}, {"method": "sliced", "space": None, "bases": 4}])
    def test_flicker_falls_and_exposure_is_followed(self, how):
        """A slow change of exposure, with grain that shakes every frame's own map."""
        light = 0.55 + 0.45 * np.linspace(0, 1, 40)
        pictures = [frames(scene(1) * share, count=1, grain=25)[0] for share in light]
        painted, seen = self.run(pictures, 0.4, **how)
        flicker = Flicker()
        for one in seen:
            flicker(*one)
        assert flicker.mean <= 0.1 * flicker.alone
        assert flicker.alone > 0.1
        # the exposure of the source is gone
        levels = np.array([picture.mean() for picture in painted])
        before = np.array([picture.mean() for picture in pictures])
        assert np.ptp(levels[8:-8]) < 0.15 * np.ptp(before[8:-8])

    def test_the_coupling_before_is_a_start(self):
        """`newton` begins where it ended, and ends where it would have."""
        one = grade(method="newton", relaxation=Relaxation(blur=0.02))
        first, second = frames(scene(1), count=2, grain=4)
        warm, cold = one.fit(second, one.fit(first)), one.fit(second)
        x = jnp.asarray(RNG.random((50, 3)), jnp.float32)
        np.testing.assert_allclose(warm(x), cold(x), atol=5e-3)
        assert warm.coupling.info.steps < cold.coupling.info.steps

    def test_frames_do_not_pile_up(self):
        waiting = 0

        def counted():
            nonlocal waiting
            for frame in decoded(frames(scene(1), count=60)):
                waiting += 1
                yield frame

        most = 0
        for _ in ByFrame(grade(), 0.08, 25)(counted(), "yuv444p"):
            waiting -= 1
            most = max(most, waiting)
        assert most <= 5 + 4 + 3  # the window, what is fitted ahead, and what is on its way
