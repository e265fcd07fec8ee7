"""What the commands make of files: nothing in them is lost, whatever their kind."""

import jax
import numpy as np
import pytest
import tifffile
from image import camera
from image.profiles import display_p3
from image.samples import ramp
from PIL import Image

from jaxcolor.image import animation, files, raster
from jaxcolor.recipes import bands

QUICK = ("--method", "gaussian")


@pytest.fixture
def photograph(tmp_path):
    """As a phone stores it: on its side, Display P3."""
    path = tmp_path / "photograph.jpg"
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(ramp((50, 60, 3)))))
    stored.save(path, quality=98, exif=camera.exif(), icc_profile=display_p3())
    return path


@pytest.fixture
def cube(tmp_path):
    path = tmp_path / "same.cube"
    nodes = [f"{r} {g} {b}" for b in (0, 1) for g in (0, 1) for r in (0, 1)]
    path.write_text("LUT_3D_SIZE 2\n" + "\n".join(nodes) + "\n")
    return path


class TestKept:
    @pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
    def test_transfer(self, done, pair, photograph, tmp_path, suffix):
        """Of a turned photograph in Display P3."""
        out, other = tmp_path / f"out{suffix}", tmp_path / f"other{suffix}"
        done("transfer", photograph, pair[0], "-o", out, "--both", other, *QUICK)
        assert camera.told(out) == camera.expected()
        assert camera.THUMBNAIL not in out.read_bytes()
        back = files.read(out)
        assert back.profile == display_p3()
        assert back.pixels.shape == (50, 60, 3)
        assert files.read(other).exif is None

    def test_other_commands(self, done, pair, photograph, cube, tmp_path):
        table = tmp_path / "pairs.csv"
        table.write_text(f"source,reference,output\n{photograph},{pair[0]},batch.jpg\n")
        done("lut", "apply", photograph, cube, "-o", tmp_path / "lut.jpg")
        done("texture", "grain", photograph, photograph, "-o", tmp_path / "grain.jpg")
        done("batch", table, "-o", tmp_path / "folder", *QUICK)
        done("harmonize", photograph, pair[0], "-o", tmp_path / "folder", *QUICK)
        done("morph", photograph, pair[0], "-o", tmp_path / "folder", "--steps", "2", *QUICK)
        names = ["lut.jpg", "grain.jpg", "folder/batch.jpg", "folder/photograph.jpg",
                 "folder/photograph_02.jpg"]  # fmt: skip
        for name in names:
            assert camera.told(tmp_path / name) == camera.expected(), name
            assert files.read(tmp_path / name).profile == display_p3()

    def test_broken_exif(self, cli, pair, tmp_path):
        path = tmp_path / "a.jpg"
        Image.fromarray(ramp()).save(path, exif=b"Exif\0\0nonsense")
        answer = cli("transfer", path, pair[0], "-o", tmp_path / "out.jpg", *QUICK)
        assert answer.code == 0
        told = f"jaxcolor: warning: {path}: its EXIF data are broken, and left out\n"
        assert answer.err == told


