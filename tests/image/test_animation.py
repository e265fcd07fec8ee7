"""Animations written and read back, and what other programs wrote."""

import numpy as np
import pytest
from image import camera
from image.profiles import display_p3
from image.samples import same
from PIL import Image

from jaxcolor.image import animation, files
from jaxcolor.image.animation import Timing

SUFFIXES = tuple(animation.FORMATS)


def film(count=5, colors=6, seed=0):
    """A square of noise that moves over a ground that stands still; holes in its middle."""
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (colors, 3)).astype(np.uint8)
    ground = palette[rng.integers(0, colors, (20, 30))]
    shown = []
    for k in range(count):
        picture = np.dstack([ground, np.full((20, 30), 255, np.uint8)])
        picture[4:12, 3 + 3 * k : 11 + 3 * k, :3] = palette[rng.integers(0, colors, (8, 8))]
        picture[14:18, 4 * k : 4 * k + 4] = 0
        shown.append(picture)
    return shown


def timing(count=5, plays=0, profile=None):
    return Timing((30, 20), tuple(50.0 + 30 * k for k in range(count)), plays, profile, True)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("plays", [0, 1, 3])
def test_frames_times_and_turns(tmp_path, suffix, plays):
    path, shown = tmp_path / f"a{suffix}", film()
    profile = None if suffix == ".gif" else display_p3()
    how = timing(plays=plays, profile=profile)
    # for colours one frame will do, but not to know of the holes in others
    animation.write(path, iter(shown), how, film(3)[0] if suffix == ".png" else shown[-1])
    assert animation.is_animated(path)
    assert animation.timing(path) == how
    back = list(animation.frames(path))
    assert len(back) == 5
    for one, wanted in zip(back, shown, strict=True):
        assert same(one[..., 3], wanted[..., 3])
        assert same(np.where(one[..., 3:] > 0, one, 0), wanted)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_alpha_is_exact(tmp_path, suffix):
    shown = list(np.random.default_rng(0).integers(0, 256, (4, 20, 30, 4)).astype(np.uint8))
    animation.write(tmp_path / f"a{suffix}", shown, timing(4), shown[0])
    for one, wanted in zip(animation.frames(tmp_path / f"a{suffix}"), shown, strict=True):
        seen = wanted[..., 3:] > 0
        assert same(np.where(seen | (suffix == ".png"), one, 0)[..., :3],
                    np.where(seen | (suffix == ".png"), wanted, 0)[..., :3])  # fmt: skip
        assert same(one[..., 3], wanted[..., 3])


def test_a_gif_of_many_colours_does_not_flicker(tmp_path):
    """The ground has one and the same colours in every frame, whatever passes over it."""
    y, x = np.mgrid[:40, :60].astype(np.float32)
    ground = np.stack([x * 4, y * 6, 255 - x * 2 - y * 3], -1).astype(np.uint8)
    shown = []
    for k in range(6):
        picture = np.dstack([ground, np.full((40, 60), 255, np.uint8)])
        noise = np.random.default_rng(k).integers(0, 256, (10, 8, 3))
        picture[:10, 8 * k : 8 * k + 8, :3] = noise
        shown.append(picture)
    how = Timing((60, 40), (40.0,) * 6, 0)
    animation.write(tmp_path / "a.gif", shown, how, np.concatenate(shown))
    back = np.stack(list(animation.frames(tmp_path / "a.gif"))).astype(int)
    assert (np.ptp(back[:, 10:], axis=0) == 0).all()
    assert np.abs(back[:, 10:, :, :3] - ground[10:]).mean() < 8
    assert (back[..., 3] == 255).all()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_frame_like_the_one_before_lengthens_it(tmp_path, suffix):
    first, second = film(2)
    how = Timing((30, 20), (50, 60, 70, 80), 0, None, True)
    path = tmp_path / f"a{suffix}"
    animation.write(path, [first, first, first, second], how, np.concatenate([first, second]))
    assert animation.timing(path).durations == (180, 80)


@pytest.mark.parametrize(("given", "kept"), [
    ((16, 16, 33, 17), (20, 20, 20, 20)),
    ((33, 33, 34) * 2, (30, 40, 30) * 2),
    ((45.0,) * 4, (40, 50, 50, 40)),
    ((20, 30, 700), (20, 30, 700)),
    ((10, 10, 100), (20, 20, 80)),
])  # fmt: skip
def test_times_of_a_gif(tmp_path, given, kept):
    """Each frame ends next to its time; nothing adds up."""
    shown, path = film(len(given)), tmp_path / "a.gif"
    animation.write(path, shown, Timing((30, 20), given, 0), np.concatenate(shown))
    assert animation.timing(path).durations == kept


def test_times_that_a_gif_has_not_are_told(tmp_path):
    shown, how = film(5), Timing((30, 20), (8.0,) * 5, 0)
    with pytest.warns(UserWarning, match=r"a\.gif: lasts 100 ms, not 40: GIF has times of 10 ms"):
        animation.write(tmp_path / "a.gif", shown, how, np.concatenate(shown))
    assert animation.timing(tmp_path / "a.gif").durations == (20,) * 5


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_fractions_of_milliseconds_do_not_add_up(tmp_path, suffix):
    shown = film(6)
    how = Timing((30, 20), (100 / 6,) * 6, 0)
    animation.write(tmp_path / f"a{suffix}", shown, how, shown[0])
    assert sum(animation.timing(tmp_path / f"a{suffix}").durations) == 100


