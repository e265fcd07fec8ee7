"""Pictures reduced to some colours: what a look makes of these is what it made of the pictures."""

import numpy as np
import pytest
from image.profiles import display_p3

from jaxcolor.image import colors, files
from jaxcolor.image.spaces import SPACES
from jaxcolor.recipes.look import ROOM, Look, room
from jaxcolor.recipes.reduced import PROFILES, Common, load, reduced, save
from jaxcolor.recipes.score import sw2

SIZE = 1 << 14


@pytest.fixture(scope="module")
def kinds(photographs):
    """Pictures of every kind, by name."""
    rgb = photographs[0][::2, ::2]
    alpha = np.dstack([rgb, np.linspace(0, 255, rgb[..., 0].size).reshape(rgb.shape[:2])])
    return {
        "rgb": files.Picture(rgb),
        "grey": files.Picture(rgb[..., 1]),
        "alpha": files.Picture(alpha.astype(np.uint8)),
        "clear": files.Picture(np.dstack([rgb, np.where(rgb[..., :1] > 99, 255, 0)]).astype("u1")),
        "deep": files.Picture(rgb.astype(np.uint16) * 257 + 3),
        "deep alpha": files.Picture(alpha.astype(np.uint16) * 200),
        "float": files.Picture((rgb / 200 - 0.1).astype(np.float32)),
        "light": files.Picture((rgb / 99).astype(np.float32), linear=True),
        "profile": files.Picture(rgb, display_p3()),
    }


def looks(pictures, profile, size):
    """That of pictures, and that of what they are reduced to."""
    whole = [
        one.view() if one.profile == profile else files.convert(one, profile).view()
        for one in pictures
    ]
    return Look(whole), Common([reduced(one, size) for one in pictures]).look(profile)


@pytest.mark.parametrize("neutral", [False, True])
@pytest.mark.parametrize("profile", [None, display_p3()])
def test_the_look_is_the_same_to_the_last_bit(kinds, profile, neutral):
    for name, one in kinds.items():
        whole, few = looks([one], profile, SIZE)
        # a deep picture that is converted has 8 bits of alpha; what was reduced before has all
        atol = 3e-5 if "alpha" in name else 0
        for mine, other in zip(
            few.moments(SPACES["oklab"], neutral), whole.moments(SPACES["oklab"], neutral),
            strict=True,
        ):  # fmt: skip
            np.testing.assert_allclose(mine, other, rtol=0, atol=max(atol, 1e-9))
        args = SPACES["srgb"], np.dtype(np.float32)
        mine, other = (look.measure(*args, size=SIZE, neutral=neutral) for look in (few, whole))
        np.testing.assert_array_equal(mine.points, other.points)
        np.testing.assert_allclose(mine.weights, other.weights, rtol=0, atol=atol)


def test_few_colours_stand_for_many(photographs):
    whole = photographs[0]
    for pixels in (whole, whole.astype(np.uint16) * 257, whole / np.float32(255)):
        one = reduced(files.Picture(pixels), 512)
        assert one.picture.pixels.shape == (1, 512, 3)
        assert one.picture.pixels.dtype == pixels.dtype
        assert sw2(one.picture.pixels, pixels) < 0.004


def test_files_hold_it_all(kinds, tmp_path):
    for name, one in kinds.items():
        mine = reduced(one, 1000)
        save(tmp_path / f"{name}.npz", mine)
        other = load(tmp_path / f"{name}.npz")
        assert other.picture.profile == one.profile
        assert other.picture.pixels.dtype == mine.picture.pixels.dtype
        np.testing.assert_array_equal(other.picture.pixels, mine.picture.pixels)
        np.testing.assert_array_equal(other.weight, mine.weight)
    assert len(list(tmp_path.iterdir())) == len(kinds)


def test_nothing_to_fit():
    clear = files.Picture(np.zeros((4, 5, 4), np.uint8))
    with pytest.raises(ValueError, match=r"x\.png: nothing to fit"):
        reduced(clear, 9, "x.png")
    with pytest.raises(ValueError, match="NaN"):
        reduced(files.Picture(np.full((4, 5), np.nan, np.float32)), 9)


@pytest.mark.parametrize("count", [2, 3, 12, 129, 2000, 10**4, 10**6])
def test_all_together_have_room(count):
    size = room(count)
    assert size & (size - 1) == 0
    assert size == 64 or ROOM / 2 < count * size <= ROOM


def test_a_large_set_has_fewer_points_each(photographs, monkeypatch):
    """The same look, from a share of the points; no picture is sampled for more than its share."""
    asked, usual = [], colors.sample

    def sample(pixels, *, neutral=False, size):
        asked.append(size)
        return usual(pixels, neutral=neutral, size=size)

    args = SPACES["srgb"], np.dtype(np.float32)
    usually = Look(photographs).measure(*args)
    monkeypatch.setattr(colors, "sample", sample)
    monkeypatch.setattr("jaxcolor.recipes.look.ROOM", 4096)
    fewer = Look(photographs).measure(*args)
    assert asked == [2048, 2048]
    assert fewer.points.shape == usually.points.shape
    both = (np.asarray(one.points)[None] for one in (usually, fewer))
    assert sw2(*both) < 0.002


def test_the_looks_of_a_few_profiles_are_kept(kinds):
    common = Common([reduced(kinds["rgb"], 64), reduced(kinds["grey"], 64)])
    profiles = [display_p3() + bytes(k) for k in range(PROFILES)]
    first = common.look(None)
    for profile in profiles[:-1]:
        common.look(profile)
    assert common.look(None) is first
    common.look(profiles[-1])
    common.look(profiles[0])
    assert common.look(None) is first
    assert len(common._made) == PROFILES
