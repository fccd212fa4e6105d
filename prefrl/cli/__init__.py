"""The command line: ``prefrl COMMAND ...``.

Each command lives in a module of its own, loaded when it is called, so that ``prefrl --help`` answers at once.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "train": "train a preset, or any environment, from preferences",
    "resume": "go on with a run that was stopped or killed",
    "status": "show what each process of a run is doing, and what is wrong",
    "eval": "act in the ordinary environment and print the true return",
    "label": "compare clips of a run's agent, to teach it what you prefer",
    "play": "play an environment yourself, before you compare clips of it",
    "annotators": "estimate how reliable each annotator is",
    "watch": "show the agent acting, with predicted and true reward",
    "fit": "learn a reward from saved comparisons alone",
    "sft": "fine-tune a language model on demonstrations",
    "dpo": "teach a language model from rankings alone",
    "grpo": "train a language model on a reward of texts",
    "generate": "let a language model respond",
    "compare": "which of two language models responds better",
    "doctor": "check a run on texts for what goes wrong in practice",
    "presets": "list the presets",
    "export": "write a run's comparisons to plain files",
    "import": "read comparisons from such files into a run",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 failed, 2 wrong words, 130 interrupted.

    141 says, as the shell does, that whoever read the output (`head`, say) went away before its end.

    Args:
        arguments: the command and its options; None takes what a person typed, who may name modules of the current
            folder.
    """
    if arguments is None:
        _find_modules_in_current_folder()
    try:
        status = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The interpreter flushes once more on its way out, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _find_modules_in_current_folder() -> None:
    """Let ``--env my_env:My-v0`` work from the folder that holds my_env.py, however prefrl was started.

    The folder comes last, so that nothing in it takes the place of an installed module. ``python -P``, or
    PYTHONSAFEPATH, keeps it out, as it says.
    """
    try:
        folder = os.getcwd()
    except FileNotFoundError:  # removed meanwhile
        return
    if not getattr(sys.flags, "safe_path", False) and folder not in map(os.path.abspath, sys.path):
        sys.path.append(folder)


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if words[0] in ("-V", "--version"):
        from prefrl import __version__

        print(f"prefrl {__version__}")
        return 0
    command, rest = words[0], words[1:]
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
        # What is wrong with the input or the machine says so itself; its traceback would only hide it.
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
