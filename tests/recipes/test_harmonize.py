import jax.numpy as jnp
import numpy as np
import pytest

import jaxcolor
from jaxcolor.image import pixels
from jaxcolor.image.spaces import Srgb
from jaxcolor.recipes.harmonize import harmonize, maps_to_common
from jaxcolor.recipes.look import Look
from jaxcolor.recipes.score import sw2


@pytest.fixture(scope="module")
def four(photographs):
    from skimage import data

    small = [one[:90:2, :120:2] for one in (data.astronaut(), data.chelsea())]
    return [*(p[::2, ::2] for p in photographs), *small]


def spread(pictures) -> float:
    """Mean pairwise distance of a set."""
    gaps = [sw2(a, b) for i, a in enumerate(pictures) for b in pictures[:i]]
    return float(np.mean(gaps))


@pytest.mark.parametrize(
    ("method", "left"),
    [("sliced", 0.1), pytest.param("newton", 0.15, marks=pytest.mark.slow), ("gaussian", 0.5)],
)
def test_a_set_comes_together(four, method, left):
    results = harmonize(four, method=method)
    assert spread(results) < left * spread(four)
    for before, after in zip(four, results, strict=True):
        assert (before.shape, before.dtype) == (after.shape, after.dtype)


def test_the_common_look_is_between(four):
    """No picture's colours have further to go than to the other pictures, on average."""
    results = harmonize(four)
    there = np.mean([sw2(a, b) for a, b in zip(four, results, strict=True)])
    assert there < 0.8 * spread(four)


def test_weights_pull(four):
    pair = four[:2]
    results = harmonize(pair, weights=[1, 0])
    assert sw2(results[0], pair[0]) < 0.02
    assert sw2(results[1], pair[0]) < 0.1 * sw2(pair[1], pair[0])
    half = harmonize(pair, weights=[3, 1])
    assert sw2(half[1], pair[0]) < sw2(harmonize(pair, weights=[1, 3])[1], pair[0])


def test_strength_0_changes_nothing(four):
    for before, after in zip(four, harmonize(four, strength=0), strict=True):
        np.testing.assert_array_equal(before, after)


def test_any_mixture_of_kinds(four):
    """Grey stays grey, 16 bit and alpha are kept."""
    grey = four[0][..., 0].copy()
    deep = four[1].astype(np.uint16) * 257
    alpha = np.concatenate([four[2], np.full((*four[2].shape[:2], 1), 99, np.uint8)], -1)
    results = harmonize([grey, deep, alpha])
    assert [r.shape for r in results] == [grey.shape, deep.shape, alpha.shape]
    assert results[1].dtype == np.uint16
    assert (results[2][..., 3] == 99).all()


def test_maps_serve_other_pictures(four):
    maps = maps_to_common(four, method="gaussian")
    applied = [jaxcolor.apply(T, p) for T, p in zip(maps, four, strict=True)]
    for one, other in zip(applied, harmonize(four, method="gaussian"), strict=True):
        np.testing.assert_array_equal(one, other)


# several references


@pytest.mark.parametrize(
    "method",
    ["histogram", "reinhard", "gaussian", "sliced", pytest.param("newton", marks=pytest.mark.long)],
)
def test_several_references_give_what_lies_between(four, method):
    source, *references = four
    one, other = (jaxcolor.transfer(source, r, method=method) for r in references[:2])
    both = jaxcolor.transfer(source, references[:2], method=method)
    gap = sw2(one, other)
    assert sw2(both, one) < 0.8 * gap
    assert sw2(both, other) < 0.8 * gap
    # and with all weight on one it is that one
    alone = jaxcolor.transfer(source, Look(references[:2], [0, 1]), method=method)
    assert sw2(alone, other) < 0.1 * gap + 0.004


def test_one_reference_in_a_list_is_that_reference(four):
    np.testing.assert_array_equal(
        jaxcolor.transfer(four[0], [four[1]]), jaxcolor.transfer(four[0], four[1])
    )


def test_a_look_is_made_once(four, monkeypatch):
    from jaxcolor.recipes import look

    calls, made = [], look.barycenter.sliced
    monkeypatch.setattr(look.barycenter, "sliced", lambda *a, **k: calls.append(1) or made(*a, **k))
    common = Look(four)
    for picture in four:
        jaxcolor.fit(picture, common, method="sliced", bases=2)
    assert len(calls) == 1


def test_moments_of_a_look_are_the_gaussian_barycenter_s(four):
    space = Srgb()
    mean, covariance = Look(four[:2], [1, 3]).moments(space)
    flat = [p.reshape(-1, 3) / 255 for p in four[:2]]
    np.testing.assert_allclose(mean, 0.25 * flat[0].mean(0) + 0.75 * flat[1].mean(0), atol=1e-5)
    # fixed point of S = sum lambda (S^1/2 S_k S^1/2)^1/2
    root = power(covariance, 0.5)
    again = sum(
        lam * power(root @ np.cov(f.T, bias=True) @ root, 0.5)
        for lam, f in zip((0.25, 0.75), flat, strict=True)
    )
    np.testing.assert_allclose(again, covariance, atol=1e-4 * np.abs(covariance).max())


def power(matrix, exponent):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 0) ** exponent) @ vectors.T


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda p: harmonize(p[:1]), "two pictures or more, got 1"),
        (lambda p: harmonize(p, method="histogram"), "one of sliced, newton, gaussian"),
        (lambda p: harmonize(p, weights=[1, 2]), "4 pictures, 2 weights"),
        (lambda p: harmonize(p, weights=[1, -1, 0, 0]), "not all 0"),
        (lambda p: harmonize(p, weights=[0, 0, 0, 0]), "not all 0"),
        (lambda p: Look([]), "at least one picture"),
        (lambda p: jaxcolor.fit(p[0], p[1:], reference_mask=np.ones((3, 3))), "mask is of one"),
        (
            lambda p: jaxcolor.fit(p[0], Look(p[1:]), reference_mask=np.ones((3, 3))),
            "has its masks already",
        ),
    ],
)
def test_what_cannot_be_done_is_said(four, call, says):
    with pytest.raises(ValueError, match=says):
        call(four)


def test_masks_of_references_count(four):
    mask = np.zeros(four[1].shape[:2], np.float32)
    mask[:20] = 1
    masked = Look([pixels.view(four[1], mask), four[2]])
    cropped = Look([four[1][:20], four[2]])
    x = jnp.asarray(four[0].reshape(-1, 3) / np.float32(255))
    one, other = (jaxcolor.fit(four[0], look, method="gaussian")(x) for look in (masked, cropped))
    np.testing.assert_allclose(one, other, atol=1e-3)
