"""Figures on textures, after Peyre's slides: spot noise, its geodesics and barycenters, clips."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from figures_common import cropped, show
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from skimage import data

from jaxcolor.recipes.texture import mix, mixes, synth
from jaxcolor.transport.spotnoise import analyse, random_phase

SIDE = 96  # of an exemplar
FRAMES, HEIGHT, WIDTH = 48, 96, 128  # of a clip


def exemplars() -> dict[str, np.ndarray]:
    """Crops (96, 96, 3) of photographs that are textures."""
    wood, tissue = data.coffee(), data.immunohistochemistry()
    grass = np.broadcast_to(data.grass()[: 2 * SIDE, : 2 * SIDE, None], (2 * SIDE, 2 * SIDE, 3))
    corners = {
        "wood": (wood, 250, 500),
        "tissue": (tissue, 64, 24),
        "stroma": (tissue, 296, 416),
        "cells": (tissue, 336, 266),
        "fur": (data.chelsea(), 0, 190),
    }
    crops = {
        name: picture[top : top + SIDE, left : left + SIDE]
        for name, (picture, top, left) in corners.items()
    }
    return crops | {"grass": cropped(np.ascontiguousarray(grass), SIDE, SIDE)}


def spot_noise() -> Figure:
    """Three textures, phases at random, and draws three times as wide."""
    names = "wood", "tissue", "stroma"
    figure, panels = plt.subplots(3, 3, figsize=(12.6, 7.6), width_ratios=(1, 1, 3))
    for row, name in zip(panels, names, strict=True):
        exemplar = exemplars()[name]
        model = analyse(jnp.asarray(exemplar, jnp.float32) / 255)
        show(row[0], exemplar, name)
        show(row[1], np.clip(random_phase(model, jax.random.key(1)), 0, 1), "random phases")
        wide = synth(exemplar, jax.random.key(0), (SIDE, 3 * SIDE))
        show(row[2], wide, f"spot noise, {SIDE} x {3 * SIDE} pixels")
    return figure


def geodesic() -> Figure:
    """From one texture to another: their geodesic keeps the contrast that a cross-fade loses."""
    crops = exemplars()
    first, second = crops["wood"], crops["stroma"]
    path = list(mixes(first, second, 5, jax.random.key(0)))
    ends = [synth(crop, jax.random.key(k)).astype(float) for k, crop in enumerate((first, second))]
    times = np.linspace(0, 1, 5)
    figure = plt.figure(figsize=(13.6, 4.1))
    mosaic = figure.subplot_mosaic([["<", *"01234", ">"], ["<", *"56789", ">"]])
    show(mosaic["<"], first, "wood")
    show(mosaic[">"], second, "stroma")
    for k, (t, picture) in enumerate(zip(times, path, strict=True)):
        faded = (1 - t) * ends[0] + t * ends[1]
        show(mosaic[str(k)], picture, f"geodesic, $t$ = {t:g}")
        show(mosaic[str(k + 5)], faded.astype(np.uint8), f"cross-fade, $t$ = {t:g}")
    return figure


def triangle(steps: int = 4) -> Figure:
    """Barycenters of three spot noises, all from the same noise."""
    crops = exemplars()
    three = [crops[name] for name in ("wood", "stroma", "grass")]
    corners = np.array([[0, 0], [steps, 0], [steps / 2, steps * np.sqrt(3) / 2]])
    figure, panel = plt.subplots(figsize=(9.6, 7.4))
    for i in range(steps + 1):
        for j in range(steps + 1 - i):
            weights = np.array([steps - i - j, i, j]) / steps
            tile = mix(three, jax.random.key(2), weights=list(weights))
            _placed(panel, tile, weights @ corners)
    away = np.array([[-1, 0], [1, 0], [0, 0.98]])
    for exemplar, place in zip(three, corners + away, strict=True):
        _placed(panel, exemplar, place)
        panel.text(place[0], place[1] + 0.46, "exemplar", ha="center", size=9)
    panel.autoscale_view()
    panel.set_aspect("equal")
    panel.axis("off")
    return figure


def _placed(panel: Axes, picture: np.ndarray, place: np.ndarray) -> None:
    x, y = place
    panel.imshow(picture, extent=(x - 0.42, x + 0.42, y - 0.42, y + 0.42))


def clips() -> dict[str, np.ndarray]:
    """Two clips (48, 96, 128, 3): waves on deep water, and embers that rise."""
    deep, foam = np.array([18, 62, 92]), np.array([142, 186, 196])
    soot, glow = np.array([62, 22, 16]), np.array([236, 150, 56])
    water = _moving(0, lambda ky, kx: 2.2 * np.hypot(ky, kx) ** 0.5, slope=-2.6)
    embers = _moving(1, lambda ky, kx: -2.5 * ky, slope=-2.4)
    return {
        "waves": _tinted(water, deep, foam, 0.9),
        "embers": _tinted(embers, soot, glow, 1.1),
    }


def _moving(seed: int, speed: Callable, slope: float) -> np.ndarray:
    """Random waves (T, H, W) of unit variance, each of angular frequency `speed` of its own."""
    rng = np.random.default_rng(seed)
    ky, kx = 2 * np.pi * np.fft.fftfreq(HEIGHT)[:, None], 2 * np.pi * np.fft.fftfreq(WIDTH)
    size = np.hypot(ky, kx)
    waves = (
        np.fft.fft2(rng.normal(size=(HEIGHT, WIDTH)))
        * np.where(size > 0.12, size + 0.05, 9) ** slope
    )
    turn = np.exp(1j * speed(ky, kx) * np.arange(FRAMES)[:, None, None])
    field = np.fft.ifft2(waves * turn).real
    return field / field.std()


def _tinted(field: np.ndarray, dark: np.ndarray, light: np.ndarray, crest: float) -> np.ndarray:
    """Between two colours, crests sharper than troughs."""
    share = (1 / (1 + np.exp(crest - 1.5 * field)))[..., None]
    return ((1 - share) * dark + share * light).astype(np.uint8)


def dynamic() -> Figure:
    """Two clips, draws like them, and their mixture: frames, and one row of pixels over time."""
    given = clips()
    first, second = given.values()
    rows = (
        given
        | {f"like {name}": synth(clip, jax.random.key(0)) for name, clip in given.items()}
        | {"between both": mix([first, second], jax.random.key(0))}
    )
    figure, panels = plt.subplots(5, 6, figsize=(13, 8.6))
    for line, (name, clip) in zip(panels, rows.items(), strict=True):
        for panel, k in zip(line[:5], range(0, FRAMES, 8), strict=False):
            show(panel, clip[k], f"{name}, frame {k}")
        show(line[5], clip[:, :, WIDTH // 2].transpose(1, 0, 2), "its middle column over time")
        line[5].set_aspect("auto")
    return figure