def test_a_gif_is_srgb(tmp_path):
    """It has no profile: what another one says becomes colours."""
    shown = film(3)
    animation.write(tmp_path / "a.gif", shown, timing(3, profile=display_p3()), film(3)[0])
    for one, stored in zip(animation.frames(tmp_path / "a.gif"), shown, strict=True):
        wanted = files.convert(files.Picture(stored, display_p3()), None).pixels
        assert np.abs(wanted.astype(int) - stored).max() > 8
        seen = stored[..., 3:] > 0
        assert same(np.where(seen, one, 0), np.where(seen, wanted, 0))


def test_a_profile_without_use_is_told_once(tmp_path):
    shown = film(3)
    with pytest.warns(UserWarning, match="colour profile not used") as caught:
        animation.write(tmp_path / "a.gif", shown, timing(3, profile=b"nonsense"), shown[0])
    assert len(caught) == 1
    assert same(next(animation.frames(tmp_path / "a.gif"))[..., 3], shown[0][..., 3])


def test_partial_alpha_in_a_gif_is_told(tmp_path):
    shown = film(3)
    shown[1][0, 0, 3] = 200
    with pytest.warns(UserWarning, match=r"a\.gif: GIF holds no partial transparency$"):
        animation.write(tmp_path / "a.gif", shown, timing(3), np.concatenate(shown))


def filmed(path, exif=None):
    """An animation as a camera describes it, by another program."""
    images = [Image.fromarray(one) for one in film(3)]
    how = {"lossless": True, "exif": camera.exif() if exif is None else exif, "xmp": camera.XMP}
    images[0].save(path, save_all=True, append_images=images[1:], duration=70, **how)
    return animation.timing(path)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_exif_and_xmp(tmp_path, suffix):
    """All tags, the turn too, for frames are not turned; no thumbnail, which would be the old."""
    how, path = filmed(tmp_path / "source.webp"), tmp_path / f"a{suffix}"
    animation.write(path, film(3), how, film(3)[0])
    assert camera.THUMBNAIL not in path.read_bytes()
    wanted = camera.expected()
    assert camera.told(path) == wanted | {"tags": wanted["tags"] | {274: camera.TURN}}
    again = animation.timing(path)
    assert (again.exif, again.xmp) == (how.exif, camera.XMP)


def test_what_a_gif_cannot_say_is_told(tmp_path):
    how = filmed(tmp_path / "source.webp")
    with pytest.warns(UserWarning, match=r"a\.gif: GIF holds no EXIF data and no XMP data$"):
        animation.write(tmp_path / "a.gif", film(3), how, np.concatenate(film(3)))


def test_broken_exif_costs_no_animation(tmp_path):
    with pytest.warns(UserWarning, match=r"a\.webp: its EXIF data are broken, and left out"):
        how = filmed(tmp_path / "a.webp", b"Exif\0\0nonsense")
    assert (how.exif, how.xmp, len(how)) == (None, camera.XMP, 3)


def test_partial_frames_are_composed(tmp_path):
    """Other programs store what changed, and what becomes of it: Pillow's writer does."""
    shown = [one[..., :3] for one in film()]
    for suffix in (".gif", ".png"):
        images = [Image.fromarray(one) for one in shown]
        images[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=images[1:])
        for one, wanted in zip(animation.frames(tmp_path / f"a{suffix}"), shown, strict=True):
            assert same(one[..., :3], wanted)


def test_the_still_of_an_animated_png_is_no_frame(tmp_path):
    images = [Image.fromarray(one) for one in film(3)]
    images[0].save(
        tmp_path / "a.png", save_all=True, append_images=images[1:], default_image=True, duration=70
    )
    how = animation.timing(tmp_path / "a.png")
    assert how.durations == (70, 70)
    assert same(next(animation.frames(tmp_path / "a.png")), film(3)[1])


def test_pooled(tmp_path):
    shown = film(7)
    how = timing(7)
    animation.write(tmp_path / "a.png", shown, how, shown[0])
    some = animation.pooled(tmp_path / "a.png", how, most=3)
    assert same(some, np.concatenate([shown[0], shown[3], shown[6]]))
    assert animation.pooled(tmp_path / "a.png", how).shape == (140, 30, 4)


def test_what_is_none(tmp_path):
    Image.fromarray(film()[0]).save(tmp_path / "a.png")
    (tmp_path / "b.gif").write_bytes(b"GIF89a and no more")
    for path in (tmp_path / "a.png", tmp_path / "b.gif", tmp_path / "none.gif", tmp_path):
        assert not animation.is_animated(path)
    with pytest.raises(ValueError, match=r"a\.jpg: an animation needs one of .gif, .png, .webp"):
        animation.write(tmp_path / "a.jpg", film(), timing(), film()[0])


def test_a_truncated_one(tmp_path):
    shown = film()
    animation.write(tmp_path / "a.gif", shown, timing(), np.concatenate(shown))
    data = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "a.gif").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(ValueError, match=r"a\.gif: damaged"):
        list(animation.frames(tmp_path / "a.gif"))
