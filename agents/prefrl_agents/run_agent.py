"""The agent of a run, to look at it or to measure it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from prefrl.config import RunConfig
from prefrl.loop.environments import spaces_of
from prefrl.sb3.environments import evaluation_environments
from prefrl.storage.run_dir import RunDir, RunDirError
from prefrl_agents.saved_agent import load_agent

__all__ = ["check_environment_of", "load_run_agent", "make_evaluation_venv"]


def load_run_agent(run: RunDir, config: RunConfig, trust: bool = False) -> Any:
    """The SB3 model that was saved last, for acting.

    Raises:
        FileNotFoundError: when none was saved yet.
        RunDirError: when what was saved is damaged, or needs ``trust``.
    """
    is_script = config.runtime.launcher == "script"
    # A script builds its own agent, whatever its settings say of one; the saved agent describes itself.
    return load_agent(run.agent, None if is_script else config.agent.algorithm, trust)


def make_evaluation_venv(run: RunDir, config: RunConfig) -> Callable[[int], VecEnv]:
    """Makes a number of ordinary environments of a run; raises as `check_environment_of`."""
    check_environment_of(run, config)
    return evaluation_environments(config)


def check_environment_of(run: RunDir, config: RunConfig) -> None:
    """Raise RunDirError when a training script's environment cannot be made outside of it."""
    if config.runtime.launcher != "script":
        return
    way_out = "evaluate the agent in that script, which has its environment"
    try:
        specs = spaces_of(config.env)
    except ValueError as error:
        raise RunDirError(f"{run.path} was trained by a script: {error}; {way_out}") from error
    if specs != run.specs():
        raise RunDirError(
            f"{run.path} was trained by a script that wraps {config.env.id}: its agent observes and acts otherwise "
            f"than the environment does by itself; {way_out}"
        )
