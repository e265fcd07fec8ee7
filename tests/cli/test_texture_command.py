"""`jaxcolor texture`."""

import sys

import numpy as np
import pytest

from jaxcolor.image import video


@pytest.fixture
def clips(small, tmp_path):
    """Two clips (6, 24, 32, 3) of photographs that pass by."""
    paths = [tmp_path / "one.mp4", tmp_path / "other.mkv"]
    for path, picture in zip(paths, small, strict=True):
        video.write_clip(path, [picture[:24, t : t + 32] for t in range(6)], 25)
    return paths


class TestSynth:
    def test_a_picture(self, done, pair, tmp_path, load):
        text = done("texture", "synth", pair[0], "-o", tmp_path / "out.png", "--size", "50x30")
        assert text == f"{tmp_path / 'out.png'}: 50x30\n"
        result, exemplar = load(tmp_path / "out.png"), load(pair[0])
        assert result.shape == (30, 50, 3)
        assert np.abs(result.mean((0, 1)) - exemplar.mean((0, 1))).max() < 8
        done("texture", "synth", pair[0], "-o", tmp_path / "again.png", "--size", "50x30")
        np.testing.assert_array_equal(load(tmp_path / "again.png"), result)
        other = "--seed", "1", "--overwrite"
        done("texture", "synth", pair[0], "-o", tmp_path / "out.png", "--size", "50x30", *other)
        assert (load(tmp_path / "out.png") != result).any()

    def test_depth_and_profile_stay(self, done, save, tmp_path, load):
        from image.profiles import display_p3

        from jaxcolor.image import files

        deep = np.random.default_rng(0).integers(9000, 50000, (16, 18, 3)).astype(np.uint16)
        path = save("deep.png", deep, display_p3())
        done("texture", "synth", path, "-o", tmp_path / "out.png")
        assert files.read(tmp_path / "out.png").profile == display_p3()
        assert load(tmp_path / "out.png").dtype == np.uint16

    def test_a_clip(self, done, clips, tmp_path):
        out = tmp_path / "out.mp4"
        text = done("texture", "synth", clips[0], "-o", out, "--size", "41x20", "--frames", "9")
        assert "41x20, 9 frames" in text
        frames, fps = video.read_clip(out)
        assert frames.shape == (9, 20, 41, 3)
        assert fps == 25


class TestMix:
    def test_pictures(self, done, pair, tmp_path, load):
        done("texture", "mix", *pair, "-o", tmp_path / "out.png", "--weights", "1", "3")
        means = [load(path).mean((0, 1)) for path in pair]
        result = load(tmp_path / "out.png")
        assert result.shape == (40, 50, 3)
        assert np.abs(result.mean((0, 1)) - (means[0] + 3 * means[1]) / 4).max() < 8

    def test_three(self, done, pair, tmp_path, load):
        done("texture", "mix", *pair, pair[0], "-o", tmp_path / "out.png", "--size", "9x8")
        assert load(tmp_path / "out.png").shape == (8, 9, 3)

    def test_steps(self, done, pair, tmp_path, load):
        text = done("texture", "mix", *pair, "-o", tmp_path / "out", "--steps", "3")
        names = [f"source_0{k}.png" for k in (1, 2, 3)]
        assert sorted(one.name for one in (tmp_path / "out").iterdir()) == names
        assert text == f"{tmp_path / 'out' / names[0]} .. {names[2]}: 50x40\n"
        done("texture", "mix", *pair, "-o", tmp_path / "middle.png")
        middle = load(tmp_path / "middle.png")
        np.testing.assert_array_equal(load(tmp_path / "out" / names[1]), middle)

    def test_clips(self, done, clips, tmp_path):
        done("texture", "mix", *clips, "-o", tmp_path / "out.mov")
        assert video.read_clip(tmp_path / "out.mov")[0].shape == (6, 24, 32, 3)
        done("texture", "mix", *clips, "-o", tmp_path / "out", "--steps", "2", "--frames", "4")
        assert video.read_clip(tmp_path / "out" / "one_02.mp4")[0].shape == (4, 24, 32, 3)


