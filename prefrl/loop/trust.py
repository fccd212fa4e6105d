"""What a run folder may make this program execute: nothing, unless the user's own command trusts it.

A run folder may come from somebody else. Its settings can name modules, which are imported to be used; without trust
such a run is refused. What `prefrl train` is told on its command line is the user's own word, and needs no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefrl.config import RunConfig, to_json
from prefrl.config.registry import names_a_module
from prefrl.storage.run_dir import RunDir, RunDirError

__all__ = ["modules_named", "open_run"]

_KNOWN = ("gymnasium", "prefrl_envs", "ale_py", "prefrl", "prefrl_agents", "stable_baselines3")
"""packages that a run may name: importing them runs nothing that is not installed with prefrl"""


def open_run(path: Path | str, trust: bool = False) -> RunDir:
    """The run directory at ``path``, for commands that make its environment or its agent.

    Args:
        path: a run directory.
        trust: whether the user's command says that code that the run names may be executed.

    Raises:
        RunDirError: when there is no run, or it names modules and is not trusted.
    """
    run = RunDir.open(path)
    named = modules_named(run.config())
    if named and not trust:
        setting, value = named[0]
        raise RunDirError(
            f"{run.config_file} names a module to import, {setting} = {value!r}, which runs its code; if you trust "
            "whoever made this run, and the modules in the folder that you start from, pass --trust"
        )
    return run


def modules_named(config: RunConfig) -> list[tuple[str, str]]:
    """The settings that name modules other than prefrl's own and Gymnasium's: (name of the setting, value)."""
    return [(name, value) for name, value in _words(to_json(config), "") if _imports(name, value)]


def _words(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _words(part, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _words(part, f"{name}[{index}]")
    elif isinstance(value, str):
        yield name, value


def _imports(setting: str, value: str) -> bool:
    # An environment's id need not be a Python name: "my_env:My-v0".
    is_module = ":" in value if setting == "env.id" else names_a_module(value)
    return is_module and value.partition(":")[0].partition(".")[0] not in _KNOWN
