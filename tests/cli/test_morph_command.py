"""`jaxcolor morph`."""

import numpy as np
import pytest


def test_frames_lead_from_the_picture_to_the_look(done, pair, tmp_path, load):
    text = done("morph", *pair, "-o", tmp_path / "out", "--steps", "3", "--method", "gaussian")
    names = [f"source_0{k}.png" for k in (1, 2, 3)]
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == names
    assert "3 frames" in text
    done("transfer", *pair, "-o", tmp_path / "end.png", "--method", "gaussian")
    first, middle, last = (load(tmp_path / "out" / name) for name in names)
    np.testing.assert_array_equal(first, load(pair[0]))
    np.testing.assert_array_equal(last, load(tmp_path / "end.png"))
    half = (first.astype(float) + last) / 2
    assert np.abs(middle - half).mean() < 1.5


def test_shapes(done, save, tmp_path, load):
    rows, columns = np.indices((24, 24))
    pictures = [
        np.where((rows - 12) ** 2 + (columns - c) ** 2 < 16, 0, 255).astype(np.uint8)
        for c in (6, 18)
    ]
    paths = [save(f"{k}.png", picture) for k, picture in enumerate(pictures)]
    done("morph", *paths, "-o", tmp_path / "out", "--steps", "3", "--shapes", "--size", "24")
    middle = 255.0 - load(tmp_path / "out" / "0_02.png")
    assert abs((middle.sum(0) * np.arange(24)).sum() / middle.sum() - 12) < 0.3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "1"], "within 2"),
        (["--shapes", "--method", "sliced"], "ink"),
        (["--size", "64"], "--shapes"),
    ],
)
def test_usage_errors(cli, pair, tmp_path, options, message):
    answer = cli("morph", *pair, "-o", tmp_path / "out", *options)
    assert answer.code == 2
    assert message in answer.line
    assert not (tmp_path / "out").exists()


def test_frames_that_exist_are_kept(refused, pair, tmp_path, save):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "source_02.png").write_bytes(b"mine")
    assert "source_02.png" in refused("morph", *pair, "-o", tmp_path / "out", "--steps", "3")
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["source_02.png"]


def test_no_folder_is_left_behind(refused, pair, tmp_path):
    refused("morph", pair[0], tmp_path / "none.png", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()
