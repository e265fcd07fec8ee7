"""From clip to clip: what changes, what is copied, what is left of failures."""

import threading
from fractions import Fraction

import av
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcolor.image import CODECS, video
from jaxcolor.image.encoding import encoding
from jaxcolor.image.frames import Painter
from jaxcolor.image.transcode import AHEAD, Coding, ahead, is_hdr, transcode
from jaxcolor.maps import Affine

IDENTITY = Affine(jnp.eye(3), jnp.zeros(3))
DARKER = Affine(jnp.eye(3) / 2, jnp.zeros(3))
WORDS = "1\n00:00:00,000 --> 00:00:01,000\nGood evening\n"


def by(color_map):
    def recolor(frames, layout):
        paint = Painter(layout)
        paint.use(color_map)
        for frame in frames:
            yield paint(frame)

    return recolor


def smooth(frames=6, size=(48, 64)):
    y, x = np.mgrid[: size[0], : size[1]] / max(size)
    waves = [np.stack([x, y, (x + y + t / frames) / 3], -1) for t in range(frames)]
    return [np.rint(255 * wave).astype(np.uint8) for wave in waves]


def make(path, codec="ffv1", layout="yuv420p", frames=None, times=None, sound=None, **tags):
    """A clip with all that a file can hold; returns its frames as stored."""
    frames = smooth() if frames is None else frames
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "A walk"
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = layout
        context = stream.codec_context
        context.time_base = Fraction(1, 1000)
        for name, value in {"colorspace": 1, "color_range": 1, **tags}.items():
            setattr(context, name, value)
        if sound:
            heard = container.add_stream(sound, rate=48000, layout="mono")
        for k, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            if not av.VideoFormat(layout).is_rgb:
                frame = frame.reformat(
                    format=layout, dst_colorspace=1, dst_color_range=1, interpolation=video.SCALING
                )
            frame.time_base = Fraction(1, 1000)
            frame.pts = 40 * k if times is None else times[k]
            container.mux(stream.encode(frame))
        if sound:
            wave = np.sin(np.arange(9600) / 20)[None]
            bytes_ = sound == "pcm_u8"
            wave = (wave * 99 + 128).astype(np.uint8) if bytes_ else wave.astype(np.float32)
            kind = "u8" if bytes_ else "fltp"
            packed = av.AudioFrame.from_ndarray(wave, kind, layout="mono")
            packed.sample_rate, packed.pts = 48000, 0
            container.mux(heard.encode(packed))
            container.mux(heard.encode(None))
        container.mux(stream.encode(None))


def packets(path, kind):
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size]


def planes(path):
    """What is stored of each frame, (planes, bytes)."""
    return [[bytes(plane) for plane in frame.planes] for frame in video.decoded(path)]


