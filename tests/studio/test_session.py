"""A page's pictures and what becomes of them, without a page."""

import io
import struct
import threading
import zipfile
import zlib
from contextlib import redirect_stdout
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from jaxcolor.cli import common
from jaxcolor.cli.main import main
from jaxcolor.image import files
from jaxcolor.recipes.finish import Change
from jaxcolor.recipes.look import Look
from jaxcolor.recipes.styles import style
from jaxcolor.recipes.transfer import change
from jaxcolor.studio import Limits, folder, preview, warm
from jaxcolor.studio.clouds import POINTS, cloud
from jaxcolor.studio.opened import check_size
from jaxcolor.studio.preview import SIDE, as_file, blend, shrunk
from jaxcolor.studio.result import result
from jaxcolor.studio.session import Changes, Session, wish
from jaxcolor.studio.settings import Settings, command

LIMITS = Limits(megapixels=1, pictures=3)


@pytest.fixture
def session(tmp_path):
    one = Session(tmp_path, LIMITS, Changes())
    yield one
    one.close()
    assert not one.folder.exists()


def added(session, path):
    key, place = session.place(path.name)
    place.write_bytes(path.read_bytes())
    return session.add(key, place, path.name)


def asked(source, *others, **chosen):
    keys = [one.key for one in others]
    return wish({"number": 1, "source": source.key, "references": keys, **chosen})


def commanded(tmp_path, name, *argv) -> bytes:
    folder = tmp_path / "by the command"
    folder.mkdir(exist_ok=True)
    with redirect_stdout(io.StringIO()):
        assert main(["transfer", *map(str, argv), "-o", str(folder / name), "--overwrite"]) == 0
    return (folder / name).read_bytes()


@pytest.mark.parametrize(
    ("chosen", "options"),
    [
        pytest.param({}, (), marks=pytest.mark.slow),
        ({"look": "gentle", "strength": 0.6}, ("--look", "gentle", "--strength", "0.6")),
        (
            {"method": "gaussian", "smooth": "guided"},
            ("--method", "gaussian", "--smooth", "guided"),
        ),
    ],
)
def test_a_download_is_what_the_command_writes(session, pair, tmp_path, chosen, options):
    source, reference = (added(session, path) for path in pair)
    how = asked(source, reference, **chosen).asked
    made, told = result(session.folder, "picture", [source], [reference], how)
    assert (made.name, told) == ("sea side_as_dusk.jpg", [])
    assert made.read_bytes() == commanded(tmp_path, made.name, *pair, *options)


def test_a_table_too(session, pair, tmp_path):
    source, reference = (added(session, path) for path in pair)
    made, told = result(session.folder, "cube", [source], [reference], Settings("gentle"))
    assert made.name == "sea side_as_dusk.cube"
    table = tmp_path / made.name
    commanded(tmp_path, "x.jpg", *pair, "--look", "gentle", "--lut", table)
    assert made.read_bytes() == table.read_bytes()
    assert "dB from the map on this picture" in told[0]
    assert str(session.folder) not in "".join(told)


def test_a_set_gets_a_common_look(session, pair, tmp_path):
    both = [added(session, path) for path in (pair[0], pair[0])]
    palette = tmp_path / "dusk.json"
    palette.write_text('["#204060", "#ff8040", "#ffe0c0"]')
    goal = added(session, palette)
    how = Settings(method="gaussian")
    made, _ = result(session.folder, "zip", both, [goal, both[0]], how)
    with zipfile.ZipFile(made) as archive:
        names = archive.namelist()
        assert names == ["sea side_as_dusk_sea side.jpg", "sea side_as_dusk_sea side_2.jpg"]
        data = {archive.read(name) for name in names}
    argv = pair[0], palette, pair[0], "--method", "gaussian"
    assert data == {commanded(tmp_path, "x.jpg", *argv)}
    with pytest.raises(ValueError, match="unknown result 'exe'"):
        result(session.folder, "exe", both, [goal], how)


def test_long_names_are_cut_so_that_they_can_be_written(session, pair, tmp_path):
    source, reference = (added(session, path) for path in pair)
    source, reference = (replace(one, name=60 * "\u6f22" + ".jpg") for one in (source, reference))
    how = asked(source, reference, method="gaussian").asked
    made, _ = result(session.folder, "picture", [source], [reference], how)
    assert f" -o {made.name} " in command(source.name, [reference.name], how).replace("'", "")
    packed, _ = result(session.folder, "zip", [source, source], [reference], how)
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist() == [made.name, f"{made.stem}_2.jpg"]


def test_a_result_that_fails_leaves_nothing(session, pair):
    source, reference = (added(session, path) for path in pair)
    before = sorted(session.folder.iterdir())
    reference.path.write_bytes(b"no picture any more")
    for kind in ("picture", "cube", "zip"):
        with pytest.raises(ValueError, match="not a picture"):
            result(session.folder, kind, [source], [reference], Settings("gentle"))
    assert sorted(session.folder.iterdir()) == before


