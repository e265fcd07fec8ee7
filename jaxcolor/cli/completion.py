"""`jaxcolor completion`: what a shell needs to know to complete our words."""

import argparse

from jaxcolor.cli.common import OneOf

SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")
FOLDERS = ("DIR", "FOLDER")
WORDS = ("HOST:PORT", "SHELL")  # neither files nor names that we know

WHERE = """where to put it:
  bash   jaxcolor completion bash > ~/.local/share/bash-completion/completions/jaxcolor
  zsh    jaxcolor completion zsh > _jaxcolor    in a folder of $fpath
  fish   jaxcolor completion fish > ~/.config/fish/completions/jaxcolor.fish
"""


def add(commands, name: str) -> None:
    parser = commands.add_parser(
        name,
        help="let your shell complete commands, options and files",
        description="Print the script that completes commands, options, their values and files.",
        epilog=WHERE,
    )
    parser.add_argument("shell", metavar="SHELL", type=OneOf(SHELLS, "shell"), help=_any(SHELLS))
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> None:
    import shtab

    from jaxcolor.cli.main import build_parser

    parser = build_parser()
    _explain(parser)
    print(shtab.complete(parser, args.shell))


def _any(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _explain(parser: argparse.ArgumentParser) -> None:
    """Say of each word of each command what it may be: a name, a folder, a file."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                _explain(each)
        elif isinstance(action.type, OneOf):
            action.choices = list(action.type.names)
        elif action.metavar in FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar and action.type is None and action.metavar not in WORDS:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
