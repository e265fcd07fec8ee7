"""Clips written and read back; colours checked against BT.709 itself."""

import struct
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from jaxcolor.image import video

COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 100, 50], [9, 9, 9], [255] * 3])


def plain(size=(32, 48)):
    return [np.full((*size, 3), color, np.uint8) for color in COLORS]


def smooth(frames=5, size=(48, 64)):
    """A moving picture that chroma at half the resolution can hold."""
    y, x = np.mgrid[: size[0], : size[1]] / max(size)
    waves = [np.stack([x, y, (x + y + t / frames) / 3], -1) for t in range(frames)]
    return [np.rint(255 * wave).astype(np.uint8) for wave in waves]


@pytest.fixture
def clip(tmp_path):
    video.write_clip(tmp_path / "a.mp4", smooth(), 24)
    return tmp_path / "a.mp4"


class TestRoundTrip:
    @pytest.mark.parametrize("suffix", video.FORMATS)
    def test_colors_come_back(self, tmp_path, suffix):
        path = tmp_path / f"a{suffix}"
        video.write_clip(path, iter(plain()), 25)
        frames, fps = video.read_clip(path)
        assert frames.dtype == np.uint8
        assert fps == 25
        assert np.abs(frames.astype(int) - np.stack(plain())).max() <= 2

    def test_pictures_come_back(self, clip):
        off = np.stack(smooth()).astype(int) - video.read_clip(clip)[0]
        assert np.abs(off).mean() < 1
        assert np.abs(off.mean((0, 1, 2))).max() < 0.5

    @pytest.mark.parametrize("size", [(33, 48), (32, 47), (31, 33)])
    def test_odd_sizes(self, tmp_path, size):
        video.write_clip(tmp_path / "a.mp4", plain(size), 25)
        frames, _ = video.read_clip(tmp_path / "a.mp4")
        assert frames.shape == (6, *size, 3)
        assert np.abs(frames.astype(int) - np.stack(plain(size))).max() <= 2

    @pytest.mark.parametrize("fps", [Fraction(30000, 1001), 29.97, 12.5, 60])
    def test_rates(self, tmp_path, fps):
        video.write_clip(tmp_path / "a.mp4", smooth(3), fps)
        assert abs(video.frame_rate(tmp_path / "a.mp4") / fps - 1) < 1e-5

    def test_quality(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
        for name, crf in (("fine.mp4", 1), ("coarse.mp4", 40)):
            video.write_clip(tmp_path / name, noise, 25, crf=crf)
        fine, coarse = ((tmp_path / name).stat().st_size for name in ("fine.mp4", "coarse.mp4"))
        assert fine > 3 * coarse

    def test_any_iterable_is_read_once_and_not_ahead(self, tmp_path):
        asked = []

        def frames():
            for k, frame in enumerate(smooth(4)):
                asked.append(k)
                yield frame

        video.write_clip(tmp_path / "a.mkv", frames(), 25)
        assert asked == [0, 1, 2, 3]
        assert sum(1 for _ in video.read_frames(tmp_path / "a.mkv")) == 4


class TestColors:
    def test_stored_numbers_are_bt709_and_say_so(self, tmp_path):
        video.write_clip(tmp_path / "a.mp4", plain((32, 33)), 25, crf=0)  # odd: 4:4:4
        with av.open(str(tmp_path / "a.mp4")) as container:
            context = container.streams.video[0].codec_context
            kinds = context.colorspace, context.color_primaries, context.color_trc
            assert [int(kind) for kind in kinds] == [1, 1, 1]
            assert int(context.color_range) == 1
            stored = [f.to_ndarray()[:, 5, 5] for f in container.decode(video=0)]
        luma = np.array([0.2126, 0.7152, 0.0722])
        y = COLORS / 255 @ luma
        blue, red = ((COLORS[:, k] / 255 - y) / (2 - 2 * luma[k]) for k in (2, 0))
        expected = np.stack([16 + 219 * y, 128 + 224 * blue, 128 + 224 * red], 1)
        assert np.abs(np.array(stored) - expected).max() <= 1

    @pytest.mark.parametrize(
        ("matrix", "full", "size"),
        [(1, False, 48), (5, False, 48), (6, False, 48), (1, True, 48), (2, False, 48)],
        ids=["709", "601", "ntsc", "full", "unsaid"],
    )
    def test_clips_of_others(self, tmp_path, matrix, full, size):
        path = tmp_path / "a.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "0"})
            stream.width = stream.height = size
            stream.pix_fmt = "yuv444p"
            context = stream.codec_context
            context.colorspace, context.color_range = matrix, 2 if full else 1
            used = {2: 5, 6: 5}.get(matrix, matrix)
            for frame in plain((size, size)):
                rgb = av.VideoFrame.from_ndarray(frame, format="rgb24")
                how = {"dst_colorspace": used, "dst_color_range": 2 if full else 1}
                container.mux(stream.encode(rgb.reformat(format="yuv444p", **how)))
            container.mux(stream.encode(None))
        frames, _ = video.read_clip(path)
        assert np.abs(frames[:, 9, 9].astype(int) - COLORS).max() <= 2

    def test_rgb_clips(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
        with av.open(str(tmp_path / "a.mkv"), "w") as container:
            stream = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 16, 16, "bgr0"
            for frame in noise:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))
        np.testing.assert_array_equal(video.read_clip(tmp_path / "a.mkv")[0], noise)


