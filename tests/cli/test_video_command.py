"""`jaxcolor video`, and clips in other commands."""

import re
import sys

import av
import numpy as np
import pytest
from PIL import Image

from jaxcolor.image import video


def scene(shift, frames=9, size=(48, 64)):
    y, x = np.mgrid[: size[0], : size[1]] / 64
    rng = np.random.default_rng(shift)
    base = 60 + 90 * np.stack([x, y, (x + y) / 2], -1) + shift
    return [
        np.clip(np.rint(base + rng.normal(0, 2, base.shape)), 0, 255).astype(np.uint8)
        for _ in range(frames)
    ]


@pytest.fixture
def clip(tmp_path):
    video.write_clip(tmp_path / "clip.mp4", scene(0) + scene(70), 25)
    return tmp_path / "clip.mp4"


@pytest.fixture
def still(tmp_path):
    red = np.stack([scene(40)[0][..., 0], scene(0)[0][..., 1] // 2, scene(0)[0][..., 2] // 3], -1)
    Image.fromarray(red).save(tmp_path / "still.png")
    return tmp_path / "still.png"


def mean(path):
    return video.read_clip(path)[0].mean((0, 1, 2))


def test_it_takes_the_colors_and_tells(done, clip, still, tmp_path):
    out = tmp_path / "out.mp4"
    told = done("video", clip, still, "-o", out, "--method", "gaussian")
    assert "64x48, 18 frames," in told
    assert "a second, 2 shots" in told
    goal = np.asarray(Image.open(still)).mean((0, 1))
    assert np.abs(mean(out) - goal).max() < 4
    told = done("video", clip, still, "-o", out, "--one-map", "--overwrite")
    assert ", 1 shot" in told


def test_strength(done, clip, still, tmp_path):
    for name, strength in (("none.mp4", 0), ("half.mp4", 0.5), ("all.mp4", 1)):
        done("video", clip, still, "-o", tmp_path / name, "--strength", strength)
    none, half, whole = (mean(tmp_path / name) for name in ("none.mp4", "half.mp4", "all.mp4"))
    assert np.abs(none - mean(clip)).max() < 1
    assert np.abs(half - (none + whole) / 2).max() < 3


def test_per_frame_tells_its_flicker(done, clip, still, tmp_path):
    told = done("video", clip, still, "-o", tmp_path / "o.mp4", "--per-frame", "--look", "gentle")
    last = told.splitlines()[-1]
    assert "flicker of the maps: " in last
    smooth, alone = (float(word) for word in re.findall(r"\d\.\d{3}", last))
    assert smooth < alone


def test_cuts_and_seconds_are_heard(done, clip, still, tmp_path):
    out = tmp_path / "o.mp4"
    told = done("video", clip, still, "-o", out, "--cut", 100, "--look", "gentle")
    assert ", 1 shot" in told
    told = done("video", clip, still, "-o", out, "--per-frame", "--seconds", 0, "--look", "gentle",
                "--overwrite")  # fmt: skip
    smooth, alone = re.findall(r"\d\.\d{3}", told.splitlines()[-1])
    assert smooth == alone


def test_references_of_all_kinds(done, clip, still, tmp_path):
    done("palette", still, "-o", tmp_path / "still.json", "--k", 8)
    other = tmp_path / "other.mkv"
    video.write_clip(other, scene(90), 25)
    out = tmp_path / "out.mp4"
    done("video", clip, still, tmp_path / "still.json", other, "--weights", 0, 0, 1, "-o", out,
         "--method", "gaussian")  # fmt: skip
    assert np.abs(mean(out) - mean(other)).max() < 4
    # and a clip is one for a picture
    done("transfer", still, other, "-o", tmp_path / "still2.png", "--method", "gaussian")
    result = np.asarray(Image.open(tmp_path / "still2.png"))
    assert np.abs(result.mean((0, 1)) - mean(other)).max() < 4
    (tmp_path / "pairs.csv").write_text(f"source,reference,output\n{still},{other},still2.png\n")
    done("batch", tmp_path / "pairs.csv", "-o", tmp_path / "out", "--method", "gaussian")
    assert (tmp_path / "out/still2.png").read_bytes() == (tmp_path / "still2.png").read_bytes()


def test_other_codecs(done, clip, still, tmp_path):
    done("video", clip, still, "-o", tmp_path / "o.mkv", "--codec", "ffv1")
    done("video", clip, still, "-o", tmp_path / "o.mov", "--codec", "prores")
    done("video", clip, still, "-o", tmp_path / "o.mp4", "--quality", 30, "--preset", "ultrafast")
    for name, codec in (("o.mkv", "ffv1"), ("o.mov", "prores"), ("o.mp4", "h264")):
        with av.open(str(tmp_path / name)) as container:
            assert container.streams.video[0].codec_context.name == codec


def test_sets_of_pictures_and_clips(done, clip, still, tmp_path):
    done("harmonize", clip, still, "-o", tmp_path / "out", "--method", "gaussian")
    picture, result = (np.asarray(Image.open(tmp_path / name)).mean((0, 1))
                       for name in ("still.png", "out/still.png"))  # fmt: skip
    before = np.abs(mean(clip) - picture).max()
    assert np.abs(mean(tmp_path / "out/clip.mp4") - result).max() < 0.1 * before
    assert (tmp_path / "out/before_after.png").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--weights", 1, 2], "1 references, but 2 weights"),
        (["--seconds", 1], "--seconds goes with --per-frame"),
        (["--one-map", "--per-frame"], "not allowed with"),
        (["--codec", "prores"], "prores goes into .mov or .mkv, not .mp4"),
        (["--codec", "h265"], "did you mean 'h264'"),
        (["--smooth", "guided"], "unrecognized"),
        (["--draw", "rand"], "it would flicker"),
    ],
)
def test_what_makes_no_sense_ends_with_2(cli, clip, still, words, says):
    answer = cli("video", clip, still, "-o", "out.mp4", *words)
    assert answer.code == 2
    assert says in answer.line
    answer = cli("video", clip, still, "-o", "o.mkv", "--codec", "ffv1", "--quality", 9)
    assert answer.code == 2
    assert "ffv1 has no --quality" in answer.line


def test_failures_are_one_line(cli, clip, still, tmp_path, monkeypatch):
    out = tmp_path / "out.mp4"
    for words, says in [
        ((still, still, "-o", tmp_path / "o.gif"), "unknown file type"),
        ((clip, tmp_path / "none.png", "-o", out), "none.png: No such file"),
        ((tmp_path / "none.mp4", still, "-o", out), "none.mp4: No such file"),
        ((clip, still, "-o", tmp_path), "is a folder; name a file"),
        ((clip, still, "-o", clip), "exists already; --overwrite"),
    ]:
        answer = cli("video", *words)
        assert answer.code == 1
        assert says in answer.line
        assert not out.exists()
    monkeypatch.setitem(sys.modules, "av", None)
    answer = cli("video", clip, still, "-o", out)
    assert answer.code == 1
    assert "pip install 'jaxcolor[video]'" in answer.line
