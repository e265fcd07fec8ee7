"""The notebooks run, and what is committed of their outputs is fit for it."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LIMIT = 1_500_000  # bytes
# where a machine keeps its files; the bundled pictures of other libraries lie there too
ABSOLUTE = re.compile(r"(?<![\w.)])/(?:home|root|tmp|usr|opt|var|work|mnt|Users)/|[A-Z]:\\\\")

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def outputs(path: Path) -> list[nbformat.NotebookNode]:
    cells = nbformat.read(path, as_version=4).cells
    return [one for cell in cells if cell.cell_type == "code" for one in cell.outputs]


def test_there_are_notebooks():
    assert NOTEBOOKS


@each
def test_valid_small_and_of_no_machine(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.stat().st_size <= LIMIT
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert not cell.metadata, cell.source
    texts = [cell.source for cell in notebook.cells]
    texts += [one.get("text", "") for one in outputs(path)]
    texts += [one.data.get("text/plain", "") for one in outputs(path) if "data" in one]
    assert not [text for text in texts if ABSOLUTE.search(text)]


@each
def test_committed_as_run_once_from_top_to_bottom(path):
    code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert any("image" in kind for one in outputs(path) for kind in one.get("data", {}))
    assert not [one for one in outputs(path) if one.output_type == "error"]
    assert not [one for one in outputs(path) if one.get("name") == "stderr"]


@each
@pytest.mark.long
def test_runs(path):
    """In a process of its own: what the kernel's machinery warns of is not ours."""
    command = [sys.executable, FOLDER / "execute.py", "--check", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]