class TestGrain:
    def test_grain(self, done, save, tmp_path, load):
        noise = np.random.default_rng(0).normal(128, 9, (60, 70, 3)).clip(0, 255).astype(np.uint8)
        paths = save("flat.png", np.full((50, 64, 3), 99, np.uint8)), save("grainy.png", noise)
        done("texture", "grain", *paths, "-o", tmp_path / "out.png")
        result = load(tmp_path / "out.png")
        assert result.shape == (50, 64, 3)
        assert abs(result.std() - 9) < 1.5
        assert abs(result.mean() - 99) < 1


class TestUsage:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["synth", "A", "-o", "out.png", "--size", "40"], "expected WxH"),
            (["synth", "A", "-o", "out.png", "--size", "0x9"], "within 1..16384"),
            (["synth", "A", "-o", "out.png", "--frames", "4"], "is a picture"),
            (["mix", "A", "-o", "out.png"], "two exemplars or more"),
            (["mix", "A", "B", "-o", "out.png", "--weights", "1"], "2 exemplars, but 1 weights"),
            (["mix", "A", "B", "-o", "out.png", "--weights", "0", "0"], "all weights are 0"),
            (["mix", "A", "B", "-o", "out.png", "--steps", "1"], "within 2"),
            (["mix", "A", "B", "A", "-o", "out", "--steps", "3"], "give two"),
            (["mix", "A", "B", "-o", "o", "--steps", "3", "--weights", "1", "2"], "not allowed"),
            (["mix", "A", "b.mp4", "-o", "out.png"], "pictures and clips do not mix"),
            (["grain", "A", "-o", "out.png"], "REFERENCE"),
            ([], "ACTION"),
        ],
    )
    def test_usage_errors(self, cli, pair, tmp_path, words, message):
        paths = {"A": pair[0], "B": pair[1]}
        answer = cli("texture", *(paths.get(word, word) for word in words))
        assert answer.code == 2
        assert message in answer.line
        assert not list(tmp_path.iterdir())

    def test_an_exemplar_is_not_replaced(self, cli, save, small, tmp_path):
        paths = save("a_01.png", small[0]), save("a.png", small[1])
        answer = cli("texture", "mix", *reversed(paths), "-o", tmp_path, "--steps", "2")
        assert answer.code == 2
        assert "would be replaced" in answer.line


class TestFailures:
    def test_files(self, refused, pair, clips, tmp_path):
        out = "-o", tmp_path / "out.png"
        assert "none.png: No such file" in refused("texture", "synth", tmp_path / "none.png", *out)
        assert "none.mp4: No such file" in refused(
            "texture", "synth", tmp_path / "none.mp4", "-o", tmp_path / "out.mp4"
        )
        assert "use one of .mp4" in refused("texture", "synth", clips[0], *out)
        assert "exists already" in refused("texture", "synth", clips[0], "-o", clips[1])
        (tmp_path / "bad.mp4").write_text("Dear reader,\n" * 9)
        line = refused("texture", "mix", clips[0], tmp_path / "bad.mp4", "-o", tmp_path / "a.mp4")
        assert "bad.mp4: damaged or not a clip" in line

    def test_pictures_too_small_for_grain(self, refused, pair, tmp_path):
        line = refused("texture", "grain", *pair, "-o", tmp_path / "out.png")
        assert "at least 48x48 pixels, got 60x40" in line

    def test_no_folder_is_left_behind(self, refused, pair, tmp_path):
        refused(
            "texture", "mix", pair[0], tmp_path / "no.png", "-o", tmp_path / "out", "--steps", "2"
        )
        assert not (tmp_path / "out").exists()

    def test_without_pyav(self, refused, clips, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "av", None)
        line = refused("texture", "synth", clips[0], "-o", tmp_path / "out.mp4")
        assert "pip install 'jaxcolor[video]'" in line


def test_as_a_person_types_it(process, pair, tmp_path):
    done = process("texture", "synth", pair[0], "-o", "out.png", "--size", "32x16")
    assert (done.returncode, done.stdout, done.stderr) == (0, "out.png: 32x16\n", "")
    assert (tmp_path / "out.png").is_file()
    failed = process("texture", "synth", tmp_path / "none.mp4", "-o", "out.mp4")
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "Traceback" not in failed.stderr