class TestLight:
    """OpenEXR, -0.5 to 8, through the command."""

    @pytest.fixture
    def scene(self, tmp_path):
        """Dark, and ever lighter to the right; half below 0 in one corner."""
        rng = np.random.default_rng(0)
        base = np.geomspace(0.02, 4, 60)[None, :, None] * rng.uniform(0.5, 2, (40, 60, 3))
        pixels = (base + rng.normal(0, 0.01, base.shape)).astype(np.float32)
        pixels[:4, :4] = -0.5
        pixels[-4:, -4:] = 8
        files.write(tmp_path / "scene.exr", files.Picture(pixels, linear=True))
        return tmp_path / "scene.exr"

    @pytest.mark.parametrize(
        "how",
        [
            (),
            *(("--method", name) for name in ("gaussian", "histogram")),
            ("--method", "gaussian", "--smooth", "guided", "--gamut", "fade", "--dither"),
            ("--method", "gaussian", "--space", "lab"),
            pytest.param(("--look", "faithful"), marks=pytest.mark.slow),
            *(
                pytest.param(("--method", name), marks=pytest.mark.slow)
                for name in ("sliced", "reinhard", "newton", "exact", "mixture")
            ),
            pytest.param(("--method", "grid", "--blur", "0.2"), marks=pytest.mark.slow),
            # so little blur for so wide a range takes minutes
            pytest.param(("--method", "grid"), marks=pytest.mark.long),
        ],
        ids=" ".join,
    )
    def test_nothing_is_clipped(self, cli, pair, scene, tmp_path, load, how):
        """A brighter reference, itself beyond 1: lights stay beyond 8, darks below 0."""
        reference = files.read(scene)
        goal = tmp_path / "goal.exr"
        files.write(goal, files.Picture(reference.pixels[:, ::-1] * 3, linear=True))
        # reinhard warns that it ends further from the goal than it began
        assert cli("transfer", scene, goal, "-o", tmp_path / "out.exr", *how).code == 0
        result, before = load(tmp_path / "out.exr"), load(scene)
        assert result.dtype == np.float32
        assert np.isfinite(result).all()
        assert result.max() > 8
        assert result.min() < 0
        assert 1.5 < np.median(result) / np.median(before) < 6
        assert cli("transfer", scene, pair[1], "-o", tmp_path / "still.exr", *how).code == 0
        assert np.isfinite(load(tmp_path / "still.exr")).all()

    def test_unchanged_is_exact(self, done, pair, scene, tmp_path, load):
        done("transfer", scene, pair[1], "-o", tmp_path / "out.exr", "--strength", "0", *QUICK)
        assert np.array_equal(load(tmp_path / "out.exr"), load(scene))

    def test_batch(self, done, pair, scene, tmp_path, load):
        table = tmp_path / "pairs.csv"
        table.write_text(f"source,reference,output\n{scene},{scene},a.exr\n{pair[0]},{scene},b.png")
        done("batch", table, "-o", tmp_path / "folder", *QUICK)
        same = load(tmp_path / "folder" / "a.exr")
        assert np.allclose(same, load(scene), atol=2e-3)
        assert load(tmp_path / "folder" / "b.png").dtype == np.uint8

    def test_light_within_0_and_1_may_leave_it(self, done, scene, tmp_path, load):
        """1 is no end of it, as it is of encoded pictures."""
        dim = np.clip(files.read(scene).pixels, 0, 8) / 8
        files.write(tmp_path / "dim.exr", files.Picture(dim, linear=True))
        out = tmp_path / "out.exr"
        done("transfer", tmp_path / "dim.exr", scene, "-o", out, *QUICK)
        assert load(out).max() > 2
        table = tmp_path / "pairs.csv"
        table.write_text(f"source,reference,output\n{tmp_path / 'dim.exr'},{scene},a.exr\n")
        done("batch", table, "-o", tmp_path / "folder", *QUICK)
        assert np.array_equal(load(tmp_path / "folder" / "a.exr"), load(out))

    def test_infinite_light_is_refused(self, refused, pair, scene, tmp_path):
        pixels = files.read(scene).pixels.copy()
        pixels[3, 3] = np.inf
        files.write(tmp_path / "bad.exr", files.Picture(pixels, linear=True))
        line = refused("transfer", tmp_path / "bad.exr", pair[0], "-o", tmp_path / "out.exr")
        assert "NaN or infinite values" in line


