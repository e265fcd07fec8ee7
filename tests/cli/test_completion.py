"""The scripts that complete words, tried in the shells that are here."""

import shutil
import subprocess

import pytest

from jaxcolor.cli.completion import SHELLS
from jaxcolor.cli.main import COMMANDS

ASK = """
source {script}
COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); COMPREPLY=()
_shtab_jaxcolor jaxcolor "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

# what is typed, and what is offered
TYPED = {
    "the rest of a command": ("tra", ("transfer",)),
    "an option": ("transfer a.png --stre", ("--strength",)),
    "a value": ("transfer --look na", ("natural",)),
    "an action": ("lut a", ("apply",)),
    "a file": ("transfer pic", ("picture.png",)),
    "a file for an option": ("transfer a.png b.png -o pic", ("picture.png",)),
    "a folder, not a file": ("batch -o p", ("places",)),
    "a shell": ("completion z", ("zsh",)),
}


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(("typed", "offered"), TYPED.values(), ids=TYPED)
def test_bash_offers(done, tmp_path, typed, offered):
    (tmp_path / "picture.png").touch()
    (tmp_path / "places").mkdir()
    script = tmp_path / "script.sh"
    script.write_text(done("completion", "bash"))
    program = ASK.format(script=script, words=f"jaxcolor {typed}")
    asked = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert asked.stderr == ""
    assert tuple(word.rstrip("/ ") for word in asked.stdout.split()) == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_hears_of_every_command(done, shell):
    script = done("completion", shell)
    for name in COMMANDS:
        assert name in script
    assert "natural" in script


def test_an_unknown_shell(cli):
    answer = cli("completion", "zhs")
    assert answer.code == 2
    assert "did you mean 'zsh'" in answer.line
