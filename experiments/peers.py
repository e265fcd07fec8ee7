"""Other tools' colour transfer: one signature, each used as its own documentation shows.

A peer takes a source and a reference, (H, W, 3) uint8 RGB, and returns the source's colours
changed, uint8: clipped and rounded, never stretched to full range as some tools' own save does.
Random samples are those of NumPy's seed 0.

Those of the `bench` extra run here. Others get virtual environments of their own, DIR/<package>,
and run there through `peers_worker.py`; this module therefore imports nothing but NumPy until a
peer is called. `pip install` fills them: rio-hist; colorcast; color-transfer, with
opencv-python-headless; chromasoul-color-transfer (Python 3.12); colortransferlib (Python 3.12) with
--no-deps and numpy scipy opencv-python-headless open3d numba appdirs requests tqdm plyfile.
"""

import contextlib
import io
import itertools
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

Transfer = Callable[[np.ndarray, np.ndarray], np.ndarray]
SAMPLES = 500  # POT's colour examples fit on as many pixels


@dataclass(frozen=True)
class Peer:
    """A setting of another tool, and the distribution that has it."""

    package: str
    transfer: Transfer


class AbsentError(Exception):
    """A peer is installed neither here nor in an environment of its own."""


def color_matcher(source, reference, *, method):
    """Pictures in [0, 1], to which its floor of 1/255 belongs; 'mvgd' only when constructed with
    it (`transfer` would use 'mkl'), and only for pictures of one size."""
    from color_matcher import ColorMatcher

    if "mvgd" in method:
        reference = _resized(reference, source.shape)
    chosen = ColorMatcher(src=source / 255.0, ref=reference / 255.0, method=method)
    return _bytes(255 * chosen.main())


def python_color_transfer(source, reference, *, method, regrain=None):
    """BGR in and out; `regrain` is its smoothness."""
    from python_color_transfer.color_transfer import ColorTransfer

    tool = ColorTransfer()
    settings = {}
    if regrain is not None:
        tool.RG.smoothness = regrain
        settings = {"regrain": True}
    pictures = {"img_arr_in": source[..., ::-1], "img_arr_ref": reference[..., ::-1]}
    pictures = {name: np.ascontiguousarray(picture) for name, picture in pictures.items()}
    return getattr(tool, method)(**pictures, **settings)[..., ::-1]


def colortrans(source, reference, *, method):
    import colortrans as tool

    return getattr(tool, f"transfer_{method}")(source, reference)


def scikit_image(source, reference):
    from skimage.exposure import match_histograms

    return _bytes(match_histograms(source, reference, channel_axis=-1))


def pot(source, reference, *, method, samples=SAMPLES, **settings):
    """Fitted on random pixels in [0, 1]; others by POT's own out-of-sample extension."""
    import ot

    rng = np.random.default_rng(0)
    pixels = [picture.reshape(-1, 3) / 255.0 for picture in (source, reference)]
    some = pixels
    if samples:
        some = [rows[rng.integers(len(rows), size=samples)] for rows in pixels]
    fitted = getattr(ot.da, method)(**settings).fit(Xs=some[0], Xt=some[1])
    return _bytes(255 * fitted.transform(Xs=pixels[0]).reshape(source.shape))


def rio_hist(source, reference, *, space="RGB", proportion=1.0):
    """In LUV its conversion fails on photographs."""
    from rio_hist.match import histogram_match
    from rio_hist.utils import cs_forward

    bands = [
        cs_forward(np.ascontiguousarray(picture.transpose(2, 0, 1)), space)
        for picture in (source, reference)
    ]
    matched = np.stack([histogram_match(a, b, proportion) for a, b in zip(*bands, strict=True)])
    return _rio_rgb(matched, space)


