"""What may be in a file: a slice of `experiments/fuzz.py`, and properties of every reader."""

import importlib
import io
import json
import os
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxcolor import npz
from jaxcolor.amortize import store
from jaxcolor.cli.batch_list import read_list
from jaxcolor.cli.batch_manifest import Entry, Manifest
from jaxcolor.cli.common import describe, in_a_line
from jaxcolor.damage import is_of_machine
from jaxcolor.image import animation, cube, files, limits, lut, raster, video
from jaxcolor.image.files import Picture
from jaxcolor.recipes import palette, portable, reduced
from jaxcolor.recipes.palette import Palette

FOLDER = Path(__file__).parents[1] / "experiments"
few = settings(derandomize=True, max_examples=30, deadline=None)


@pytest.fixture
def load(monkeypatch):
    """A part of the experiment as a module; they import one another by name."""
    pytest.importorskip("av")
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


class TestTheFuzzer:
    @pytest.mark.slow
    def test_a_slice_finds_nothing(self, load, tmp_path):
        fuzz = load("fuzz")
        record = fuzz.run(500, 0, only=[], folder=tmp_path, heavy=False, quiet=True)
        assert record["faults"] == []
        assert record["all"]["tried"] == 500
        assert record["all"]["share_past_the_header"] >= 0.3
        assert len(record["readers"]) == 22
        assert record["corpus"] == sum(path.is_file() for path in tmp_path.rglob("*"))
        assert "| all | 500 |" in fuzz.table(record)

    def test_formats_are_parsed_and_made_again(self, load):
        formats, seeds = load("fuzz_formats"), load("fuzz_seeds")
        rng, exact = formats.Random(0), {"png": seeds._pngs, "gif": seeds._gifs, "exr": seeds._exrs}
        for kind, make in exact.items():
            for data in make():
                [(split, join)] = [
                    how for head, how in formats.FORMATS.items() if formats.re.match(head, data)
                ]
                assert len(split(data)) > 2, kind
                rng.random = lambda: 0.5  # no sum is made wrong
                assert join(split(data), rng) == data, kind

    def test_the_same_seed_changes_files_in_the_same_way(self, load):
        formats, seeds = load("fuzz_formats"), load("fuzz_seeds")
        own = list(seeds._pngs())
        first, again, other = (
            [formats.mutate(data, own[0], formats.Random(seed)) for data in own]
            for seed in (1, 1, 2)
        )
        assert first == again
        assert first != other
        assert own != first

    @pytest.mark.parametrize(
        ("does", "found"),
        [
            (KeyError("x"), "KeyError: 'x'"),
            (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "why"), "UnicodeDecodeError"),
            (ValueError("broken"), "names no file: broken"),
            (ValueError("a.png: broken"), ""),
            (OSError(5, "Input/output error", "a.png"), ""),
            (AssertionError("impossible"), "AssertionError: impossible"),
            (RuntimeWarning("overflow"), "warns of RuntimeWarning: overflow"),
            (UserWarning("a.png: cut short"), ""),
        ],
    )
    def test_faults_are_told_from_refusals(self, load, monkeypatch, tmp_path, does, found):
        worker = load("fuzz_worker")

        def read(path):
            if isinstance(does, Warning):
                warnings.warn(does, stacklevel=1)
            else:
                raise does

        monkeypatch.setitem(worker.READERS, "png", (read, Path.exists))
        (tmp_path / "a.png").write_bytes(b"x")
        answer = worker.tried("png", tmp_path / "a.png", None)
        assert answer["fault"].startswith(found)
        assert bool(answer["fault"]) == bool(found)
        assert answer["outcome"] == ("decoded" if isinstance(does, Warning) else "refused")

    def test_a_reader_that_dies_or_hangs_is_caught(self, load, monkeypatch, tmp_path):
        fuzz = load("fuzz")
        monkeypatch.setattr(fuzz, "PATIENCE", 0.05)
        for script, told in (
            ("import os; os.abort()", "dies of signal 6"),
            ("while 1: 0", "hangs"),
        ):
            process = fuzz.subprocess.Popen(
                [fuzz.sys.executable, "-c", script],
                stdin=fuzz.subprocess.PIPE, stdout=fuzz.subprocess.PIPE, text=True,
            )  # fmt: skip
            with process:
                worker = fuzz.Worker(tmp_path, process)
                assert worker.read("png", ".png", b"x")["fault"] == told
            assert worker.process is None


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, packed: bytes, bits: int = 8) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
    return b"".join([b"\x89PNG\r\n\x1a\n", head, chunk(b"IDAT", packed), chunk(b"IEND", b"")])


