"""A studio that serves, and small pictures."""

from pathlib import Path

import pytest
from PIL import Image

from jaxcolor.studio import Limits

from studio.pages import left, page_at, serving  # isort: skip


@pytest.fixture(scope="session")
def pair(photographs, tmp_path_factory) -> list[Path]:
    """A JPEG of 60x40 and a PNG of 50x40: source, reference."""
    folder = tmp_path_factory.mktemp("pair")
    paths = [folder / "sea side.jpg", folder / "dusk.png"]
    source, reference = photographs
    Image.fromarray(source[::2, ::2]).save(paths[0], quality=95)
    Image.fromarray(reference[::2, ::2][:, :50]).save(paths[1])
    return paths


@pytest.fixture(scope="module")
def studio():
    """One of three pages, of little room."""
    limits = Limits(megabytes=1, megapixels=0.5, pictures=4, pages=3)
    with serving(limits) as (studio, address):
        yield studio, address


@pytest.fixture
def page(studio):
    """A page that has opened."""
    left(studio[0])
    with page_at(studio[1]) as one:
        yield one
