"""The launcher of everything in one process: what it leaves behind, and how it stops."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from prefrl.config import AgentConfig, EnvConfig, QueryConfig, RewardConfig, RunConfig, RuntimeConfig
from prefrl.loop.environments import spaces_of
from prefrl.reward import RewardTrainer
from prefrl.runtime.serial import SerialLauncher
from prefrl.storage import Store
from prefrl.storage.metrics_file import read_metrics
from prefrl.storage.run_dir import RunDir
from prefrl.storage.versions import latest_version
from prefrl_agents.factory import build_agent

SMALL = RunConfig(
    env=EnvConfig("prefrl/PenguinIce-v0", num_envs=2, endless=False),
    agent=AgentConfig("ppo", hyperparameters={"n_steps": 32, "batch_size": 32, "n_epochs": 1}),
    reward=RewardConfig(hidden=(16,), initial_epochs=5, epochs_per_update=2),
    queries=QueryConfig(segment_steps=5, batch=4),
    runtime=RuntimeConfig("serial", max_label_lag=4),
    labels=12,
    steps=256,
    eval_episodes=1,
)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir.create(tmp_path / "run", SMALL)
    run.write_specs(*spaces_of(SMALL.env))
    Store.open(run.store, create=True).close()
    return run


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The launcher sets torch's threads; and no garbage may close what the launcher left open."""
    threads = torch.get_num_threads()
    gc.disable()
    yield
    gc.enable()
    torch.set_num_threads(threads)


def database_files(run: RunDir) -> list[str]:
    return sorted(path.name for path in run.path.glob("store.sqlite*"))


def test_a_finished_run_leaves_its_store_closed_and_records_its_last_step_once(run: RunDir) -> None:
    assert SerialLauncher(run, build_agent).launch() is not None
    assert database_files(run) == ["store.sqlite"]
    steps = [r["policy_step"] for r in read_metrics(run.metrics)[0] if r["source"] == "policy"]
    assert steps.count(256) == 1


def test_an_agent_that_cannot_be_built_leaves_the_store_closed(run: RunDir) -> None:
    def broken(run: RunDir, config: RunConfig, make_link: Any) -> Any:
        raise ValueError("no such agent")

    with pytest.raises(ValueError, match="no such agent"):
        SerialLauncher(run, broken).launch()
    assert database_files(run) == ["store.sqlite"]


def test_a_stop_ends_the_fit_between_two_epochs(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    train: Callable[..., Any] = RewardTrainer._train_epoch
    launcher = SerialLauncher(run, build_agent)
    epochs = 0

    def spy(self: RewardTrainer, *arguments: Any) -> Any:
        nonlocal epochs
        epochs += 1
        if epochs == 2:
            launcher.stop.set()
        return train(self, *arguments)

    monkeypatch.setattr(RewardTrainer, "_train_epoch", spy)
    assert launcher.launch() is None
    assert epochs == 2
    assert latest_version(run.reward) is None
    assert database_files(run) == ["store.sqlite"]
    assert SerialLauncher(run, build_agent).launch() is not None
    with Store.open(run.store) as store:
        assert store.counters()["reward_labels"] == 12