def ifd(*entries: tuple[int, int, int, int]) -> bytes:
    made = b"".join(struct.pack("<HHLL", *entry) for entry in sorted(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + made + bytes(2000)


STRIP = ((256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
         (273, 4, 1, 1000), (277, 3, 1, 1), (278, 4, 1, 8), (279, 4, 1, 64))  # fmt: skip


def gif_frame(width: int, height: int) -> bytes:
    """Of the first colour, each code after one that clears the table."""
    codes = [4, 0] * (width * height) + [5]
    packed = sum(code << 3 * k for k, code in enumerate(codes))
    body = packed.to_bytes(-(-3 * len(codes) // 8), "little")
    head = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0)
    return head + b"\2" + bytes([len(body)]) + body + b"\0"


class TestPictures:
    """Found by fuzzing, each of them."""

    @pytest.mark.parametrize(
        ("name", "data", "told"),
        [
            ("a.png", png(65_535, 65_535, b""), "refused, too large"),
            ("a.png", png(65_535, 65_535, b"", 16), "refused, too large"),
            ("a.png", png(9, 9, b"")[:-24], "damaged"),  # no pixels at all
            ("a.png", png(9, 9, b"", 16)[:33] + chunk(b"IEND", b""), "damaged"),
            ("a.null", b"a picture that OpenImageIO makes up", "not a picture"),
            ("a.exr", b"v/1\1\2\0\0\0\x9e\0\xff\xfe", "damaged"),
        ],
    )
    def test_refused_in_a_line_that_names_the_file(self, tmp_path, name, data, told):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ValueError, match=told) as caught:
            files.read(path)
        assert str(path) in str(caught.value)
        assert describe(caught.value).isprintable()

    def test_an_exr_that_claims_too_much(self, tmp_path, monkeypatch):
        path = tmp_path / "a.exr"
        files.write(path, Picture(np.ones((4, 4, 3), np.float32)))
        data, small = path.read_bytes(), struct.pack("<4i", 0, 0, 3, 3)
        assert data.count(small) == 2
        path.write_bytes(data.replace(small, struct.pack("<4i", 0, 0, 13_999, 13_999)))
        with pytest.raises(ValueError, match=r"a\.exr: .*(too large|claims)"):
            files.read(path)
        path.write_bytes(data)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7)
        with pytest.raises(limits.TooLarge, match="too large: 4x4 pixels, more than 14"):
            files.read(path)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
        assert files.read(path).pixels.shape == (4, 4, 3)
        monkeypatch.setattr(limits, "FREE", 0)
        monkeypatch.setattr(limits, "RATIO", 0.1)
        with pytest.raises(limits.TooLarge, match=r"claims to hold .* in a file of \d+ bytes"):
            files.read(path)

    def test_a_jpeg_of_endless_scans(self, load, tmp_path, monkeypatch):
        path = tmp_path / "a.jpg"
        path.write_bytes(load("fuzz_traps").scans(64, 64, 50))
        assert files.read(path).pixels.shape == (64, 64)
        monkeypatch.setattr(limits, "PASSES", 49 * 64 * 64)
        with pytest.raises(limits.TooLarge, match="takes too long: 50 times 64x64 pixels"):
            files.read(path)

    def test_scans_beyond_a_jpeg_are_not_its_own(self, load, tmp_path, monkeypatch):
        """Phones put videos behind their pictures, cameras notes into them."""
        path, marks = tmp_path / "a.jpg", b"\xff\xda" * 999
        data = load("fuzz_traps").scans(64, 64, 50)
        note = b"\xff\xe5" + struct.pack(">H", 2 + len(marks)) + marks
        path.write_bytes(data[:2] + note + data[2:] + marks)
        monkeypatch.setattr(limits, "PASSES", 50 * 64 * 64)
        assert files.read(path).pixels.shape == (64, 64)

    def test_larger_pictures_where_they_are_asked_for(self, tmp_path, monkeypatch):
        path = tmp_path / "a.exr"
        files.write(path, files.Picture(np.ones((600, 900, 3), np.float16)))
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        with pytest.raises(limits.TooLarge, match="JAXCOLOR_MAX_MEGAPIXELS lets in larger ones"):
            files.read(path)
        limits.allow("1")
        assert files.read(path).pixels.shape == (600, 900, 3)

    def test_an_animation_of_endless_frames(self, tmp_path, monkeypatch):
        how = animation.Timing((4, 4), (20.0,) * 3, 0)
        pictures = [np.full((4, 4, 4), 255, np.uint8) for k in range(3)]
        for k, picture in enumerate(pictures):
            picture[..., 0] = 80 * k
        for name in ("a.gif", "a.png"):
            path = tmp_path / name
            animation.write(path, pictures, how, np.concatenate(pictures))
            assert len(animation.timing(path)) == 3
            with monkeypatch.context() as patch:
                patch.setattr(limits, "PASSES", 47)
                with pytest.raises(limits.TooLarge, match="3 times 4x4"):
                    animation.timing(path)

    def test_an_animation_of_endless_size(self, tmp_path):
        size = struct.pack("<HH", 65_535, 65_535)
        frame = gif_frame(1, 1)
        (tmp_path / "a.gif").write_bytes(b"GIF89a" + size + b"\x80\0\0" + bytes(6) + frame + b";")
        with pytest.raises(limits.TooLarge, match=r"a\.gif: refused, too large"):
            animation.timing(tmp_path / "a.gif")

    def test_a_frame_that_is_larger_than_the_first(self, tmp_path):
        frames = [gif_frame(side, 2) for side in (2, 3)]
        head = b"GIF89a\2\0\2\0\x80\0\0" + bytes(6)
        (tmp_path / "a.gif").write_bytes(head + b"".join(frames) + b";")
        assert [one.shape for one in animation.frames(tmp_path / "a.gif")] == [(2, 2, 4)] * 2

    @pytest.mark.parametrize("space", [b"\xff\n\xff ", b"CMYK", b"\0\0\0\0"])
    def test_a_profile_of_no_space(self, load, space):
        block = load("fuzz_seeds").profile()
        broken = block[:16] + space + block[20:]
        grey = np.full((2, 2, 3), 99, np.uint8)
        with pytest.warns(UserWarning, match="colour profile not used"):
            assert (files.convert(Picture(grey, broken), None).pixels == grey).all()

    def test_light_divided_by_next_to_no_alpha(self, tmp_path):
        """It is infinite then, in silence; a fit says what it thinks of that."""
        rows = np.full((2, 2, 4), 1e-5, np.float32)
        rows[..., :3] = 3e38
        rows[0, 0, 3:].view(np.uint32)[:] = 0x7F800001  # NaN, of the kind that signals
        path = tmp_path / "a.exr"
        files.write(path, Picture(np.ones((2, 2, 4), np.float32), linear=True))
        import OpenImageIO as oiio

        out = oiio.ImageOutput.create(str(path))
        assert out is not None
        out.open(str(path), oiio.ImageSpec(2, 2, 4, oiio.TypeDesc("float")))
        out.write_image(rows)
        out.close()
        assert np.isinf(files.read(path).pixels[1, :, :3]).all()

    @pytest.mark.parametrize(
        ("more", "told"),
        [
            (((322, 4, 1, 65_520), (323, 4, 1, 65_520), (324, 4, 1, 1000), (325, 4, 1, 64)), "GiB"),
            (((258, 3, 1, 3),), "damaged|bits"),
        ],
    )
    def test_rasters(self, tmp_path, more, told):
        kept = [one for one in STRIP if one[0] not in {tag for tag, *_ in more}]
        path = tmp_path / "a.tif"
        path.write_bytes(ifd(*STRIP))
        assert raster.read(path).bands.shape == (8, 8, 1)
        path.write_bytes(ifd(*kept, *more))
        with pytest.raises(ValueError, match=told):
            raster.read(path)

    def test_a_directory_within_itself(self, tmp_path):
        path = tmp_path / "a.tif"
        path.write_bytes(ifd(*STRIP, (34665, 4, 1, 8), (40965, 4, 1, 8)))
        with pytest.warns(UserWarning, match="EXIF data are broken, and left out"):
            files.read(path)

    def test_a_profile_that_is_a_number(self, tmp_path):
        path = tmp_path / "a.tif"
        path.write_bytes(ifd(*STRIP, (34675, 3, 1, 7)))
        assert files.read(path).profile is None


class TestTraining:
    """Checkpoints, networks, pools of palettes."""

    @pytest.mark.parametrize(
        "change",
        [{"points": np.float32(1)}, {"points": np.ones((2, 3), "f4")}, {"made": np.ones(2)},
         {"made": np.int64(9)}, {"weights": np.full((2, 4), np.nan, "f4")},
         {"weights": np.ones((2, 4))}],
    )  # fmt: skip
    def test_pools(self, tmp_path, change):
        own = {"points": np.ones((2, 4, 3), "f4"), "weights": np.ones((2, 4), "f4"), "made": 1}
        np.savez(tmp_path / "a.npz", **own)
        assert store.pool(tmp_path / "a.npz", 1, None)[1] == 1
        assert store.held_out(tmp_path / "a.npz", None).points.shape == (2, 4, 3)
        np.savez(tmp_path / "a.npz", **(own | change))
        with pytest.raises(ValueError, match=r"a\.npz: holds"):
            store.pool(tmp_path / "a.npz", 1, None)

    @pytest.mark.parametrize(
        "change",
        [{"leaf1": np.ones(9, "f4")}, {"leaf0": np.ones(())}, {"record": "[1]"}, {"record": "{"},
         {"record": "{}"}, {"more": np.ones(1)}],
    )  # fmt: skip
    def test_checkpoints(self, load, tmp_path, change):
        network, record = load("fuzz_seeds").small_network(), {"steps": [1]}
        store.checkpoint(tmp_path, network, record)
        back, told = store.resume(tmp_path, network, {"steps": []})
        assert told == record
        assert (back.grid.weight == network.grid.weight).all()
        whole = npz.read(tmp_path / "state.npz")
        np.savez(tmp_path / "state.npz", **(whole | change))
        with pytest.raises(ValueError, match=r"damaged|another network"):
            store.resume(tmp_path, network, {"steps": []})

    @pytest.mark.parametrize(
        "change",
        [{"depth": 10**9}, {"hidden": -1}, {"nodes": [2, 2]}, {"nodes": 3}, {"looks": ["a"]},
         {"looks": [0.1, 0.2]}, {"inner": 1.5}, {"more": 1}, {"hidden": 5}],
    )  # fmt: skip
    def test_networks(self, load, tmp_path, change):
        path = tmp_path / "a.npz"
        store.save_network(path, load("fuzz_seeds").small_network())
        whole = npz.read(path)
        assert store.load_network(path).nodes == (2, 2, 2)
        shape = json.dumps(json.loads(str(whole["shape"])) | change)
        np.savez(path, **(whole | {"shape": np.array(shape)}))
        with pytest.raises(ValueError, match=r"a\.npz: damaged"):
            store.load_network(path)


class TestClips:
    @pytest.mark.parametrize("name", ["EOFError", "MemoryError", "DecoderNotFoundError"])
    def test_what_a_decoder_says_is_of_the_file(self, monkeypatch, tmp_path, name):
        av = pytest.importorskip("av")
        (tmp_path / "a.mp4").write_bytes(b"x")
        code = {"MemoryError": 12, "EOFError": 541_478_725}.get(name, 1_128_613_112)

        def refuse(path):
            raise getattr(av.error, name)(code, "why", path)

        monkeypatch.setattr(av, "open", refuse)
        for read in (video.count, video.frame_rate, lambda path: next(video.read_frames(path))):
            with pytest.raises(ValueError, match=r"a\.mp4: damaged or not a clip \(why\)"):
                read(tmp_path / "a.mp4")

    def test_words_that_are_none(self, load, tmp_path):
        path = tmp_path / "a.mov"
        data = load("fuzz_seeds").clip_file(".mov", "mpeg4", "yuv420p")[1]
        assert data.count(b"VideoHandler") == 1
        path.write_bytes(data)
        assert video.count(path) == 4
        path.write_bytes(data.replace(b"VideoHandler", b"\xff\xfe" * 6))
        with pytest.raises(ValueError, match="its words are no text"):
            video.count(path)


class TestWords:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("1e39 0 0\n0 0 0\n", "greatest number, 1e\\+39, is out of reach"),
            ("DOMAIN_MAX 1e39 1 1\n0 0 0\n1 1 1\n", "out of reach"),
            ("DOMAIN_MAX 1e-46 1 1\n0 0 0\n1 1 1\n", "must exceed"),  # 0 as float32
        ],
    )
    def test_cubes(self, tmp_path, text, told):
        (tmp_path / "a.cube").write_text("LUT_1D_SIZE 2\n" + text)
        with pytest.raises(ValueError, match=told):
            lut.load(tmp_path / "a.cube")

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ('{"colors": [{"lab": [1e29, 0, 0]}]}', "takes finite numbers"),
            ('{"version": ' + 700 * "[" + 700 * "]" + ', "colors": ["#fff"]}', '"version" is '),
            ('{"colors": [{"hex": ' + 700 * "[" + 700 * "]" + "}]}", "colour 1"),
            (json.dumps({"version": [0] * 9999, "colors": ["#fff"]}), '"version" is '),
        ],
    )
    def test_palettes(self, tmp_path, text, told):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(ValueError, match=told) as caught:
            palette.read(tmp_path / "a.json")
        assert len(str(caught.value)) < 300

    def test_maps(self, tmp_path):
        path, big = tmp_path / "a.json", [[1e39, 0, 0]] * 3
        for step in (
            {"op": "affine", "matrix": big, "offset": [0, 0, 0]},
            {"op": "x" * 9999},
        ):
            path.write_text(json.dumps(portable.HEADER | {"steps": [step]}))
            with pytest.raises(ValueError, match="step 1") as caught:
                portable.load(path)
            assert len(str(caught.value)) < 300

    def test_long_tables(self, tmp_path):
        path = tmp_path / "p.csv"
        path.write_text("source,reference\n" + "a.png,b.png\n" * 3000)
        names = [pair.output for pair in read_list(path)]  # once quadratic
        assert names[:2] == ["a_as_b.png", "a_as_b_2.png"]
        assert len(set(names)) == 3000
        path.write_text("source,reference\n" + "a,b" + ",c" * 9999)
        with pytest.raises(ValueError, match="more cells") as caught:
            read_list(path)
        assert len(str(caught.value)) < 300

    def test_a_manifest_of_one_endless_cell(self, tmp_path):
        table = Manifest(tmp_path)
        table.rewrite([Entry("1", "a", "b", "c.png", "done", "x" * 200_000)])
        with pytest.raises(ValueError, match=r"manifest\.csv: damaged \(field larger"):
            Manifest(tmp_path)

    def test_messages_are_a_line(self):
        assert in_a_line("no\x1b[31m\n channel") == "no?[31m channel"
        assert len(describe(ValueError("a" * 99_999))) < 1100


