"""Several processes find together what one finds alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxcolor import point_cloud, solve
from jaxcolor.cli.group import free_port

WORKER = Path(__file__).parent / "process.py"
# what is sent is looked at, not how fast it is computed: compiled with the least care
HASTY = {"XLA_FLAGS": "--xla_backend_optimization_level=0", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def found_by(count: int, folder: Path) -> list[dict[str, np.ndarray]]:
    port = free_port()
    files = [folder / f"{count}_{index}.npz" for index in range(count)]
    words = [sys.executable, WORKER]
    workers = [
        subprocess.Popen([*words, str(index), str(count), str(port), file], env=os.environ | HASTY)
        for index, file in enumerate(files)
    ]
    assert [worker.wait(300) for worker in workers] == [0] * count
    return [dict(np.load(file)) for file in files]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return found_by(1, tmp_path_factory.mktemp("alone"))[0]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.long)])
def test_together_as_alone(count, alone, tmp_path):
    for found in found_by(count, tmp_path):
        assert found["error"] <= 1e-4
        assert found.pop("steps") == alone["steps"]
        for name, array in found.items():
            if name != "error":
                np.testing.assert_allclose(array, alone[name], atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_the_readmes_script(tmp_path):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (script,) = re.findall(r"```py\n(.*?)```", readme, re.S)
    (tmp_path / "fit.py").write_text(script)
    rng = np.random.default_rng(0)
    x, y = rng.random((600, 3), np.float32), rng.random((500, 3), np.float32)
    np.savez(tmp_path / "colors.npz", x=x, y=y)
    words = [sys.executable, "fit.py", f"127.0.0.1:{free_port()}", "2"]
    workers = [
        subprocess.Popen([*words, str(index)], cwd=tmp_path, env=os.environ | HASTY)
        for index in range(2)
    ]
    assert [worker.wait(300) for worker in workers] == [0, 0]
    found = np.load(tmp_path / "potentials.npz")
    alone = solve(point_cloud(x), point_cloud(y), epsilon=8e-4)
    assert found["f"].shape == (600,)
    np.testing.assert_allclose(found["g"], alone.g, atol=1e-4)
