"""Runs, their stores and their agents: the one module through which benchmarks use the inside of prefrl.

Jobs name a run by its folder. Where something inside prefrl changes its name or its signature, this is the file to
adapt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize

from prefrl.config import RunConfig
from prefrl.data.types import Evaluation
from prefrl.loop import OracleWorker, assemble
from prefrl.loop.environments import make_ordinary_environment, spaces_of
from prefrl.runtime.result import Result
from prefrl.runtime.result import read_result as read_run_result
from prefrl.sb3.environments import evaluation_environments
from prefrl.storage import Episode, Store, StoreError
from prefrl.storage.metrics_file import read_metrics
from prefrl.storage.run_dir import RunDir
from prefrl_agents import evaluate, load_run_agent, start_model

__all__ = [
    "RunProgress",
    "config_of",
    "create_run",
    "evaluate_agent",
    "has_result",
    "in_environment",
    "is_created",
    "log_folder",
    "new_labelled_run",
    "newest_agent",
    "open_store",
    "ordinary_environment",
    "progress",
    "read_result",
    "recorded_metrics",
    "start_agent",
    "store_file",
    "training_episodes",
    "try_open_store",
]

_ALL_EPISODES = 2**31


@dataclass(frozen=True)
class RunProgress:
    """How far a run is."""

    steps: int
    labels: int
    """in the store"""
    fitted_labels: int
    """that the learned reward has been fitted to"""


def create_run(path: Path, config: RunConfig) -> None:
    """Make the folder of a run, ready for ``prefrl resume``."""
    assemble.create_run(path, *assemble.check_run(config))


def is_created(path: Path) -> bool:
    """Whether the folder holds a run's settings."""
    return (path / "config.json").exists()


def has_result(path: Path) -> bool:
    """Whether the run has finished."""
    return RunDir(path).result.exists()


def read_result(path: Path) -> Result | None:
    """The result of a finished run; None before."""
    return read_run_result(RunDir(path))


def config_of(path: Path) -> RunConfig:
    """The settings of a run."""
    return RunDir.open(path).config()


def log_folder(path: Path) -> Path:
    """Where a run's processes write their logs."""
    return RunDir(path).logs


def store_file(path: Path) -> Path:
    """The SQLite file of a run."""
    return RunDir(path).store


def open_store(path: Path) -> Store:
    """The store of a run. Raises StoreError before the run has made it."""
    return Store.open(RunDir(path).store)


def try_open_store(path: Path) -> Store | None:
    """The store of a run; None before the run has made it."""
    try:
        return open_store(path)
    except StoreError:
        return None


def progress(path: Path) -> RunProgress:
    """Steps and labels of a run so far; zeros before its store is there."""
    store = try_open_store(path)
    if store is None:
        return RunProgress(0, 0, 0)
    with store:
        counters, labels = store.counters(), store.counts().labels
    return RunProgress(int(counters.get("policy_step", 0)), labels, int(counters.get("reward_labels", 0)))


def training_episodes(path: Path) -> list[Episode]:
    """The training episodes in the store of a run, oldest first; it keeps the newest 1000."""
    with open_store(path) as store:
        return list(store.recent_episodes(_ALL_EPISODES))


def recorded_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of a run's ``metrics.jsonl``, oldest first."""
    records, _ = read_metrics(RunDir(path).metrics)
    return records


@contextmanager
def new_labelled_run(path: Path, config: RunConfig) -> Iterator[tuple[Store, Callable[[], object]]]:
    """A new run without agent or reward: its store, and a function that asks the queries due by now.

    The queries are leased from the store and answered there.
    """
    run = assemble.create_run(path, config, spaces_of(config.env))
    with Store.open(run.store, create=True) as store:
        yield store, OracleWorker(run, store, config, None).step


def ordinary_environment(config: RunConfig) -> gym.Env[Any, Any]:
    """The environment that the agent is evaluated in, true rewards and episode ends shown."""
    return make_ordinary_environment(config.env)


def in_environment(config: RunConfig, env_id: str) -> RunConfig:
    """The same settings in another environment, such as one that pays another reward."""
    return replace(config, env=replace(config.env, id=env_id))


def start_agent(config: RunConfig, seed: int, *, normalize: bool = False) -> BaseAlgorithm:
    """A fresh agent with the settings' algorithm and hyperparameters, on the reward of its ordinary environment.

    Args:
        config: settings of a run.
        seed: of agent and environments.
        normalize: divide rewards by the running standard deviation of their returns. Hyperparameters tuned for a
            learned reward, which has a standard deviation of 1, do not fit rewards of another scale.
    """
    environments = evaluation_environments(config)(config.env.num_envs)
    if normalize:
        gamma = config.agent.hyperparameters.get("gamma", 0.99)
        environments = VecNormalize(environments, norm_obs=False, gamma=gamma)
    return start_model(config.agent, environments, seed)


def newest_agent(path: Path) -> BaseAlgorithm:
    """The newest saved agent of a run. Raises FileNotFoundError before there is one."""
    run = RunDir.open(path)
    return load_run_agent(run, run.config())


def evaluate_agent(agent: BaseAlgorithm, config: RunConfig, episodes: int, seed: int) -> Evaluation:
    """True returns in the ordinary environment of the settings, acting as the settings say.

    Args:
        agent: to evaluate.
        config: environment, and whether the agent acts deterministically.
        episodes: whole episodes.
        seed: the same seed gives the same episodes.
    """
    return evaluate(agent, evaluation_environments(config), episodes, seed, config.agent.deterministic)
