"""The rules of the house: who may import whom, what importing costs, what is public."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jaxcolor

ROOT = Path(jaxcolor.__file__).parent
# of the packages of the house, those that each may import; the command and the page may all
ALLOWED = {
    "transport": {"transport"},
    "image": {"image"},
    "recipes": {"recipes", "image", "transport"},
    "amortize": {"amortize", "image", "transport"},
}
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")}
GROUND = [path.name for path in ROOT.glob("*.py") if not path.name.startswith("__")]


def imported(path: Path) -> set[str]:
    """The second parts of `jaxcolor.x...` names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("jaxcolor.")}


@pytest.mark.parametrize("place", [*ALLOWED, *GROUND])
def test_arrows_point_down(place):
    here = ROOT / place
    files = [here] if here.is_file() else list(here.rglob("*.py"))
    assert files
    for path in files:
        assert imported(path) & PACKAGES <= ALLOWED.get(place, set()), path


def test_the_library_does_not_import_what_is_optional():
    code = (
        "import sys, jaxcolor; jaxcolor.transfer; jaxcolor.Lut;"
        "heavy = {'skimage', 'scipy', 'OpenImageIO', 'tqdm', 'optax'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_names_on_offer_are_the_ones_there_are():
    """The command reads them from a list that costs no jax."""
    from jaxcolor import recipes
    from jaxcolor.image import spaces

    assert tuple(spaces.SPACES) == recipes.SPACES
    assert set(recipes.DEFAULT_SPACE) == set(recipes.METHODS)
    assert set(recipes.DEFAULT_SPACE.values()) | set(recipes.LIGHTNESS) <= set(recipes.SPACES)


def test_every_public_name_exists_and_is_documented():
    assert set(jaxcolor.__all__) == {n for names in jaxcolor._HOME.values() for n in names}
    for name in jaxcolor.__all__:
        assert getattr(jaxcolor, name).__doc__, name
    assert set(jaxcolor.__all__) < set(dir(jaxcolor))
    # importing a submodule would hide a function of its name
    assert not set(jaxcolor.__all__) & {path.stem for path in ROOT.iterdir()}
    with pytest.raises(AttributeError, match="no attribute"):
        jaxcolor.nothing  # noqa: B018
