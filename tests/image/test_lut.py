import av
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from jaxcolor.image import INTERPOLATIONS, lut
from jaxcolor.image.apply import apply
from jaxcolor.image.bake import bake
from jaxcolor.maps import Affine

RNG = np.random.default_rng(0)
IDENTITY = Affine(jnp.eye(3), jnp.zeros(3))


def random_lut(size, interpolation="tetrahedral"):
    table = RNG.uniform(0, 1, (size, size, size, 3)).astype(np.float32)
    return lut.Lut(jnp.asarray(table), jnp.array([[0.0] * 3, [1.0] * 3]), interpolation)


def test_trilinear_agrees_with_scipy():
    one = random_lut(7, "trilinear")
    axis = np.linspace(0, 1, 7)
    x = RNG.uniform(0, 1, (300, 3))
    expected = RegularGridInterpolator((axis,) * 3, np.asarray(one.table))(x)
    np.testing.assert_allclose(one(jnp.asarray(x, jnp.float32)), expected, atol=5e-6)


def test_values_beyond_the_domain_are_clamped():
    one = random_lut(4)
    np.testing.assert_allclose(
        one(jnp.array([[-1.0, 0.5, 9.0]])), one(jnp.array([[0.0, 0.5, 1.0]])), atol=1e-6
    )


def test_file_round_trip_keeps_everything(tmp_path):
    one = lut.Lut(
        jnp.asarray(RNG.normal(size=(5, 5, 5, 3)), jnp.float32),
        jnp.array([[-0.5, 0.0, 0.1], [1.0, 2.0, 1.5]], jnp.float32),
    )
    one.save(tmp_path / "x.cube")
    again = lut.load(tmp_path / "x.cube")
    np.testing.assert_allclose(again.table, one.table, atol=1e-7)
    np.testing.assert_allclose(again.domain, one.domain, rtol=1e-7)


def test_red_runs_fastest(tmp_path):
    bake(IDENTITY, 2).save(tmp_path / "x.cube")
    rows = [line for line in (tmp_path / "x.cube").read_text().splitlines() if line[0] in "01-"]
    assert [row.split()[0][0] for row in rows[:4]] == ["0", "1", "0", "1"]
    assert [row.split()[2][0] for row in rows] == list("00001111")


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_agrees_with_ffmpeg(tmp_path, interpolation):
    """PyAV's wheel carries ffmpeg's lut3d filter: an independent reader and interpolator."""
    one = random_lut(9, interpolation)
    one.save(tmp_path / "x.cube")
    image = RNG.integers(0, 256, (64, 96, 3)).astype(np.uint8)
    graph = av.filter.Graph()
    frame = av.VideoFrame.from_ndarray(image, "rgb24")
    source = graph.add_buffer(width=96, height=64, format=frame.format, time_base=1)
    path = str(tmp_path / "x.cube").replace(":", r"\:")
    table = graph.add("lut3d", f"file={path}:interp={interpolation}")
    sink = graph.add("buffersink")
    source.link_to(table)
    table.link_to(sink)
    graph.configure()
    source.push(frame)
    theirs = sink.pull().to_ndarray(format="rgb24").astype(int)
    ours = apply(one, image).astype(int)
    # ffmpeg truncates where we round
    assert np.abs(ours - theirs).max() <= 1


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("cube") / "x.cube"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="cube"):
        lut.load(path)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("LUT_1D_SIZE 4", "1-D"),
        ("LUT_3D_SIZE 2\n0 0 0", "1 rows"),
        ("LUT_3D_SIZE 2\n0 0", "line 2"),
        ("LUT_3D_SIZE 2\n0 0 nan", "line 2"),
        ("LUT_3D_SIZE x", "line 1"),
        ("LUT_3D_SIZE 2\nDOMAIN_MIN 1 1 1\n" + "0 0 0\n" * 8, "exceed"),
    ],
)
def test_broken_files_are_named(tmp_path, lines, says):
    (tmp_path / "x.cube").write_text(lines)
    with pytest.raises(ValueError, match=says):
        lut.load(tmp_path / "x.cube")


def test_what_no_reader_takes_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="NaN"):
        lut.Lut(jnp.full((2, 2, 2, 3), jnp.nan), jnp.eye(2, 3)).save(tmp_path / "x.cube")
    with pytest.raises(ValueError, match="interpolation"):
        random_lut(3, "nearest")(jnp.zeros((1, 3)))


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "x.cube").write_text("old")

    def full(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OSError, match="disk full"):
        bake(IDENTITY, 2).save(tmp_path / "x.cube")
    assert [p.name for p in tmp_path.iterdir()] == ["x.cube"]
    assert (tmp_path / "x.cube").read_text() == "old"
