"""A run with a sampler, a loss and an oracle from the user's own module, named in the settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from prefrl.config import (
    AgentConfig,
    EnvConfig,
    OracleConfig,
    QueryConfig,
    RewardConfig,
    RunConfig,
    RuntimeConfig,
)
from prefrl.loop.environments import spaces_of
from prefrl.loop.validation import check_config
from prefrl.runtime.serial import SerialLauncher
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir
from prefrl.storage.versions import latest_version
from prefrl_agents.factory import build_agent

MODULE = """
def most_certain(candidates):
    return -candidates.member_returns.std(axis=0).sum(axis=-1)


def squared_error(returns, ranks, noise):
    return (returns.softmax(dim=-1)[..., 0] - (ranks[:, 0] < ranks[:, 1]).float()).square()


def shortest_way(query):
    return [1, 2] if query.segments[0].true_return >= query.segments[1].true_return else [2, 1]
"""

CONFIG = RunConfig(
    env=EnvConfig("prefrl/PenguinIce-v0", num_envs=2, endless=False),
    agent=AgentConfig("ppo", hyperparameters={"n_steps": 32, "batch_size": 32, "n_epochs": 1}),
    reward=RewardConfig(
        hidden=(16,), initial_epochs=5, epochs_per_update=2, loss="outside_run:squared_error"
    ),
    queries=QueryConfig(segment_steps=5, batch=4, sampler="outside_run:most_certain"),
    oracle=OracleConfig("outside_run:shortest_way"),
    runtime=RuntimeConfig("serial", max_label_lag=4),
    labels=12,
    steps=256,
    eval_episodes=1,
)


def test_a_run_takes_its_parts_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outside_run.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    check_config(CONFIG)
    run = RunDir.create(tmp_path / "run", CONFIG)
    run.write_specs(*spaces_of(CONFIG.env))
    Store.open(run.store, create=True).close()
    assert SerialLauncher(run, build_agent).launch() is not None
    with Store.open(run.store) as store:
        assert store.label_counts() == {"outside_run:shortest_way": 12}
        samplers = [store.query_record(number).sampler for number in store.query_ids()]
    assert samplers[:3] == ["uniform"] * 3, "the initial share of the labels, before there is a reward"
    assert set(samplers[3:]) == {"outside_run:most_certain"}
    latest = latest_version(run.reward)
    assert latest is not None
    assert latest[0] > 1


def test_a_missing_module_is_refused_before_any_work() -> None:
    oracle = OracleConfig("no_such_outside_module:judge")
    with pytest.raises(ValueError, match=r"oracle.kind: .*no_such_outside_module"):
        check_config(dataclasses.replace(RunConfig(), oracle=oracle))