def test_clips_of_telephones_are_upright(clip):
    """Which way is up stands in the track's header, as a matrix."""
    data = bytearray(clip.read_bytes())
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    at = data.index(upright, data.index(b"tkhd"))
    data[at : at + 36] = turned
    clip.write_bytes(data)
    frames, _ = video.read_clip(clip)
    expected = np.rot90(np.stack(smooth()), -1, (1, 2)).astype(int)
    assert np.abs(frames - expected).mean() < 1


class TestFailures:
    @pytest.mark.parametrize(
        ("content", "message"),
        [(b"", r"is empty \(0 bytes\)"), (b"Dear reader,\n" * 99, "damaged or not a clip")],
    )
    @pytest.mark.parametrize("read", [video.read_clip, lambda path: list(video.read_frames(path))])
    def test_not_a_clip(self, tmp_path, capfd, content, message, read):
        (tmp_path / "a.mp4").write_bytes(content)
        with pytest.raises(ValueError, match=rf"a\.mp4: {message}"):
            read(tmp_path / "a.mp4")
        assert capfd.readouterr() == ("", "")

    def test_half_a_clip(self, clip):
        data = clip.read_bytes()
        clip.write_bytes(data[: len(data) // 2])
        with pytest.raises(ValueError, match=r"a\.mp4: damaged or not a clip"):
            video.read_clip(clip)

    def test_sound_alone(self, tmp_path):
        with av.open(str(tmp_path / "a.mkv"), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000)
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
            sound.sample_rate = 8000
            container.mux(stream.encode(sound))
        with pytest.raises(ValueError, match="only sound"):
            video.read_clip(tmp_path / "a.mkv")

    def test_missing_and_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            video.read_clip(tmp_path / "a.mp4")
        with pytest.raises(ValueError, match="is a folder, not a clip"):
            video.read_clip(tmp_path)

    @pytest.mark.parametrize(
        ("name", "frames", "fps", "message"),
        [
            ("a.mp4", [], 25, "without frames"),
            ("a.gif", smooth(2), 25, "unknown file type"),
            ("a.mp4", smooth(2), 0, "fps must be positive"),
            ("a.mp4", [smooth(1)[0], plain()[0]], 25, "of one size"),
            ("a.mp4", [smooth(1)[0] / 255], 25, "uint8"),
            ("a.mp4", [smooth(1)[0][..., 0]], 25, "uint8"),
        ],
    )
    def test_nothing_is_left_of_what_cannot_be_written(self, tmp_path, name, frames, fps, message):
        with pytest.raises(ValueError, match=message):
            video.write_clip(tmp_path / name, frames, fps)
        assert not list(tmp_path.iterdir())

    def test_what_was_there_survives_a_failure(self, clip):
        before = clip.read_bytes()

        def frames():
            yield smooth(1)[0]
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            video.write_clip(clip, frames(), 25)
        assert clip.read_bytes() == before
        assert list(clip.parent.iterdir()) == [clip]

    def test_without_pyav(self, clip, monkeypatch):
        monkeypatch.setitem(sys.modules, "av", None)
        for use in (video.read_clip, lambda path: video.write_clip(path, smooth(1), 25)):
            with pytest.raises(ValueError, match=r"pip install 'jaxcolor\[video\]'"):
                use(clip)