def _rio_rgb(bands, space):
    """Its `cs_backward` wraps what is out of range around in uint8; so its conversion, clipped."""
    from rio_color.colorspace import ColorSpace, convert_arr

    if space != "RGB":
        bands = convert_arr(bands, src=ColorSpace[space.lower()], dst=ColorSpace.rgb)
    return _bytes(255 * bands.transpose(1, 2, 0))


def colorcast(source, reference, *, method, intensity=1.0):
    from colorcast.processing import blending, transfer_methods

    result = getattr(transfer_methods, method)(source, reference)
    original = source.astype(np.float32) / 255
    return _bytes(255 * blending.blend_images(original, result, intensity))


def chromasoul(source, reference, *, method):
    """BGR in and out; its samples are NumPy's global ones."""
    from color_transfer.libs import TransferFactory

    tool = TransferFactory.create(method)
    np.random.seed(0)  # noqa: NPY002
    tool.extract(np.ascontiguousarray(reference[..., ::-1]))
    return tool.transfer(np.ascontiguousarray(source[..., ::-1]))[..., ::-1]


def super_fast(source, reference):
    """BGR in and out; what it calls the source gives the colours."""
    from color_transfer import color_transfer

    return color_transfer(reference[..., ::-1].copy(), source[..., ::-1].copy())[..., ::-1]


def colortransferlib(source, reference, *, method, **options):
    from ColorTransferLib.ColorTransfer import ColorTransfer
    from ColorTransferLib.DataTypes.Image import Image

    np.random.seed(0)  # noqa: NPY002
    pictures = [Image(array=picture[..., ::-1]) for picture in (source, reference)]
    tool = ColorTransfer(*pictures, method)
    for name, value in options.items():
        tool.set_option(name, value)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        answer = tool.apply()
    if not answer or answer["status_code"]:
        raise RuntimeError(said.getvalue().strip() or answer["response"])
    return _bytes(255 * answer["object"].get_raw())


def _resized(picture, shape):
    from PIL import Image

    size = shape[1], shape[0]
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _bytes(values):
    return np.clip(np.rint(np.nan_to_num(values)), 0, 255).astype(np.uint8)


def _settings() -> Iterator[tuple[str, Peer]]:
    for method in ("default", "mkl", "mvgd", "hm", "reinhard", "hm-mkl-hm", "hm-mvgd-hm"):
        peer = partial(color_matcher, method=method)
        yield f"color-matcher {method}", Peer("color-matcher", peer)
    for method in ("mean_std_transfer", "lab_transfer", "pdf_transfer"):
        peer = partial(python_color_transfer, method=method)
        yield f"python-color-transfer {method}", Peer("python-color-transfer", peer)
    for smoothness in (0.1, 1, 10):
        peer = partial(python_color_transfer, method="pdf_transfer", regrain=smoothness)
        usual = "" if smoothness == 1 else f" {smoothness}"
        name = f"python-color-transfer pdf_transfer regrain{usual}"
        yield name, Peer("python-color-transfer", peer)
    for method in ("lhm", "pccm", "reinhard"):
        yield f"colortrans {method}", Peer("colortrans", partial(colortrans, method=method))
    yield "scikit-image match_histograms", Peer("scikit-image", scikit_image)
    yield from _pot_settings()
    for space, proportion in itertools.product(("RGB", "LAB", "LCH"), (0.5, 1.0)):
        peer = partial(rio_hist, space=space, proportion=proportion)
        yield f"rio-hist {space} {proportion:g}", Peer("rio-hist", peer)
    names = {
        "histogram": "match_histograms_multichannel",
        "meanstd": "color_transfer_meanstd",
        "lab": "color_transfer_lab",
    }
    for (name, method), intensity in itertools.product(names.items(), (0.25, 0.5, 0.75, 1.0)):
        peer = partial(colorcast, method=method, intensity=intensity)
        yield f"colorcast {name} {intensity:g}", Peer("colorcast", peer)
    for method in ("mean_std", "lab", "pdf", "lhm", "pccm", "emd", "sinkhorn"):
        peer = partial(chromasoul, method=method)
        yield f"chromasoul {method}", Peer("chromasoul-color-transfer", peer)
    yield "color-transfer", Peer("color-transfer", super_fast)
    yield from _colortransferlib_settings()


