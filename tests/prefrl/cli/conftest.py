"""A small finished run, and one that has only been created."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from prefrl.config import AgentConfig, EnvConfig, QueryConfig, RewardConfig, RunConfig, RuntimeConfig
from prefrl.loop.environments import spaces_of
from prefrl.runtime.serial import SerialLauncher
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir
from prefrl_agents.factory import build_agent

SMALL = RunConfig(
    env=EnvConfig("prefrl/PenguinIce-v0", num_envs=2, endless=False),
    agent=AgentConfig("ppo", hyperparameters={"n_steps": 32, "batch_size": 32, "n_epochs": 1}),
    # Every answer is trained on, whichever segments chance records.
    reward=RewardConfig(hidden=(16,), initial_epochs=5, epochs_per_update=2, validation_fraction=0.0),
    queries=QueryConfig(segment_steps=5, batch=4),
    runtime=RuntimeConfig("serial", max_label_lag=4),
    labels=12,
    steps=256,
    eval_episodes=1,
)


def set_up(path: Path, config: RunConfig) -> RunDir:
    """A run that `prefrl train` created and that was stopped before its first step."""
    run = RunDir.create(path, config)
    run.write_specs(*spaces_of(config.env))
    Store.open(run.store, create=True).close()
    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A finished run; tests do not write to it."""
    run = set_up(tmp_path_factory.mktemp("runs") / "penguin", SMALL)
    assert SerialLauncher(run, build_agent).launch() is not None
    return run


@pytest.fixture
def fresh(tmp_path: Path) -> RunDir:
    """A run with the same settings and another seed that has not begun."""
    return set_up(tmp_path / "fresh", dataclasses.replace(SMALL, seed=1))