def archive(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as held:
        for name, body in members.items():
            held.writestr(f"{name}.npy", body)
    return out.getvalue()


def npy(shape: tuple, kind: str, body: bytes) -> bytes:
    told = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(told)) + told + body


class TestArrays:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"PK\3\4",
            archive(a=npy((2**40,), "<f8", bytes(64))),  # nothing is made room for
            archive(a=npy((-1,), "<f4", b"")),
            archive(a=npy((1,), "|O", b"cos\nsystem\n.")),
            archive(a=npy((1,), "|O", bytes(8))),
            archive(a=b"\x93NUMPY\1\0\x05\0(((((" + bytes(9)),
            archive(a=b"\x93NUMPY\7\0\x05\0{}   "),
            archive(a=npy((1,), "<f4", bytes(4)))[:-9],
        ],
    )
    def test_refused(self, tmp_path, data):
        (tmp_path / "a.npz").write_bytes(data)
        with pytest.raises(ValueError, match=r"a\.npz: not arrays, or damaged"):
            npz.read(tmp_path / "a.npz")
        with pytest.raises(ValueError, match="a file: not arrays"):
            npz.read(io.BytesIO(data))

    def test_a_bomb(self, tmp_path, monkeypatch):
        (tmp_path / "a.npz").write_bytes(archive(a=npy((9999,), "|u1", bytes(9999))))
        assert npz.read(tmp_path / "a.npz", ["a"])["a"].size == 9999
        monkeypatch.setattr(npz, "MOST", 5000)
        with pytest.raises(ValueError, match="more than 5000"):
            npz.read(tmp_path / "a.npz")

    def test_what_is_missing(self, tmp_path):
        np.savez(tmp_path / "a.npz", one=np.ones(2))
        with pytest.raises(ValueError, match="holds no two and no three"):
            npz.read(tmp_path / "a.npz", ["one", "two", "three"])
        with pytest.raises(FileNotFoundError):
            npz.read(tmp_path / "b.npz")

    @pytest.mark.parametrize(
        "change", [{"weight": np.ones(3, "f4")}, {"pixels": np.full((1, 2, 3), np.nan, "f4")},
                   {"profile": np.ones(3)}, {"pixels": np.ones((1, 2, 3), "U1")},
                   {"weight": np.full((1, 2), -1, "f4")}],
    )  # fmt: skip
    def test_measures(self, tmp_path, change):
        path = tmp_path / "a.npz"
        reduced.save(path, reduced.reduced(Picture(np.array([[[7, 7, 9], [1, 2, 3]]], "u1")), 8))
        whole = npz.read(path)
        assert (reduced.load(path).picture.pixels == whole["pixels"]).all()
        np.savez(path, **(whole | change))
        with pytest.raises(ValueError, match=r"a\.npz: holds no colours of a picture"):
            reduced.load(path)

    @few
    @given(st.lists(st.tuples(st.sampled_from(["<f4", "|u1", "<i8", "<U3"]), st.integers(0, 3))))
    def test_round_trip(self, kinds):
        arrays = {f"a{k}": np.ones((side, 2), kind) for k, (kind, side) in enumerate(kinds)}
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        back = npz.read(file)
        assert list(back) == list(arrays)
        assert all((back[name] == own).all() and back[name].dtype == own.dtype
                   for name, own in arrays.items())  # fmt: skip