def _pot_settings() -> Iterator[tuple[str, Peer]]:
    """Those of POT's image examples, and one of less blur. Not MappingTransport with the
    Gaussian kernel: singular, or far off, where pixels coincide."""
    mapping = {"kernel": "linear", "mu": 1, "eta": 1e-8, "bias": True, "max_iter": 20}
    named = {
        "LinearTransport": {"method": "LinearTransport", "samples": None},
        "EMDTransport": {"method": "EMDTransport"},
        "SinkhornTransport 0.1": {"method": "SinkhornTransport", "reg_e": 0.1},
        "SinkhornTransport 0.01": {"method": "SinkhornTransport", "reg_e": 0.01},
        "MappingTransport": {"method": "MappingTransport", **mapping},
    }
    for name, settings in named.items():
        yield f"POT {name}", Peer("POT", partial(pot, **settings))


def _colortransferlib_settings() -> Iterator[tuple[str, Peer]]:
    """What needs no trained network and takes less than a minute per pair: not Chang03, Xiao09,
    Qian10, Grogan19."""
    spaces = {
        "Reinhard01": ("rgb", "lalphabeta", "cielab"),
        "Reinhard07": ("rgb", "lalphabeta", "cielab"),
        "Xiao06": ("rgb", "cielab"),
        "Pitie05": (None,),
    }
    for method, chosen in spaces.items():
        for space in chosen:
            options = {} if space is None else {"colorspace": space}
            peer = partial(colortransferlib, method=method, **options)
            name = f"colortransferlib {method} {space or ''}".strip()
            yield name, Peer("colortransferlib", peer)


PEERS: dict[str, Peer] = dict(_settings())


def results(
    name: str, pictures: list[tuple[np.ndarray, np.ndarray]], environments: Path | None = None
) -> list[tuple[np.ndarray | None, float]]:
    """What a peer makes of each pair, and its seconds of processor time; None where it fails.

    Raises:
        AbsentError: where its package is not to be found.
    """
    package = PEERS[name].package
    try:
        version(package)
    except PackageNotFoundError:
        return _elsewhere(name, pictures, _interpreter(package, environments))
    return timed(PEERS[name].transfer, pictures)


def timed(
    transfer: Transfer, pictures: list[tuple[np.ndarray, np.ndarray]]
) -> list[tuple[np.ndarray | None, float]]:
    """Each pair once, after a call that only imports and warms up; processor time."""
    warnings.filterwarnings("ignore")  # the peers' own
    _one(transfer, *pictures[0])
    return [_one(transfer, *pair) for pair in pictures]


def _one(transfer, source, reference):
    start = time.process_time()
    try:
        result = transfer(source.copy(), reference.copy())  # some write into what they are given
    except Exception as error:
        print(f"failed: {error}", file=sys.stderr)
        return None, float("nan")
    return result, time.process_time() - start


def _interpreter(package: str, environments: Path | None) -> Path:
    python = (environments or Path()) / package / "bin" / "python"
    if environments is None or not python.is_file():
        raise AbsentError(f"{package} is neither installed nor in an environment")
    return python


def _elsewhere(name, pictures, python):
    worker = Path(__file__).with_name("peers_worker.py")
    with tempfile.TemporaryDirectory() as place:
        given, made = Path(place) / "given.npz", Path(place) / "made.npz"
        np.savez(given, *[picture for pair in pictures for picture in pair])
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([python, worker, name, given, made], check=True, env=environment)
        with np.load(made) as stored:
            seconds, *found = stored.values()
    return [(r if r.size else None, float(t)) for r, t in zip(found, seconds, strict=True)]
