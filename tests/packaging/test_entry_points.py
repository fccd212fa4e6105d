"""Each way into prefrl once: what `make newest-smoke` tries with the newest packages.

Every one runs in a process of its own, as warnings of other packages are no failures here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from prefrl.cli import COMMANDS

pytestmark = pytest.mark.slow

Run = Callable[..., CompletedProcess[str]]

CALLBACK = """
import prefrl
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

loop = prefrl.PreferenceCallback(oracle="synthetic", labels=10, run="run")
venv = loop.wrap(make_vec_env("Pendulum-v1", 2))
PPO("MlpPolicy", venv, n_steps=128, n_epochs=1).learn(512, callback=loop)
reward = prefrl.LearnedReward.load("run")
venv = prefrl.RewardVecEnv(make_vec_env("Pendulum-v1", 2), reward)
PPO("MlpPolicy", venv, n_steps=64, n_epochs=1).learn(128)
with prefrl.Store.open("run/store.sqlite") as store:
    print("labels", store.counts().labels)
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_prints_its_help(run: Run, console_script: str, command: str) -> None:
    assert f"prefrl {command}" in run(console_script, command, "--help").stdout


def test_the_packages_import(run: Run) -> None:
    run(
        sys.executable,
        "-c",
        "import prefrl, prefrl_envs, prefrl_agents; [getattr(prefrl, n) for n in prefrl.__all__]",
    )


def test_three_processes_train_a_penguin_which_is_then_evaluated_and_exported(
    run: Run, console_script: str, tmp_path: Path
) -> None:
    words = ("train", "penguin", "--steps", "1024", "--labels", "20", "--run", "run")
    result = json.loads(run(console_script, *words).stdout.splitlines()[-1])
    assert (result["steps"], result["labels"]) == (1024, 20)
    run(console_script, "status", "run")
    run(console_script, "eval", "run", "--episodes", "2")
    run(console_script, "export", "run", "out")
    assert len((tmp_path / "out" / "comparisons.jsonl").read_text().splitlines()) == 20


def test_a_picture_of_an_agent_is_drawn_without_a_screen(
    run: Run, console_script: str, tmp_path: Path
) -> None:
    words = ("train", "pendulum", "--steps", "2000", "--labels", "6", "--launcher", "serial", "--run", "run")
    run(console_script, *words)
    run(console_script, "watch", "run", "--gif", "agent.gif", "--steps", "20")
    assert (tmp_path / "agent.gif").read_bytes().startswith(b"GIF89a")


def test_a_language_model_learns_from_rankings(run: Run, console_script: str) -> None:
    words = (
        "train",
        "text-walks",
        "--steps",
        "400",
        "--labels",
        "12",
        "--launcher",
        "serial",
        "--run",
        "run",
    )
    assert json.loads(run(console_script, *words).stdout.splitlines()[-1])["labels"] == 12


def test_the_callback_and_the_reward_it_learned_train_agents_of_stable_baselines3(run: Run) -> None:
    assert run(sys.executable, "-c", CALLBACK).stdout.splitlines()[-1] == "labels 10"


@pytest.mark.parametrize(
    ("extra", "env"), [("atari", "prefrl/Pong-v0"), ("mujoco", "Hopper-v5")], ids=["atari", "mujoco"]
)
def test_environments_of_an_extra_are_trained_in(run: Run, console_script: str, extra: str, env: str) -> None:
    words = ("train", "--env", env, "--steps", "100", "--labels", "2", "--queries.segment-steps", "5")
    ppo = ("--agent.hyperparameters", '{"n_steps": 50, "batch_size": 50, "n_epochs": 1}')
    small = (*ppo, "--env.num-envs", "1", "--eval-episodes", "1", "--launcher", "serial", "--run", "run")
    assert json.loads(run(console_script, *words, *small).stdout.splitlines()[-1])["labels"] == 2
