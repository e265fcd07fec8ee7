"""Rasters of many bands: their joint distribution, their numbers, their gaps."""

import numpy as np
import pytest

from jaxcolor.recipes import bands
from jaxcolor.recipes.bands import BANDED, transfer

MEANS = np.array([900, 1200, 1000, 3500, 2600])


def scene(shape=(60, 50), dtype="uint16", seed=0, gain=1.0):
    """Five bands as a satellite has them: correlated, of unlike spread."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).normal(0, 1, (5, 5)) * [60, 80, 90, 400, 300]
    values = MEANS * gain + rng.normal(0, 1, (*shape, 5)) @ mixing
    return np.rint(values).astype(dtype) if np.dtype(dtype).kind in "ui" else values.astype(dtype)


def moments(raster):
    rows = raster.reshape(-1, raster.shape[-1]).astype(float)
    return rows.mean(0), np.cov(rows.T)


class TestDistribution:
    @pytest.mark.parametrize("method", [*BANDED[:4], *(
        pytest.param(name, marks=pytest.mark.slow) for name in BANDED[4:])])  # fmt: skip
    def test_comes_to_the_reference(self, method):
        source, reference = scene(), scene((40, 45), seed=1, gain=1.4) * 2
        result = transfer(source, reference, method=method)
        assert (result.dtype, result.shape) == (source.dtype, source.shape)
        (mean, cov), (wanted, other) = moments(result), moments(reference)
        spread = np.sqrt(np.diag(other))
        assert (np.abs(mean - wanted) < 0.1 * spread).all()
        # what is blurred, and known at 2,048 points of five dimensions, spreads less
        ratio = np.sqrt(np.diag(cov)) / spread
        assert (ratio > (0.9 if method in BANDED[:3] else 0.55)).all()
        assert (ratio < 1.1).all()

    def test_gaussian_is_exact_on_covariances(self):
        """Also between bands, which one map for each band would leave as they were."""
        source = scene(dtype="float64")
        turn = np.linalg.qr(np.random.default_rng(3).normal(0, 1, (5, 5)))[0]
        reference = scene((45, 50), "float64", seed=1) @ turn
        mean, cov = moments(transfer(source, reference))
        wanted, other = moments(reference)
        assert np.allclose(mean, wanted, rtol=1e-5)
        assert np.allclose(cov, other, atol=1e-3 * np.abs(other).max())
        alone = moments(transfer(source, reference, method="histogram"))[1]
        assert np.abs(alone - other).max() > 0.05 * np.abs(other).max()

    def test_strength(self):
        source, reference = scene(dtype="float32"), scene(seed=1, gain=2, dtype="float32")
        assert np.array_equal(transfer(source, reference, strength=0), source)
        half, whole = (transfer(source, reference, strength=s) for s in (0.5, 1))
        assert np.allclose(half, (source + whole.astype(float)) / 2, atol=0.01)

    def test_blur_and_key(self):
        import jax

        source, reference = scene(), scene(seed=1, gain=1.5)
        steep, smooth = (
            transfer(source, reference, method="sliced", blur=b).astype(float) for b in (0.01, 1)
        )
        assert np.abs(steep - smooth).mean() > 5
        again = transfer(source, reference, method="sliced", blur=0.01, key=jax.random.key(0))
        other = transfer(source, reference, method="sliced", blur=0.01, key=jax.random.key(1))
        assert np.array_equal(again, steep)
        assert not np.array_equal(other, steep)

    def test_one_band_and_tiles(self, monkeypatch):
        """(H, W), and more pixels than a tile has."""
        monkeypatch.setattr(bands, "TILE", 1000)
        source, reference = scene()[..., 3], scene(seed=1, gain=2)[..., 3]
        result = transfer(source, reference, method="histogram")
        assert result.shape == source.shape
        q = np.linspace(0, 100, 21)
        gap = np.percentile(result, q) - np.percentile(reference, q)
        assert np.abs(gap).max() < 0.01 * np.ptp(reference.astype(float))


class TestNumbers:
    @pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
    def test_dtype_is_kept(self, dtype):
        source, reference = scene() // 40, scene(seed=1, gain=1.3) // 40
        result = transfer(source.astype(dtype), reference.astype(dtype))
        assert result.dtype == dtype
        assert np.abs(result.astype(float).mean() - reference.mean()) < 1

    def test_ends_of_a_type(self):
        """What goes beyond is clipped, not wrapped around."""
        source, reference = scene(dtype="int16"), (scene(seed=1).astype(int) - 2500) * 25
        reference = reference.clip(-32768, 32767).astype("int16")
        result = transfer(source, reference)
        free = transfer(source.astype("float64"), reference)
        assert free.min() < -33_000
        assert free.max() > 33_000
        assert np.abs(result - free.clip(-32768, 32767)).max() <= 0.5
        assert (result.min(), result.max()) == (-32768, 32767)
        assert transfer(np.zeros((4, 5, 2), "uint8"), np.zeros((4, 5, 2), "uint8")).max() == 0


class TestNodata:
    @pytest.mark.parametrize(("dtype", "nodata"), [
        ("uint16", 0), ("int16", -9999), ("float32", -9999.0), ("float32", np.nan)])  # fmt: skip
    def test_takes_no_part_and_stays(self, dtype, nodata):
        """One band without a value is enough; nor do the reference's gaps count."""
        source, reference = scene(dtype=dtype), scene(seed=1, gain=1.5, dtype=dtype)
        whole = transfer(source[10:], reference[5:], nodata=nodata)
        source[:10] = nodata
        reference[:5] = nodata
        source[:10, ::2, 1:] = 77  # of these only the first band has none
        result = transfer(source, reference, nodata=nodata)
        assert np.array_equal(result[:10], source[:10], equal_nan=True)
        assert np.abs(result[10:].astype(float) - whole).max() <= 1
        assert np.isfinite(result[10:]).all()

    @pytest.mark.parametrize("own", [0, None])
    def test_the_reference_may_have_another(self, own):
        source, reference = scene(), scene(seed=1, gain=1.5)
        whole = transfer(source[10:], reference[5:])
        source[:10], reference[:5] = 0, 65535
        part = source if own == 0 else source[10:]
        result = transfer(part, reference, nodata=own, reference_nodata=65535)
        assert np.abs(result[-50:].astype(float) - whole).max() <= 1
        assert own is None or (result[:10] == 0).all()

    def test_nothing_becomes_nodata(self):
        dark = np.random.default_rng(0).integers(1, 4, (30, 40, 3)).astype(np.uint8)
        source = np.random.default_rng(1).normal(120, 30, (30, 40, 3)).clip(1, 255).astype(np.uint8)
        assert (transfer(source, dark) == 0).any()
        assert (transfer(source, dark, nodata=0) > 0).all()


class TestRefused:
    def test_what_makes_no_sense(self):
        source = scene(dtype="float32")
        for call, message in (
            (lambda: transfer(source, source[..., :3]), "source has 5, reference 3"),
            (lambda: transfer(source, source, method="grid"), "unknown method for bands 'grid'"),
            (lambda: transfer(source, source, blur=0.1), "gaussian has no blur"),
            (lambda: transfer(source, source, strength=2), "within 0..1, got 2"),
            (lambda: transfer(source * np.nan, source), "source: holds NaN"),
            (lambda: transfer(source, source * 0, nodata=0), "reference: no pixel holds a value"),
            (lambda: transfer(source[0, 0], source), r"got shape \(5,\)"),
            (lambda: transfer(source > 0, source), "expected integers or floats, got bool"),
        ):
            with pytest.raises(ValueError, match=message):
                call()