class TestAnimations:
    @pytest.fixture
    def film(self, small, tmp_path):
        """A photograph over which a square moves, and a hole; four frames, three turns."""
        path, shown = tmp_path / "film.gif", []
        ground = np.asarray(Image.fromarray(small[0]).quantize(40).convert("RGB"))
        for k in range(4):
            frame = np.dstack([ground, np.full(ground.shape[:2], 255, np.uint8)])
            frame[5:15, 10 * k : 10 * k + 10, :3] = 250 - 60 * k
            frame[30:35, 10 * k : 10 * k + 10] = 0
            shown.append(frame)
        how = animation.Timing((60, 40), (100, 50, 200, 70), 3, None, True)
        animation.write(path, shown, how, np.concatenate(shown))
        return path

    @pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
    @pytest.mark.parametrize("how", [QUICK, ()], ids=["gaussian", "natural"])
    def test_one_map(self, done, pair, film, tmp_path, suffix, how):
        out = tmp_path / f"out{suffix}"
        text = done("transfer", film, pair[1], "-o", out, *how)
        assert text == f"{out}: 60x40, 4 frames\n"
        assert animation.timing(out) == animation.timing(film)
        before, after = (np.stack(list(animation.frames(path))) for path in (film, out))
        assert np.array_equal(before[..., 3], after[..., 3])
        still = (np.ptp(before, axis=0) == 0).all(-1)
        still[3:17] = still[28:37] = False  # around what moves the filter changes
        spread = np.ptp(after[:, still, :3].astype(int), axis=0)
        # a map of colours alone does not flicker at all, and hardly with smoothing
        assert spread.max() == 0 if how else spread.mean() < 4
        seen = before[..., 3] > 0
        goal = np.asarray(Image.open(pair[1])).reshape(-1, 3).mean(0)
        gaps = [np.abs(x[seen][:, :3].mean(0) - goal).max() for x in (before, after)]
        assert gaps[1] < 0.5 * gaps[0]

    def test_equals_the_map_of_a_still(self, done, pair, film, tmp_path, load):
        """By its LUT on one frame."""
        out, cube = tmp_path / "out.png", tmp_path / "out.cube"
        done("transfer", film, pair[1], "-o", out, "--lut", cube, "--lut-size", 65, *QUICK)
        frame = list(animation.frames(film))[2]
        Image.fromarray(frame).save(tmp_path / "frame.png")
        done("lut", "apply", tmp_path / "frame.png", cube, "-o", tmp_path / "still.png")
        gap = list(animation.frames(out))[2].astype(int) - load(tmp_path / "still.png")
        assert np.abs(gap[frame[..., 3] > 0]).max() <= 1

    def test_mask(self, done, pair, film, save, tmp_path):
        mask = np.zeros((40, 60), np.uint8)
        mask[:, 30:] = 255
        out = tmp_path / "out.png"
        done("transfer", film, pair[1], "-o", out, "--mask", save("mask.png", mask), *QUICK)
        for before, after in zip(animation.frames(film), animation.frames(out), strict=True):
            assert np.array_equal(before[:, :30], after[:, :30])
            assert (before[:, 30:] != after[:, 30:]).any()

    def test_what_is_refused(self, cli, refused, pair, film, tmp_path):
        line = refused("transfer", film, pair[1], "-o", tmp_path / "out.jpg")
        assert line.endswith("unknown file type; use one of .gif, .png, .webp")
        out = ("-o", tmp_path / "out.gif")
        for extra, word in (
            (("--both", tmp_path / "b.png"), "--both takes still pictures"),
            (("--smooth", "guided", "--rounds", "2"), "no --rounds"),
            (("--smooth", "guided", "--rematch"), "no --rematch"),
        ):
            answer = cli("transfer", film, pair[1], *out, *extra)
            assert answer.code == 2
            assert f"{film} is an animation" in answer.line
            assert word in answer.line
        assert "unknown file type" in refused("transfer", pair[0], pair[1], *out)

    def test_as_a_reference_it_is_its_first_frame(self, cli, pair, film, tmp_path):
        answer = cli("transfer", pair[0], film, "-o", tmp_path / "out.png", *QUICK)
        assert answer.code == 0
        assert answer.err.endswith(f"{film}: has 4 frames, of which the first is read\n")


