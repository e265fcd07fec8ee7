import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment

from jaxcolor.recipes.score import (
    Score,
    _quantiles,
    bures,
    directions,
    further,
    report,
    score,
    sw2,
    w2,
)

RNG = np.random.default_rng(0)


def plain_sw2(a, b):
    """The definition, pixel by pixel."""
    t = (np.arange(4096) + 0.5) / 4096
    pa, pb = (x.reshape(-1, 3) @ directions().T for x in (a, b))
    return np.sqrt(np.mean((np.quantile(pa, t, axis=0) - np.quantile(pb, t, axis=0)) ** 2))


@pytest.mark.parametrize("top", [3, 40, 256])  # many repeated colours, and few
def test_sw2_is_the_pixelwise_definition(top):
    a = RNG.integers(0, top, (50, 70, 3)).astype(np.uint8)
    b = RNG.integers(0, 200, (31, 47, 3)).astype(np.uint8)
    assert sw2(a, b) == pytest.approx(plain_sw2(a / 255, b / 255), rel=1e-6)


def test_sw2_of_floats_and_deep_pictures():
    a, b = RNG.uniform(0, 1, (2, 30, 40, 3)).astype(np.float32)
    assert sw2(a, b) == pytest.approx(plain_sw2(a, b), rel=1e-5)
    deep = np.rint(a * 65535).astype(np.uint16)
    assert sw2(deep, b) == pytest.approx(plain_sw2(a, b), rel=1e-3)


def test_sw2_of_published_results(shared_data):
    house, plain, mkl, idt = (
        shared_data(f"scotland_{name}.png") for name in ("house", "plain", "MKL", "IDT")
    )
    assert sw2(house, plain) == pytest.approx(0.1310, abs=1e-4)
    assert sw2(mkl, plain) == pytest.approx(0.0706, abs=1e-4)
    assert sw2(idt, plain) == pytest.approx(0.0057, abs=1e-4)
    figures = score(house, plain, mkl)
    assert figures.ssim == pytest.approx(0.928, abs=1e-3)
    assert figures.tv == pytest.approx(0.973, abs=1e-3)


def test_alpha_is_ignored():
    a = RNG.integers(0, 256, (20, 30, 4)).astype(np.uint8)
    b = RNG.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    assert sw2(a, b) == sw2(a[..., :3], b)
    grey = np.dstack([a[..., 0], a[..., 1]])
    assert sw2(grey, b) == sw2(a[..., 0], b)


def draw(image, seed):
    rows = image.reshape(-1, 3)
    count = min(1000, len(rows))
    return rows[np.random.default_rng(seed).choice(len(rows), count, replace=False)]


@pytest.mark.parametrize("size", [(1, 1), (9, 13), (40, 60)])
def test_w2_is_the_assignment_of_the_drawn_pixels(size):
    a, b = RNG.integers(0, 256, (2, *size, 3)).astype(np.uint8) / np.float32(255)
    b = np.sqrt(b)
    costs = np.sum((draw(a, 0).astype(float)[:, None] - draw(b, 1)[None]) ** 2, axis=2)
    theirs = np.sqrt(costs[linear_sum_assignment(costs)].mean())
    assert w2(a, b) == pytest.approx(theirs, rel=1e-5)
    assert w2(np.rint(a * 255).astype(np.uint8), b) == pytest.approx(theirs, rel=1e-5)


def test_w2_of_pictures_of_unequal_size():
    small, large = np.full((3, 4), 51, np.uint8), RNG.random((50, 60, 3))
    count = 12
    drawn = large.reshape(-1, 3)[np.random.default_rng(1).choice(3000, count, replace=False)]
    known = np.sqrt(np.sum((drawn - 0.2) ** 2, axis=1).mean())
    assert w2(small, large) == pytest.approx(known, rel=1e-5)
    assert w2(small, small) == 0


def test_bures_is_the_formula_with_matrix_roots():
    mix = [[0.5, 0.2, 0], [0.1, 0.6, 0.1], [0.3, 0, 0.6]]
    a, b = RNG.random((30, 40, 3)) @ mix, RNG.random((9, 7, 3))
    A, B = (np.cov(x.reshape(-1, 3).T, ddof=0) for x in (a, b))
    root = sqrtm(A)
    known = np.sum((a.mean((0, 1)) - b.mean((0, 1))) ** 2)
    known += np.trace(A + B - 2 * sqrtm(root @ B @ root)).real
    assert bures(a, b) == pytest.approx(np.sqrt(known), rel=1e-5)
    assert bures(a, a) == pytest.approx(0, abs=1e-7)
    wide = np.concatenate([a, a * 3 - 1])
    assert bures(wide, b) == bures(np.clip(wide, 0, 1), b)  # as sw2: clipped before measuring