class TestNothingElseChanges:
    @pytest.mark.parametrize(
        "layout",
        ["yuv420p", "yuv422p", "yuv444p", "bgr0", "yuv420p10le", "yuv422p10le", "yuv444p10le"],
    )
    def test_the_identity_changes_no_code(self, tmp_path, layout):
        noise = np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3)).astype(np.uint8)
        make(tmp_path / "a.mkv", layout=layout, frames=list(noise))
        transcode(tmp_path / "a.mkv", tmp_path / "b.mkv", by(IDENTITY), Coding("ffv1"))
        for one, other in zip(planes(tmp_path / "a.mkv"), planes(tmp_path / "b.mkv"), strict=True):
            assert one == other

    def test_sound_times_and_names(self, tmp_path):
        times = [0, 40, 90, 100, 300, 1000]  # as telephones write them
        make(tmp_path / "a.mkv", sound="aac", times=times)
        copied = transcode(tmp_path / "a.mkv", tmp_path / "b.mkv", by(DARKER), Coding())
        assert copied == ["audio"]
        assert packets(tmp_path / "a.mkv", "audio") == packets(tmp_path / "b.mkv", "audio")
        seen = [round(1000 * frame.time) for frame in video.decoded(tmp_path / "b.mkv")]
        assert seen == times
        with av.open(str(tmp_path / "b.mkv")) as container:
            assert container.metadata["title"] == "A walk"

    def test_into_another_container(self, tmp_path):
        make(tmp_path / "a.mkv", sound="aac")
        transcode(tmp_path / "a.mkv", tmp_path / "b.mp4", by(DARKER), Coding())
        one, other = (packets(tmp_path / name, "audio") for name in ("a.mkv", "b.mp4"))
        assert [data for _, data in one] == [data for _, data in other]
        assert all(abs(a - b) < 0.01 for (a, _), (b, _) in zip(one, other, strict=True))
        assert video.frame_rate(tmp_path / "b.mp4") == 25

    def test_subtitles(self, tmp_path):
        make(tmp_path / "plain.mkv")
        (tmp_path / "words.srt").write_text(WORDS)
        with (
            av.open(str(tmp_path / "plain.mkv")) as pictures,
            av.open(str(tmp_path / "words.srt")) as words,
            av.open(str(tmp_path / "a.mkv"), "w") as container,
        ):
            both = pictures, words
            streams = [container.add_stream_from_template(one.streams[0]) for one in both]
            for source, stream in zip(both, streams, strict=True):
                for packet in source.demux(source.streams[0]):
                    if packet.dts is not None:
                        packet.stream = stream
                        container.mux(packet)
        kinds = transcode(tmp_path / "a.mkv", tmp_path / "b.mkv", by(DARKER), Coding())
        assert kinds == ["subtitle"]
        assert packets(tmp_path / "b.mkv", "subtitle")[0][1] == b"Good evening"

    def test_chapters_dispositions_and_further_streams(self, tmp_path):
        make(tmp_path / "plain.mkv", sound="aac")
        with (
            av.open(str(tmp_path / "plain.mkv")) as source,
            av.open(str(tmp_path / "a.mkv"), "w") as container,
        ):
            pairs = [(one, container.add_stream_from_template(one)) for one in source.streams]
            pairs.append((source.streams.video[0], container.add_stream_from_template(
                source.streams.video[0])))  # fmt: skip
            pairs[1][1].disposition = av.stream.Disposition.hearing_impaired
            chapter = {"id": 1, "start": 0, "end": 100, "time_base": Fraction(1, 1000)}
            container.set_chapters([chapter | {"metadata": {"title": "One"}}])
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = pairs[packet.stream.index][1]
                    container.mux(packet)
        with pytest.warns(UserWarning, match=r"a further stream of it \(video\) is left out"):
            transcode(tmp_path / "a.mkv", tmp_path / "b.mkv", by(DARKER), Coding())
        with av.open(str(tmp_path / "b.mkv")) as container:
            assert [one["metadata"]["title"] for one in container.chapters()] == ["One"]
            heard = container.streams.audio[0]
            assert av.stream.Disposition.hearing_impaired in heard.disposition

    def test_sound_that_does_not_fit_is_named(self, tmp_path):
        make(tmp_path / "a.mkv", sound="pcm_u8")
        with pytest.warns(UserWarning, match=r"its audio \(pcm_u8\) does not fit .* \.mkv takes"):
            assert transcode(tmp_path / "a.mkv", tmp_path / "b.mp4", by(DARKER), Coding()) == []
        assert len(planes(tmp_path / "b.mp4")) == 6

    def test_transparency_that_is_lost_is_named(self, tmp_path):
        make(tmp_path / "a.mkv", layout="yuva420p")
        with pytest.warns(UserWarning, match=r"a\.mkv: its transparency is left out"):
            transcode(tmp_path / "a.mkv", tmp_path / "b.mkv", by(DARKER), Coding())

    def test_fields_are_named(self, tmp_path):
        make(tmp_path / "a.mkv", codec="libx264", options={"x264-params": "tff=1"})
        with pytest.warns(UserWarning, match=r"a\.mkv: is interlaced"):
            transcode(tmp_path / "a.mkv", tmp_path / "b.mkv", by(DARKER), Coding())

    def test_what_frames_say_of_themselves(self, tmp_path):
        tags = {"colorspace": 9, "color_primaries": 9, "color_trc": 14, "color_range": 2}
        make(tmp_path / "a.mkv", codec="libx264", **tags)
        transcode(tmp_path / "a.mkv", tmp_path / "b.mp4", by(DARKER), Coding())
        with av.open(str(tmp_path / "b.mp4")) as container:
            context = container.streams.video[0].codec_context
            assert {name: int(getattr(context, name)) for name in tags} == tags

    def test_turned_clips_stay_turned(self, tmp_path):
        make(tmp_path / "a.mkv")
        with av.open(str(tmp_path / "turned.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.set_display_rotation(90)
            for frame in video.decoded(tmp_path / "a.mkv"):
                container.mux(stream.encode(frame.reformat(format="yuv420p")))
            container.mux(stream.encode(None))
        before = next(video.read_frames(tmp_path / "turned.mp4"))
        transcode(tmp_path / "turned.mp4", tmp_path / "b.mp4", by(IDENTITY), Coding(quality=1))
        after = next(video.read_frames(tmp_path / "b.mp4"))
        assert after.shape == before.shape == (64, 48, 3)
        assert np.abs(after.astype(int) - before).mean() < 1


class TestColors:
    @pytest.mark.parametrize("codec", CODECS)
    @pytest.mark.parametrize("layout", ["yuv420p", "yuv420p10le"])
    def test_every_codec(self, tmp_path, codec, layout, capfd):
        make(tmp_path / "a.mkv", layout=layout, frames=smooth(3, (64, 64)))
        out = tmp_path / f"b{CODECS[codec].suffixes[0]}"
        transcode(tmp_path / "a.mkv", out, by(DARKER), Coding(codec))
        expected = np.stack(list(video.read_frames(tmp_path / "a.mkv"))) / 2
        result, _ = video.read_clip(out)
        assert np.abs(result - expected).mean() < 1.5
        with av.open(str(out)) as container:
            deep = "10" in container.streams.video[0].codec_context.pix_fmt
        assert deep == ("10" in layout or codec == "prores")
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize(
        ("layout", "codec", "kept"),
        [
            ("yuv422p", "h264", "yuv422p"),
            ("yuv444p10le", "h264", "yuv444p10le"),
            ("yuv444p", "prores", "yuv444p10le"),
            ("yuv420p", "prores", "yuv422p10le"),
            ("yuv422p", "av1", "yuv420p"),
            ("bgr0", "h264", "yuv420p"),
        ],
    )
    def test_chroma_is_kept_where_the_codec_can(self, tmp_path, layout, codec, kept):
        make(tmp_path / "a.mkv", layout=layout, frames=smooth(2, (64, 64)))
        transcode(tmp_path / "a.mkv", tmp_path / "b.mkv", by(IDENTITY), Coding(codec))
        with av.open(str(tmp_path / "b.mkv")) as container:
            assert container.streams.video[0].codec_context.pix_fmt == kept
        one, other = (video.read_clip(tmp_path / name)[0] for name in ("a.mkv", "b.mkv"))
        assert np.abs(one.astype(int) - other).mean() < 2

    @pytest.mark.parametrize("size", [(33, 48), (31, 47)])
    def test_odd_sizes(self, tmp_path, size):
        make(tmp_path / "a.mkv", frames=smooth(3, size))
        transcode(tmp_path / "a.mkv", tmp_path / "b.mp4", by(DARKER), Coding(quality=1))
        expected = np.stack(list(video.read_frames(tmp_path / "a.mkv"))) / 2
        assert np.abs(video.read_clip(tmp_path / "b.mp4")[0] - expected).mean() < 1.5

    def test_quality_and_preset_reach_the_encoder(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
        make(tmp_path / "a.mkv", frames=list(noise))
        sizes = []
        for coding in (Coding(quality=5), Coding(quality=45), Coding(preset="placebo")):
            transcode(tmp_path / "a.mkv", tmp_path / "b.mp4", by(IDENTITY), coding)
            sizes.append((tmp_path / "b.mp4").stat().st_size)
        assert sizes[0] > 3 * sizes[1]
        with pytest.raises(ValueError, match="could not be written"):
            transcode(tmp_path / "a.mkv", tmp_path / "b.mp4", by(IDENTITY), Coding(preset="soon"))

    @pytest.mark.parametrize(
        ("layout", "wanted"),
        [
            ("yuv444p", "yuv420p"),
            ("yuv444p", "yuv422p"),
            ("yuv444p10le", "yuv420p10le"),
            ("yuv444p10le", "yuv422p10le"),
            ("rgb24", "yuv420p"),
            ("rgb48le", "yuv422p10le"),
        ],
    )
    def test_chroma_stays_in_its_place(self, layout, wanted):
        """On even columns: half a pixel to the side would be seen at edges."""
        ramp = np.repeat(np.linspace(60, 190, 64)[None], 16, 0)
        picture = np.stack([ramp, np.full_like(ramp, 120), 250 - ramp], -1)
        frame = av.VideoFrame.from_ndarray(np.rint(picture * 257).astype(np.uint16), "rgb48le")
        if layout != "rgb48le":
            how = {"dst_colorspace": 1, "dst_color_range": 1, "interpolation": video.SCALING}
            frame = frame.reformat(format=layout, **({} if layout == "rgb24" else how))
        paint = Painter(wanted)
        paint.use(IDENTITY)
        result = paint(frame)
        depth = result.format.components[0].bits
        chroma = np.frombuffer(result.planes[1], np.uint8 if depth == 8 else "<u2")
        chroma = chroma.reshape(result.planes[1].height, -1)[:, :32]
        matrix, offset = encoding(result).affine
        expected = (picture / 255 @ matrix[1] + offset[1])[8, ::2]
        stored = chroma[4] / 2 ** (depth - 8)
        assert np.abs(stored - expected)[2:-2].max() < (1 if depth == 8 else 0.5)

    @pytest.mark.parametrize("layout", ["nv12", "yuvj420p", "p010le", "gray", "yuv420p12le"])
    def test_other_layouts(self, layout):
        picture = smooth(1, (48, 64))[0]
        if layout == "gray":
            picture = np.repeat(picture[..., :1], 3, 2)
        how = {"dst_colorspace": 5, "interpolation": video.SCALING}
        frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=layout, **how)
        frame.colorspace = 5
        before = video.rgb(frame).astype(float)
        paint = Painter("yuv420p10le" if "1" in layout[2:] else "yuv420p")
        paint.use(DARKER)
        assert np.abs(video.rgb(paint(frame)) - before / 2).mean() < 1

    def test_high_dynamic_range_is_seen(self, tmp_path):
        make(tmp_path / "a.mkv", codec="libx264", color_trc=16)
        make(tmp_path / "b.mkv", codec="libx264", color_trc=1)
        assert is_hdr(tmp_path / "a.mkv")
        assert not is_hdr(tmp_path / "b.mkv")


class TestFailures:
    def test_what_breaks_on_the_way_is_raised_and_nothing_is_left(self, tmp_path):
        make(tmp_path / "a.mkv")
        (tmp_path / "b.mp4").write_text("old")
        transcode(tmp_path / "a.mkv", tmp_path / "c.mkv", by(IDENTITY), Coding())  # XLA's own
        (tmp_path / "c.mkv").unlink()
        before = threading.active_count()

        def recolor(frames, layout):
            yield from by(IDENTITY)((next(frames) for _ in range(2)), layout)
            raise ValueError("no more colours")

        with pytest.raises(ValueError, match="no more colours"):
            transcode(tmp_path / "a.mkv", tmp_path / "b.mp4", recolor, Coding())
        assert {path.name for path in tmp_path.iterdir()} == {"a.mkv", "b.mp4"}
        assert (tmp_path / "b.mp4").read_text() == "old"
        assert threading.active_count() == before

    def test_a_damaged_clip(self, tmp_path):
        make(tmp_path / "a.mp4", codec="libx264")
        data = (tmp_path / "a.mp4").read_bytes()
        (tmp_path / "a.mp4").write_bytes(data[: len(data) // 2])
        with pytest.raises(ValueError, match=r"a\.mp4: damaged or not a clip"):
            transcode(tmp_path / "a.mp4", tmp_path / "b.mp4", by(IDENTITY), Coding())
        assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]

    def test_a_clip_that_ends_early_is_named(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3)).astype(np.uint8)
        make(tmp_path / "a.mkv", frames=list(noise))
        data = (tmp_path / "a.mkv").read_bytes()
        (tmp_path / "a.mkv").write_bytes(data[: len(data) // 2])
        with pytest.warns(UserWarning, match=r"a\.mkv: cut short or damaged, 0\.. of 0\.8 seconds"):
            transcode(tmp_path / "a.mkv", tmp_path / "b.mkv", by(IDENTITY), Coding())


class TestAhead:
    def test_no_further_than_promised(self):
        asked = []

        def items():
            for k in range(100):
                asked.append(k)
                yield k

        gone_on = ahead(items())
        assert [next(gone_on), next(gone_on)] == [0, 1]
        gone_on.close()
        assert len(asked) <= 2 + AHEAD + 2

    def test_errors_come_in_their_place(self):
        def items():
            yield 1
            raise KeyError("two")

        gone_on = ahead(items())
        assert next(gone_on) == 1
        with pytest.raises(KeyError):
            next(gone_on)
