"""The `merf` command.

Each command is a function in a module of its own that imports what it needs when it runs, so that
`merf --help` answers at once.
"""

from __future__ import annotations

import importlib
import sys

COMMANDS: dict[str, str] = {
    "demo": "train with and without the rules in the prompt, side by side, and open the report",
    "train": "train a model on a task",
    "compare": "train several arms side by side and compare them",
    "score": "score a file of completions with a rulebook",
    "describe": "print a rulebook as a model reads it, in every style",
    "audit": "attack a rulebook before a policy does",
    "evaluate": "measure a trained model's limits, a judge's gullibility, or a model's confidence",
    "tasks": "list the tasks, or show problems of one",
    "methods": "list published methods, or explain one",
    "claims": "measure what methods are said to achieve",
    "lab": "build and inspect the lab's base models",
}
"""Command names and what they do. Command `x` is `merf.cli.x:main`, taking the arguments after its name."""


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {about}" for name, about in COMMANDS.items())
    return (
        "merf: reinforcement finetuning that tells the model the rules of the game\n\n"
        f"usage: merf COMMAND [OPTIONS]\n\n{lines}\n\n`merf COMMAND --help` explains a command."
    )


def main() -> None:
    """Entry point of the `merf` command."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return
    name, *rest = arguments
    if name == "--version":
        from merf import __version__

        print(__version__)
        return
    if name not in COMMANDS:
        import difflib

        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f" Did you mean `merf {near[0]}`?" if near else ""
        print(f"merf: there is no command {name!r}.{hint}\n\n{usage()}", file=sys.stderr)
        raise SystemExit(2)
    command = importlib.import_module(f"merf.cli.{name}")
    try:
        command.main(rest)
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        if "MERF_TRACEBACK" in __import__("os").environ:
            raise
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"merf {name}: {text}", file=sys.stderr)
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