class TestBands:
    """Satellite scenes: bands, gaps, a place on the map."""

    TAGS = (
        (33550, "d", 3, (10.0, 10.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 699_960.25, 5_300_040.0, 0.0), True),
        (34735, "H", 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
        (42113, "s", 0, "0", True),
    )

    def scene(self, path, seed=0, dtype="uint16", tags=TAGS, count=6, hole=0):
        rng = np.random.default_rng(seed)
        mixing = np.random.default_rng(7).normal(0, 1, (count, count)) * 200
        bands = 3000 + 1000 * seed + rng.normal(0, 1, (40, 50, count)) @ mixing
        bands[:5] = hole
        how = {"photometric": "minisblack", "planarconfig": "contig"}
        tifffile.imwrite(path, bands.astype(dtype), extratags=tags, **how)
        return bands.astype(dtype)

    @pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
    def test_all_bands(self, done, tmp_path, dtype):
        paths = [tmp_path / f"{name}.tif" for name in ("source", "reference", "out")]
        source, reference = (self.scene(path, k, dtype) for k, path in enumerate(paths[:2]))
        text = done("transfer", *paths[:2], "-o", paths[2], "--bands")
        assert text == f"{paths[2]}: 50x40, 6 bands of {dtype}, nodata 0\n"
        with tifffile.TiffFile(paths[2]) as tiff:
            for code, _, _, value, _ in self.TAGS:
                assert tiff.pages[0].tags[code].value == value
            # bands are no red, green and blue
            assert tiff.pages[0].photometric == tifffile.PHOTOMETRIC.MINISBLACK
            assert len(tiff.pages[0].extrasamples) == 5
        result = raster.read(paths[2]).bands
        assert np.array_equal(result, bands.transfer(source, reference, nodata=0))
        assert (result[:5] == 0).all()
        gap = result[5:].mean((0, 1)) - reference[5:].mean((0, 1))
        assert np.abs(gap).max() < 40

    def test_options(self, done, tmp_path):
        paths = [tmp_path / f"{name}.tif" for name in ("source", "reference", "out")]
        source, reference = (self.scene(path, k, tags=()) for k, path in enumerate(paths[:2]))
        how = ("--method", "sliced", "--strength", "0.5", "--seed", "3", "--blur", "0.1")
        done("transfer", *paths[:2], "-o", paths[2], "--bands", "--nodata", "0", *how)
        wanted = bands.transfer(
            source, reference, method="sliced", strength=0.5, key=jax.random.key(3), blur=0.1,
            nodata=0,
        )  # fmt: skip
        assert np.array_equal(raster.read(paths[2]).bands, wanted)

    def test_nan(self, done, refused, tmp_path):
        paths = [tmp_path / f"{name}.tif" for name in ("source", "reference", "out")]
        for k, path in enumerate(paths[:2]):
            self.scene(path, k, "float32", tags=(), hole=np.nan)
        command = ("transfer", *paths[:2], "-o", paths[2], "--bands")
        assert "holds NaN or infinite values; nodata (nan)" in refused(*command)
        assert done(*command, "--nodata", "nan").endswith("6 bands of float32, nodata nan\n")
        result = raster.read(paths[2]).bands
        assert np.isnan(result[:5]).all()
        assert np.isfinite(result[5:]).all()

    def test_without_it_only_the_picture_changes(self, cli, pair, tmp_path):
        path, out = tmp_path / "source.tif", tmp_path / "out.tif"
        source = self.scene(path)
        answer = cli("transfer", path, pair[0], "-o", out, *QUICK)
        assert answer.code == 0
        assert "are left as they are; --bands matches them too" in answer.err
        result = raster.read(out).bands
        assert np.array_equal(result[..., 3:], source[..., 3:])
        assert (result[..., :3] != source[..., :3]).any()

    def test_what_is_refused(self, cli, refused, pair, tmp_path):
        path, three = tmp_path / "source.tif", tmp_path / "three.tif"
        self.scene(path)
        self.scene(three, count=3)
        out = ("-o", tmp_path / "out.tif")
        assert "source has 6, reference 3" in refused("transfer", path, three, *out, "--bands")
        assert "is no TIFF file" in refused("transfer", path, pair[0], *out, "--bands")
        jpeg = ("-o", tmp_path / "out.jpg", "--bands")
        assert "unknown file type; use one of .tif" in refused("transfer", path, three, *jpeg)
        for extra, word in (
            (("--nodata", "0"), "--nodata goes with --bands"),
            (("--bands", "--nodata", "none"), "expected a number or nan"),
            (("--bands", "--smooth", "guided"), "not smooth"),
            (("--bands", "--look", "gentle"), "not look"),
            (("--bands", "--method", "grid"), "--bands takes --method histogram, gaussian"),
        ):
            answer = cli("transfer", path, path, *out, *extra)
            assert (answer.code, word in answer.line) == (2, True), answer.err
        answer = cli("transfer", path, path, path, *out, "--bands")
        assert (answer.code, "--bands takes one REFERENCE" in answer.line) == (2, True)

    def test_damaged(self, refused, tmp_path):
        path = tmp_path / "source.tif"
        self.scene(path)
        path.write_bytes(path.read_bytes()[:5000])
        line = refused("transfer", path, path, "-o", tmp_path / "out.tif", "--bands")
        assert "source.tif: " in line