def test_whose_word_an_error_is():
    for code, own in ((5, True), (28, True), (22, False), (541_478_725, False)):
        error = OSError(code, "why")
        assert is_of_machine(error, "a.png") == own
    assert describe(OSError(5, "why", "b.png")) == "b.png: why"
    error = OSError(5, "why")
    assert is_of_machine(error, "a.png")
    assert describe(error) == "a.png: why"
    assert is_of_machine(MemoryError(), "a.png")
    own = pytest.importorskip("av").error.FileNotFoundError(2, "why", "c.mp4")
    assert is_of_machine(own, "a.png")
    assert describe(own) == "c.mp4: why"
    assert not is_of_machine(IndexError(), "a.png")


HEADS = {
    ".png": (b"", b"\x89PNG\r\n\x1a\n", png(4, 4, b"")[:-24]),
    ".tif": (b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"II*\0\x08\0\0\0\2\0"),
    ".jpg": (b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xc0"),
    ".webp": (b"RIFF\x40\0\0\0WEBPVP8 ", b"RIFF\x40\0\0\0WEBPVP8L", b"RIFF\x40\0\0\0WEBPVP8X"),
    ".exr": (b"v/1\1", b"v/1\1\2\0\0\0channels\0chlist\0"),
    ".hdr": (b"#?RADIANCE\n", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 4 +X 4\n"),
    ".gif": (b"GIF89a\4\0\4\0\0\0\0", b"GIF89a"),
    ".cube": (b"LUT_3D_SIZE 2\n", b""),
    ".json": (b"[", b'{"colors": [', b'{"format":"jaxcolor-map","version":1,"steps":['),
    ".csv": (b"source,reference\n", b""),
    ".npz": (b"PK\3\4", archive(a=npy((1,), "<f4", bytes(4)))[:60]),
}
READ = {".cube": (lut.load,), ".json": (palette.read, portable.load), ".csv": (read_list,),
        ".npz": (npz.read, reduced.load)}  # fmt: skip


@pytest.mark.parametrize("suffix", HEADS)
@few
@given(data=st.data())
def test_any_bytes_are_read_or_refused(tmp_path_factory, suffix, data):
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(data.draw(st.sampled_from(HEADS[suffix])) + data.draw(st.binary(max_size=200)))
    refused = []
    for read in READ.get(suffix, (files.read, raster.read, animation.timing)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            try:
                read(path)
            except (ValueError, OSError) as error:
                refused.append(error)
    assert all(str(path) in describe(error) for error in refused)
    assert not any(isinstance(error, UnicodeError) for error in refused)


@few
@given(st.lists(st.tuples(*[st.floats(-1e3, 1e3, width=32)] * 3), min_size=8, max_size=8))
def test_cube_round_trip(rows):
    table = cube.Table(np.array(rows, np.float32).reshape(2, 2, 2, 3), cube.UNIT)
    [back] = cube.parse(cube.dump([table], "x"))
    np.testing.assert_allclose(back.values, table.values, atol=5e-8 + 1e-3 * 2**-23, rtol=2**-23)


@few
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-80, 80), st.floats(-80, 80)),
                min_size=1, max_size=4))  # fmt: skip
