"""Run notebooks from top to bottom and keep their outputs, clean enough to commit.

    python notebooks/execute.py [NOTEBOOK ...] [--check]

With --check nothing is written; a cell that fails ends the run with its traceback.
"""

import argparse
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).parent
SECONDS = 600  # for one cell


def execute(path: Path) -> NotebookNode:
    """The notebook with the outputs of a fresh kernel, in its own folder."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    return client.execute()


def clean(notebook: NotebookNode) -> NotebookNode:
    """Without what tells of a machine: its kernel, cells' metadata, warnings (they name paths)."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = NotebookNode(kernelspec=kernel, language_info={"name": "python"})
    for cell in notebook.cells:
        cell.metadata = NotebookNode()
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(HERE.glob("*.ipynb")))
    parser.add_argument("--check", action="store_true", help="only see whether they run")
    args = parser.parse_args()
    for path in args.notebooks:
        notebook = clean(execute(path.resolve()))
        if not args.check:
            nbformat.write(notebook, path)
        print(f"{path}: {sum(cell.cell_type == 'code' for cell in notebook.cells)} cells run")


if __name__ == "__main__":
    main()
