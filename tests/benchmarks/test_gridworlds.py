"""The suite on small environments: exact optima, its commands and its report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness import Record
from benchmarks.harness.true_reward import train
from benchmarks.suites.gridworlds import suite as gridworlds
from benchmarks.suites.gridworlds.optima import intended_return_of_written_optimum, optimal_return
from prefrl.config import AgentConfig, EnvConfig, RunConfig
from prefrl_envs.boat_race import BoatRace
from prefrl_envs.moving_dot import MovingDot
from prefrl_envs.penguin_ice import PenguinIce
from prefrl_envs.vase import START, Vase


class TestOptima:
    def test_optimal_return_is_by_the_intended_reward(self) -> None:
        assert optimal_return(BoatRace(horizon_steps=48)) == 48.0
        assert optimal_return(BoatRace(horizon_steps=48)) == BoatRace().optimal_return(intended=True)

    def test_optimal_return_of_an_environment_without_tables(self) -> None:
        env = MovingDot()
        assert optimal_return(env) == env.optimal_return()

    def test_farming_a_checkpoint_makes_no_progress(self) -> None:
        # The best of the policies that collect 24: from the 4 corners 2 squares ahead to a checkpoint, from the 4
        # squares before one 1 ahead, from the 4 behind one 1 back, and for these 8 a free last step 1 ahead; back
        # and forth in between. So (8 + 4 + 4 - 4 + 4) / 16, and the negative of it at worst.
        assert intended_return_of_written_optimum(BoatRace(horizon_steps=48)) == (-1.0, 1.0)

    def test_every_delivery_breaks_a_vase(self) -> None:
        env = Vase(horizon_steps=45)
        env.start = np.eye(len(env.start))[START]
        # 5 steps per delivery, so exactly 9 in 45 steps: each pays 1 - 4 * 0.05 and breaks one vase.
        assert env.optimal_return() == pytest.approx(9 * 0.8)
        low, high = intended_return_of_written_optimum(env)
        assert low == pytest.approx(9 * (0.8 - 2.0))
        assert high == pytest.approx(low)

    def test_range_is_the_optimum_where_the_written_reward_is_the_intended_one(self) -> None:
        env = PenguinIce()
        assert intended_return_of_written_optimum(env) == pytest.approx((env.optimal_return(),) * 2)


class TestJobs:
    def test_both_methods_of_a_task_run_in_sequence(self) -> None:
        names = [job.name for job in gridworlds.jobs(3, quick=False)]
        assert names[:2] == ["penguin/prefrl", "penguin/written-reward"]
        assert names[-2:] == ["vase/prefrl", "vase/written-reward"]
        assert len(names) == 16

    def test_commands(self) -> None:
        commands = {job.name: job.shown_command for job in gridworlds.jobs(3, quick=False)}
        assert commands["boat-race/prefrl"] == (
            "python -m prefrl.cli train boat-race --launcher serial --labels 400 --steps 20480 "
            "--eval-episodes 200 --seed 3 --run benchmarks/.work/runs/gridworlds/boat-race-3"
        )
        assert commands["boat-race/written-reward"] == (
            "python -m benchmarks.harness.true_reward boat-race --written prefrl/BoatRace-v0 --steps 20480 "
            "--episodes 200 --seed 3"
        )
        assert "--written" not in commands["penguin/written-reward"]

    def test_exact_optima_are_added_to_the_printed_result(self) -> None:
        job = next(job for job in gridworlds.jobs(0, quick=True) if job.name == "boat-race/written-reward")
        metrics = job.parse(json.dumps({"true_return_mean": 0.5, "optimal_return": None})).metrics
        assert metrics["true_return_mean"] == 0.5
        assert (metrics["optimal_return"], metrics["written_optimal_return"]) == (48.0, 24.0)


def test_report(tmp_path: Path, finished: Callable[..., Record]) -> None:
    boat = {
        "optimal_return": 48.0,
        "written_optimal_return": 24.0,
        "intended_return_of_written_optimum": [-1.0, 1.0],
    }
    known = {"labels": 400, "steps": 20_480, "episodes": 200}
    jobs = {
        "boat-race/prefrl": {"true_return_mean": 47.0, "written_return_mean": 12.0, **boat},
        "boat-race/written-reward": {"true_return_mean": 0.5, "written_return_mean": 24.0, **boat},
        "capital/prefrl": {"true_return_mean": 10.0, "optimal_return": 10.0},
    }
    records = [
        finished("gridworlds", job, seed, known | metrics)
        for job, metrics in jobs.items()
        for seed in range(3)
    ]
    gridworlds.report(records, tmp_path)
    text = (tmp_path / "gridworlds.md").read_text()
    assert "| boat-race | prefrl | 3 | 400 | 20,480 | 47 | 47 to 47 | 47 | 47 | 48 | 12 |" in text
    assert "| capital | prefrl | 3 | 400 | 20,480 | 10 | 10 to 10 | 10 | 10 | 10 | - |" in text
    assert (
        "- boat-race: the optimal policies by the written reward have a written return of 24 and a true "
        "return of -1 to 1.\n" in text
    )
    assert (tmp_path / "gridworlds.png").stat().st_size > 0


def test_agent_is_trained_on_the_written_reward_and_evaluated_on_both() -> None:
    agent = AgentConfig("ppo", hyperparameters={"n_steps": 8, "batch_size": 16, "n_epochs": 1})
    preset = RunConfig(EnvConfig("prefrl/VaseIntended-v0", num_envs=2, endless=False), agent)
    result = train(preset, steps=16, seed=0, episodes=3, written="prefrl/Vase-v0")
    assert result["env_id"] == "prefrl/VaseIntended-v0"
    # The same three episodes by both rewards, which differ by 2 for each step on the vase.
    broken = 3 * (result["written_return_mean"] - result["true_return_mean"]) / 2
    assert broken == pytest.approx(round(broken))
    assert broken >= 0
