"""Several processes find together what one finds alone."""

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

WORKER = Path(__file__).parent / "process.py"


def found_by(count: int, folder: Path) -> list[dict[str, np.ndarray]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    files = [folder / f"{count}_{index}.npz" for index in range(count)]
    workers = [
        subprocess.Popen([sys.executable, WORKER, str(index), str(count), str(port), str(file)])
        for index, file in enumerate(files)
    ]
    assert [worker.wait(300) for worker in workers] == [0] * count
    return [dict(np.load(file)) for file in files]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return found_by(1, tmp_path_factory.mktemp("alone"))[0]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_together_as_alone(count, alone, tmp_path):
    for found in found_by(count, tmp_path):
        assert found["error"] <= 1e-4
        assert found.pop("steps") == alone["steps"]
        for name, array in found.items():
            if name != "error":
                np.testing.assert_allclose(array, alone[name], atol=1e-5, err_msg=name)
