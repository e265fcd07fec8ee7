"""What the README says can be typed."""

import re
import shlex
from pathlib import Path

import pytest

from jaxcolor.cli import transfer
from jaxcolor.cli.main import build_parser
from jaxcolor.recipes import METHODS
from jaxcolor.recipes.styles import DEFAULT_LOOK, LOOKS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^jaxcolor (.*?)(?:\s+#.*)?$", README, re.M)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_parses(command):
    args = build_parser().parse_args(shlex.split(command))
    if args.command == "transfer":
        transfer.check_usage(args)


def test_there_are_commands_to_test():
    assert len(COMMANDS) >= 9
    told = {"transfer", "harmonize", "morph", "batch", "compare", "lut", "texture", "labels"}
    told |= {"palette", "video", "doctor", "studio"}
    assert {c.split()[0] for c in COMMANDS} == told


def test_the_defaults_are_the_ones_it_explains():
    assert f"`{DEFAULT_LOOK}` (default)" in README
    for name in (*LOOKS, *METHODS):
        assert f"`{name}`" in README


def test_python_examples_run(photographs, tmp_path, monkeypatch):
    import jax
    import jax.numpy as jnp
    import numpy as np

    import jaxcolor
    from jaxcolor import Measure
    from jaxcolor.recipes import portable

    source, reference = photographs
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len(blocks) == 4
    monkeypatch.chdir(tmp_path)
    portable.save("look.json", jaxcolor.fit(*photographs, method="mixture", components=3))
    points, other_points = (p.reshape(-1, 3)[:500] / 255 for p in photographs)
    stack = Measure(jnp.asarray(points.reshape(5, 100, 3)), jnp.full((5, 100), 0.01))
    names = {
        "jax": jax,
        "source": source,
        "reference": reference,
        "frame": source[:20],
        "x": points,
        "y": other_points,
        "a": np.full(500, 1 / 500),
        "mus": stack,
        "nus": stack,
        "key": jax.random.key(0),
    }
    for block in blocks:
        exec(block.replace('save("look.cube")', "size"), names)
    assert names["colors"].shape == (5, 3)
    assert names["result"].shape == source.shape
    assert names["slope"].shape == points.shape
    assert names["many"].f.shape == (5, 100)
    assert names["each"].f.shape == (8, 100)  # filled up, for eight devices
    np.testing.assert_allclose(names["same"].value, names["coupling"].value, rtol=1e-5)
    assert int(names["many"].info.status.max()) == int(names["warm"].info.status) == 0


def test_ci_runs_the_readmes_test_command():
    script = (ROOT / ".ci" / "run").read_text()
    assert "<!-- test command -->" in script
    assert README.count("<!-- test command -->") == 1
