"""The command line: ``prefrl COMMAND ...``.

Each command has its own module, imported only when it is called, so that ``prefrl --help`` responds immediately.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "train": "train an agent from preferences, on a preset or any environment",
    "resume": "continue a run that was stopped or killed",
    "status": "show what each process of a run is doing, and any problems",
    "eval": "run a run's agent in the ordinary environment and print its true return",
    "label": "compare clips of a run's agent to teach it what you prefer",
    "play": "play an environment yourself before you compare clips of it",
    "annotators": "estimate how reliable each annotator is",
    "watch": "show the agent acting, with predicted and true reward",
    "fit": "learn a reward from saved comparisons, without an agent",
    "sft": "fine-tune a language model on demonstrations (SFT)",
    "dpo": "train a language model directly on rankings (DPO)",
    "grpo": "train a language model on a reward for texts (GRPO)",
    "generate": "sample responses from a language model",
    "compare": "measure which of two language models responds better",
    "doctor": "check a text run for common problems",
    "presets": "list the presets",
    "export": "write a run's comparisons to plain files",
    "import": "add exported comparisons to a run",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 failed, 2 wrong arguments, 130 interrupted.

    As in a shell, 141 means that the reader of the output, such as `head`, closed it early.

    Args:
        arguments: the command and its options; None reads ``sys.argv``, and modules in the current folder can then be
            imported.
    """
    if arguments is None:
        _find_modules_in_current_folder()
    try:
        status = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The interpreter flushes once more when it exits, and would report an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _find_modules_in_current_folder() -> None:
    """Let ``--env my_env:My-v0`` work from the folder that holds my_env.py, however prefrl was started.

    The folder comes last, so that nothing in it replaces an installed module. ``python -P`` and PYTHONSAFEPATH keep
    it out.
    """
    try:
        folder = os.getcwd()
    except FileNotFoundError:  # the folder has been removed
        return
    if not getattr(sys.flags, "safe_path", False) and folder not in map(os.path.abspath, sys.path):
        sys.path.append(folder)


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if arguments[0] in ("-V", "--version"):
        from prefrl import __version__

        print(f"prefrl {__version__}")
        return 0
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        near = [] if command.startswith("-") else difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean `prefrl {near[0]}`?" if near else "see `prefrl --help`"
        print(f"prefrl: there is no command {command!r}; {hint}", file=sys.stderr)
        return 2
    try:
        return importlib.import_module(f"prefrl.cli.{command}_command").main(rest)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        raise
    except (ImportError, ValueError, OSError, RuntimeError) as error:
        from prefrl.cli.missing_extra import missing_extra
        from prefrl_envs.extras import how_to_install

        extra = missing_extra(error)
        if isinstance(error, ImportError) and extra is None:
            raise
        # These messages explain what is wrong with the input or the machine; a traceback would only hide them.
        way_out = "" if extra is None else f"; {how_to_install(extra)}"
        print(f"prefrl {command}: {error}{way_out}", file=sys.stderr)
        return 1


def _help() -> str:
    lines = [f"  {name:<10} {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "prefrl: deep reinforcement learning from human preferences",
            "",
            "usage: prefrl COMMAND [--help] ...",
            "",
            *lines,
            "",
            "start with:  prefrl train pendulum",
        ]
    )