def test_compiled_programs_make_room_before_a_fit_and_a_result(session, pair, monkeypatch):
    source, reference = (added(session, path) for path in pair)
    wanted = asked(source, reference, method="gaussian")
    for work in (
        lambda: session.fit(wanted),
        lambda: result(session.folder, "picture", [source], [reference], wanted.asked),
    ):
        cleared = []
        with monkeypatch.context() as patch:
            patch.setattr(common, "MAPS", 0)
            patch.setattr("jax.clear_caches", lambda: cleared.append(1))  # noqa: B023
            work()
        assert cleared == [1]


def test_what_killed_processes_left_is_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(folder, "_here", lambda: "ab12")
    monkeypatch.setattr(folder, "_gone", lambda process: process == 77)
    elsewhere = tmp_path / "elsewhere"
    left = tmp_path / "jaxcolor-studio-77-ab12-abc_d123"
    others = (
        "elsewhere",
        "jaxcolor-studio-",
        *(f"jaxcolor-studio-{one}-a" for one in ("78-ab12", "77-cd34")),
    )
    for one in (left, *(tmp_path / name for name in others)):
        one.mkdir()
        (one / "a.jpg").write_bytes(b"x")
    (left / "link").symlink_to(elsewhere)
    (tmp_path / "jaxcolor-studio-77-ab12-link").symlink_to(elsewhere)
    folder.sweep(tmp_path)
    there = {path.name for path in tmp_path.iterdir()}
    assert there == {*others, "jaxcolor-studio-77-ab12-link"}
    assert [path.name for path in elsewhere.iterdir()] == ["a.jpg"]
    left.mkdir()
    monkeypatch.setattr("os.getuid", lambda: left.stat().st_uid + 1)
    folder.sweep(tmp_path)
    assert left.exists()


def test_a_preview_is_the_change_but_for_its_dither(photographs):
    source, reference = photographs
    made = change(source, Look([reference]), style("natural", dither=False))
    small = blend(made, None)
    for strength in (0, 0.3, 1):
        gap = np.abs(small.at(strength).astype(int) - made.at(strength))
        assert gap.max() <= 1
    assert (small.at(0) == source).all()


def test_a_preview_keeps_alpha_and_grey(photographs):
    grey = photographs[0][..., 1]
    clear = np.dstack([grey, np.arange(grey.size, dtype=np.uint8).reshape(grey.shape)])
    made = change(clear, Look([photographs[1]]), style(method="gaussian"))
    assert isinstance(made, Change)
    shown = blend(made, None).at(1.0)
    assert (shown[..., 3] == clear[..., 1]).all()
    assert (np.ptp(shown[..., :3], axis=2) == 0).all()
    assert np.abs(shown[..., 0].astype(int) - made.at()[..., 0]).max() <= 1
    data, kind = as_file(shown, None)
    assert kind == "image/webp"
    assert Image.open(io.BytesIO(data)).mode == "RGBA"


def test_programs_are_there_before_somebody_waits(photographs, monkeypatch):
    monkeypatch.setattr(warm, "LOOKS", ["gentle"])
    done, over = threading.Event(), threading.Event()
    warm.warm(done, over)
    assert done.is_set()
    size = preview._mixed._cache_size()
    blend(change(photographs[0], Look([photographs[1]]), style("gentle")), None).at(0.3)
    assert preview._mixed._cache_size() == size > 0
    done.clear()
    over.set()
    warm.warm(done, over)
    assert not done.is_set()


def test_strength_needs_no_other_fit(session, pair):
    source, reference = (added(session, path) for path in pair)
    half = asked(source, reference, look="gentle", strength=0.5)
    assert session.ready(half) is None
    made = session.fit(half)
    whole = asked(source, reference, look="gentle")
    assert session.ready(whole) is made
    frames = [session.frame(made, one) for one in (half, whole)]
    assert frames[0].image != frames[1].image
    assert frames[0].command.endswith("--look gentle --strength 0.5")
    assert session.ready(asked(source, reference, look="gentle", smooth="guided")) is None
    session.remove(reference.key)
    with pytest.raises(ValueError, match="has been removed"):
        session.frame(made, half)


@pytest.mark.parametrize("kind", ["deep", "light", "large"])
def test_pictures_of_every_depth_are_reduced(kind, tmp_path):
    rng = np.random.default_rng(0)
    if kind == "deep":
        pixels, suffix = rng.integers(0, 65536, (40, 60, 4)).astype(np.uint16), ".png"
    elif kind == "light":
        pixels, suffix = (3 * rng.random((40, 60, 3))).astype(np.float32), ".exr"
    else:
        pixels, suffix = np.full((100, 2160, 3), 80, np.uint8), ".tif"
    path = tmp_path / f"a{suffix}"
    files.write(path, files.Picture(pixels, linear=kind == "light"))
    small = shrunk(files.read(path))
    high, wide = small.pixels.shape[:2]
    assert (high, wide) == ((round(SIDE / 21.6), SIDE) if kind == "large" else (40, 60))
    assert small.pixels.dtype == (np.uint8 if kind == "large" else np.float32)
    full = {"deep": 65535, "light": 1, "large": 1}[kind]
    assert small.pixels.mean() == pytest.approx(pixels.mean() / full, rel=1e-3)
    assert small.linear == (kind == "light")


