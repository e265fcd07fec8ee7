"""The rarer wishes of `jaxcolor transfer`: equalize, tables, rounds, grey."""

import numpy as np
import pytest
from image.profiles import display_p3, grey_gamma
from skimage.color import rgb2lab

from jaxcolor.recipes import METHODS

GREY = grey_gamma(1.8)
HERE = ("gaussian", "sinkhorn", "exact", "grid")  # the API's tests have the others


class TestEqualize:
    @pytest.mark.parametrize("space", [(), ("--space", "lab"), ("--space", "oklab")])
    def test_spreads_lightness(self, done, small, save, tmp_path, load, space):
        """Deciles of lightness, which were all in the shadows, lie evenly after it."""
        dark = save("dark.png", (small[1] // 4 + 20).astype(np.uint8))
        out = tmp_path / "out.png"
        done("transfer", dark, "-o", out, "--equalize", *space)
        q = np.linspace(10, 90, 9)
        before, after = (np.percentile(rgb2lab(load(path))[..., 0], q) for path in (dark, out))
        assert before[-1] < 45
        # out of gamut colours are clipped; oklab's lightness is not lab's
        assert np.abs(after - q).max() < (12 if "oklab" in space else 8)

    def test_hardly_moves_hues(self, done, small, save, tmp_path, load):
        muted = save("muted.png", (small[0] // 5 + 90).astype(np.uint8))
        out = tmp_path / "out.png"
        done("transfer", muted, "-o", out, "--equalize", "--strength", "0.5")
        gap = rgb2lab(load(out))[..., 1:] - rgb2lab(load(muted))[..., 1:]
        assert np.abs(gap).mean() < 2


class TestSliced:
    def test_seed(self, done, pair, tmp_path):
        sliced = ("--method", "sliced")
        for name, seed in (("a", 0), ("b", 0), ("c", 1)):
            done("transfer", *pair, "-o", tmp_path / f"{name}.png", *sliced, "--seed", seed)
        done("transfer", *pair, "-o", tmp_path / "d.png", *sliced)
        a, b, c, d = ((tmp_path / f"{name}.png").read_bytes() for name in "abcd")
        assert a == b == d
        assert a != c

    def test_bases(self, done, pair, small, tmp_path, load):
        """One round is a histogram along one frame; thirty get the palette."""
        gaps = []
        for bases in (1, 30):
            out = tmp_path / f"{bases}.png"
            done("transfer", *pair, "-o", out, "--method", "sliced", "--bases", bases)
            along = np.array([1, -1, 0.5])  # an axis that is in no particular frame
            q = np.linspace(0, 100, 101)
            one, other = (np.percentile(x.reshape(-1, 3) @ along, q) for x in (load(out), small[1]))
            gaps.append(np.abs(one - other).mean())
        assert gaps[1] < 0.6 * gaps[0]


class TestLut:
    def test_does_what_the_picture_shows(self, done, pair, tmp_path, load):
        direct, baked, cube = (tmp_path / name for name in ("a.png", "b.png", "look.cube"))
        text = done("transfer", *pair, "-o", direct, "--method", "gaussian", "--lut", cube)
        assert text.splitlines()[0] == f"{direct}: 60x40"
        assert text.splitlines()[1].startswith(f"{cube}: 33x33x33, ")
        assert 'TITLE "look"' in cube.read_text()
        assert "LUT_3D_SIZE 33" in cube.read_text()
        done("lut", "apply", pair[0], cube, "-o", baked)
        error = (load(direct).astype(float) - load(baked)) ** 2
        assert -10 * np.log10(error.mean() / 255**2) > 40

    def test_size(self, cli, pair, tmp_path):
        cube = tmp_path / "a.cube"
        lut = ("--lut", cube, "--lut-size", "7", "--method", "sliced")
        answer = cli("transfer", *pair, "-o", tmp_path / "a.png", *lut)
        assert (answer.code, "7x7x7" in answer.out) == (0, True)
        assert "too steep" in answer.err
        assert np.loadtxt(cube, skiprows=3).shape == (343, 3)


class TestGrey:
    @pytest.mark.parametrize(
        ("method", "profile"),
        [
            *((method, None) for method in HERE),
            ("gaussian", GREY),
            ("sliced", display_p3()),
            *(
                pytest.param(method, None, marks=pytest.mark.long)
                for method in METHODS
                if method not in HERE
            ),
        ],
    )
    def test_takes_the_lightness_of_a_color_reference(
        self, done, small, pair, save, tmp_path, load, method, profile
    ):
        bright = save("bright.png", np.clip(small[0] // 2 + 120, 0, 255).astype(np.uint8))
        dark = save("dark.png", (small[1][..., 1] // 3).astype(np.uint8), profile)
        out = tmp_path / "out.png"
        done("transfer", dark, bright, "-o", out, "--method", method)
        result = load(out)
        assert result.shape == (40, 50)
        assert load(dark).mean() < 60
        assert 130 < result.mean() < 230

    def test_as_the_reference(self, done, small, pair, save, tmp_path, load):
        """A colour picture in the look of a grey one has no colour left."""
        grey = save("grey.png", small[1][..., 1].copy())
        out = tmp_path / "out.png"
        done("transfer", pair[0], grey, "-o", out, "--method", "sliced")
        result = load(out).astype(int)
        assert result.shape == (40, 60, 3)
        assert np.abs(np.diff(result, axis=-1)).mean() < 4