def test_palette_round_trip(tmp_path_factory, points):
    own, path = Palette(points), tmp_path_factory.getbasetemp() / "any.json"
    palette.write(path, own)
    back = palette.read(path)
    assert (back.points == own.points).all()
    assert (back.weights == own.weights).all()


names = st.text(
    st.characters(min_codepoint=33, exclude_categories=["C", "Z"]), min_size=1, max_size=9
)


@few
@given(st.lists(st.tuples(names, names), min_size=1, max_size=5))
def test_table_round_trip(tmp_path_factory, rows):
    import csv

    path = tmp_path_factory.getbasetemp() / "any.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("source", "reference"), *rows])
    pairs = read_list(path)
    assert [(one.source, one.reference) for one in pairs] == rows
    assert len({one.output.casefold() for one in pairs}) == len(rows)
    assert not any(os.path.isabs(one.output) for one in pairs)


@few
@given(st.sampled_from([".png", ".tif"]), st.sampled_from(["uint8", "uint16", "float32"]),
       st.sampled_from([(), (2,), (3,), (4,)]), st.integers(1, 5), st.integers(1, 5),
       st.integers(0, 2**32 - 1))  # fmt: skip
def test_picture_round_trip(tmp_path_factory, suffix, dtype, channels, height, width, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, *channels)).astype(dtype)
    if dtype == "float32":
        pixels = pixels / np.float32(255)
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    files.write(path, Picture(pixels))
    back = files.read(path).pixels
    if suffix == ".png" and dtype == "float32":
        pixels = np.rint(pixels * np.float32(65_535)).astype("uint16")
    assert back.dtype == pixels.dtype
    assert (back == pixels).all()