def png_of(width: int, height: int) -> bytes:
    """A file that says it holds so many pixels."""
    data = io.BytesIO()
    Image.new("L", (8, 8)).save(data, "PNG")
    head = b"IHDR" + struct.pack(">II", width, height) + data.getvalue()[24:29]
    return data.getvalue()[:12] + head + struct.pack(">I", zlib.crc32(head)) + data.getvalue()[33:]


BROKEN = {
    "empty": "is empty",
    "text": "not a picture",
    "truncated": "damaged",
    "large": "1500x1000 are 2 megapixels, and 1 are the most here",
    "a bomb": "refused, too large",
    "nothing but a head": "not a picture",
    "a page": "not a picture",
    "no palette": "colour",
}


def broken(kind: str, data: bytes) -> bytes:
    return {
        "empty": b"",
        "text": b"it was a dark and stormy night " * 99,
        "truncated": data[: len(data) // 2],
        "large": png_of(1500, 1000),
        "a bomb": png_of(40_000, 30_000),
        "nothing but a head": data[:20],
        "a page": b"<html><script>alert(1)</script></html>",
        "no palette": b'{"colors": [1e999, "x"]}',
    }[kind]


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_picture_is_refused_in_a_line(session, pair, tmp_path, kind):
    path = tmp_path / "holiday.jpg"
    path.write_bytes(broken(kind, pair[0].read_bytes()))
    with pytest.raises(ValueError, match=BROKEN[kind]) as failure:
        added(session, path)
    line = str(failure.value)
    assert line.startswith("holiday.jpg: ")
    assert "\n" not in line
    assert str(tmp_path) not in line


def test_sizes_are_looked_at_first(tmp_path, pair):
    light = tmp_path / "a.exr"
    files.write(light, files.Picture(np.ones((30, 40, 3), np.float32), linear=True))
    for path in (light, pair[0]):
        check_size(path, 0.0024)
        with pytest.raises(ValueError, match="megapixels"):
            check_size(path, 0.001)


def test_a_page_holds_so_many_pictures(session, pair):
    for _ in range(LIMITS.pictures):
        added(session, pair[0])
    held = session.held
    assert held == LIMITS.pictures * pair[0].stat().st_size
    with pytest.raises(ValueError, match="3 pictures are open"):
        session.place("one more.jpg")
    session.remove("1")
    assert session.held < held
    assert added(session, pair[0]).key not in ("1", "2", "3")


def test_an_animation_and_a_palette_are_no_source(session, pair, tmp_path):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    moving = added(session, tmp_path / "a.gif")
    assert "of which the first is read" in moving.told[0]
    assert moving.told[0].startswith("a.gif: ")
    goal = added(session, pair[1])
    with pytest.raises(ValueError, match=r"a\.gif: is an animation"):
        session.fit(asked(moving, goal))
    (tmp_path / "p.json").write_text('["#204060"]')
    colors = added(session, tmp_path / "p.json")
    assert list(colors.cloud) == [0x20, 0x40, 0x60, 255]
    with pytest.raises(ValueError, match=r"p\.json: is a palette"):
        session.chosen(asked(colors, goal))


def test_changes_give_way_where_room_ends(photographs):
    made = blend(change(photographs[0], Look([photographs[1]]), style(method="gaussian")), None)
    changes = Changes(room=2 * made.held)
    for fit in "abc":
        changes.keep("page", fit, made)
        changes.find("page", "a")
    assert [changes.find("page", fit) for fit in "abc"] == [made, None, made]
    changes.forget("page")
    assert changes.find("page", "a") is None


def test_a_cloud_has_the_pictures_colours():
    pixels = np.full((40, 50, 3), (10, 200, 30), np.uint8)
    pixels[:5] = (250, 0, 0)
    rows = np.frombuffer(cloud(pixels), np.uint8).reshape(-1, 4)
    assert rows[:, :3].tolist() == [[10, 200, 30], [250, 0, 0]]
    assert rows[1, 3] / rows[0, 3] == pytest.approx((1 / 7) ** (1 / 3), abs=0.01)
    clear = np.dstack([pixels, np.where(pixels[..., 0] > 99, 0, 255).astype(np.uint8)])
    assert len(cloud(clear)) == 4
    assert cloud(clear * np.uint8(0)) == b""
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    assert len(cloud(noise)) == 4 * POINTS