# of the source untouched, and of published results
MEASURES = "sw2", "ssim", "tv", "w2", "bures", "gradient"
PUBLISHED = {
    "house": (0.1310, 1, 1, 0.251, 0.1932, 1),
    "MKL": (0.0706, 0.928, 0.973, 0.160, 0.0001, 0.942),
    "IDT": (0.0057, 0.778, 1.724, 0.053, 0.0047, 0.823),
    "IDT_regrain": (0.0276, 0.961, 0.936, 0.078, 0.0259, 0.984),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_report_on_published_results(name, shared_data):
    house, plain = (shared_data(f"scotland_{n}.png") for n in ("house", "plain"))
    found = report(house, plain, shared_data(f"scotland_{name}.png"))
    figures = asdict(found)
    for measure, known in zip(MEASURES, PUBLISHED[name], strict=True):
        assert figures[measure] == pytest.approx(known, abs=6e-4), measure
    # the sky of IDT is grainy; nothing else here has artefacts
    assert (found.noise > 5) == (name == "IDT")
    assert found.clipped == (0 if name == "house" else pytest.approx(0.01, abs=0.015))
    assert abs(found.banding) < 0.01
    assert abs(found.blockiness) < 1e-3
    assert (found.delta_e == 0) == (name == "house")


def test_report_extends_score():
    source, reference, result = RNG.integers(0, 256, (3, 30, 40, 3)).astype(np.uint8)
    quick, full = score(source, reference, result), report(source, reference, result)
    assert isinstance(full, Score)
    figures = full.as_dict()
    assert list(figures.items())[:3] == list(quick.as_dict().items())
    assert figures == asdict(full)
    assert all(x is not None and x == round(x, 6) for x in figures.values())
    assert json.loads(json.dumps(figures)) == figures


def test_report_takes_any_channels_and_dtypes():
    source, reference, result = RNG.integers(0, 256, (3, 30, 40, 3)).astype(np.uint8)
    known = asdict(report(source, reference, result))
    alpha = RNG.integers(0, 256, (30, 40, 1)).astype(np.uint8)
    for other in (np.dstack([result, alpha]), result.astype(np.uint16) * 257, result / 255):
        assert asdict(report(source, reference, other)) == pytest.approx(known, abs=2e-5)
    grey = result[..., :1]
    known = asdict(report(source, reference, np.repeat(grey, 3, axis=2)))
    for other in (grey[..., 0], np.dstack([grey, alpha])):
        assert asdict(report(source, reference, other)) == pytest.approx(known, abs=2e-5)


def test_report_of_small_pictures_is_json():
    for size in [(1, 1), (1, 7), (6, 40), (9, 9)]:
        source, result = RNG.integers(0, 256, (2, *size, 3)).astype(np.uint8)
        figures = report(source, source, result).as_dict()
        json.dumps(figures, allow_nan=False)
        assert (figures["ssim"] is None) == (min(size) < 7)
        assert None not in (figures[name] for name in ("sw2", "w2", "bures", "clipped", "delta_e"))
    with pytest.raises(ValueError, match="sizes differ"):
        report(source, source, result[:5])


def test_quantiles_are_numpys():
    for values in (RNG.random(30000), RNG.integers(0, 5, 900) / 7, np.zeros(3), np.r_[0, 1e-9, 1]):
        counts = RNG.integers(1, 4, len(values)).astype(float)
        known = np.quantile(np.repeat(values, counts.astype(int)), (np.arange(4096) + 0.5) / 4096)
        np.testing.assert_allclose(_quantiles(values, counts), known, rtol=1e-12, atol=1e-15)


def test_further_is_sw2_s_verdict(photographs):
    """By a part of the pixels, and not for what a level more or less decides."""
    source, reference = photographs
    nearer = (source * 0.5 + reference.mean((0, 1)) * 0.5).astype(np.uint8)
    assert sw2(nearer, reference) < sw2(source, reference)
    assert not further(source, reference, nearer)
    assert further(nearer, reference, source)
    assert not further(source, reference, source)


def test_further_looks_at_opaque_pixels_alone(photographs):
    source, reference = photographs
    clear = np.dstack([source, np.zeros_like(source[..., :1])])
    clear[:, :30, :3], clear[:, :30, 3] = reference[:, :30], 255
    assert not further(source, reference, clear)
    assert further(clear, reference, source)
