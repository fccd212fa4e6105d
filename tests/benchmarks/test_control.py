"""The suite on classic control: its commands and its report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stable_baselines3.common.vec_env import VecNormalize

from benchmarks.harness import Record
from benchmarks.harness.runs import start_agent
from benchmarks.harness.true_reward import train
from benchmarks.suites.control import suite as control
from prefrl.config import AgentConfig, EnvConfig, RunConfig, to_json


@pytest.fixture
def preset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_preset", lambda task: to_json(RunConfig()))


@pytest.mark.usefixtures("preset")
class TestJobs:
    def test_methods_of_a_seed_run_in_sequence(self) -> None:
        assert [job.name for job in control.jobs(3, quick=False)] == [
            *("pendulum/prefrl", "pendulum/ppo-true-reward", "pendulum/imitation"),
            *("cartpole/prefrl", "cartpole/ppo-true-reward", "cartpole/imitation"),
            "cartpole/imitation-fixed-horizon",
        ]

    def test_command(self) -> None:
        job = control.jobs(3, quick=False)[0]
        assert job.command[0] == sys.executable
        assert job.shown_command == (
            "python -m prefrl.cli train pendulum --labels 200 --steps 50000 --seed 3 "
            "--run benchmarks/.work/runs/control/pendulum-3"
        )
        assert job.scratch is not None
        assert str(job.scratch).endswith(job.command[-1])

    def test_all_methods_get_the_same_steps_labels_and_threads(self) -> None:
        for job in control.jobs(0, quick=False):
            assert job.config["steps"] == 50_000
            assert job.config.get("labels", 200) == 200
            assert job.env == dict.fromkeys(
                ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
            )

    def test_imitation_runs_in_its_virtual_environment(self) -> None:
        job = control.jobs(3, quick=False)[2]
        assert job.command[:2] == [
            "benchmarks/.work/imitation-venv/bin/python",
            "benchmarks/peers/imitation_control.py",
        ]
        assert job.prepare == control.IMITATION_VENV.ensure

    def test_config_does_not_contain_the_seed(self) -> None:
        hashes = [[job.config_hash for job in control.jobs(seed, quick=False)] for seed in (0, 1)]
        assert hashes[0] == hashes[1]
        assert hashes[0] != [job.config_hash for job in control.jobs(0, quick=True)]


def test_report(tmp_path: Path, finished: Callable[..., Record]) -> None:
    records = [
        finished(
            "control",
            job,
            seed,
            {"true_return_mean": score - seed, "steps_per_s": speed, "steps": 50_000},
            config={"labels": 200, "steps": 50_000},
        )
        for job, score, speed in (("pendulum/prefrl", -150, 3000), ("pendulum/imitation", -400, 750))
        for seed in range(4)
    ]
    control.report(records, tmp_path)
    text = (tmp_path / "control.md").read_text()
    assert (
        "| pendulum | prefrl | 4 | -152 | -153 to -150 | -152 | -153 | 50,000 | 3,000 | 4.00 (4.00 to 4.00) |"
        in text
    )
    assert "200 synthetic labels, 50,000 steps" in text
    assert "2 cores of abacus" in text
    assert (tmp_path / "control.png").stat().st_size > 0


class TestTrueReward:
    def test_agent_has_the_preset_hyperparameters(self) -> None:
        hyperparameters = {"n_steps": 16, "gamma": 0.5, "learning_rate": "lin_1e-3", "batch_size": 16}
        config = RunConfig(EnvConfig("CartPole-v1", num_envs=2), AgentConfig("ppo", "auto", hyperparameters))
        agent: Any = start_agent(config, seed=0)
        assert (agent.n_steps, agent.gamma, agent.n_envs) == (16, 0.5, 2)
        assert [agent.lr_schedule(left) for left in (1.0, 0.5, 0.0)] == [1e-3, 5e-4, 0.0]

    def test_normalizing_scales_rewards_only_and_discounts_like_the_agent(self) -> None:
        config = RunConfig(EnvConfig("CartPole-v1", num_envs=2), AgentConfig("ppo", "auto", {"gamma": 0.5}))
        venv: Any = start_agent(config, seed=0, normalize=True).get_env()
        assert isinstance(venv, VecNormalize)
        assert (venv.norm_obs, venv.norm_reward, venv.gamma) == (False, True, 0.5)

    def test_result(self) -> None:
        hyperparameters = {"n_steps": 16, "batch_size": 16, "n_epochs": 1, "clip_range": "lin_0.2"}
        preset = RunConfig(EnvConfig("CartPole-v1", num_envs=2), AgentConfig("ppo", "auto", hyperparameters))
        result = train(preset, steps=40, seed=0, episodes=2)
        assert result["steps"] == 64  # whole rollouts of 2 x 16
        assert result["episodes"] == 2
        assert result["true_return_mean"] >= 1
        assert result["steps_per_s"] == pytest.approx(result["steps"] / result["wall_s"])
