"""The callback learns from comparisons only, in an environment whose reward depends on the action."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_util import make_vec_env

from prefrl import PreferenceCallback
from prefrl.config import QueryConfig, RewardConfig, RunConfig, ScheduleConfig
from prefrl.data.types import Query
from prefrl.oracles import ScriptedOracle

pytestmark = pytest.mark.slow

BEST = 0.5
TOLERANCE = 0.2
"""An action drawn uniformly from [-1, 1] lies this close to the best with probability 0.2, three of them with
0.008: passing on all three seeds rejects at the 1% level that the policy ends anywhere at random."""


class ActionIsReward(gym.Env[np.ndarray, np.ndarray]):
    """True reward -|action - 0.5|; a constant observation; episodes end at the time limit."""

    observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self) -> None:
        self.count = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.count += 1
        return np.zeros(1, np.float32), -abs(float(action[0]) - BEST), False, self.count == 20, {}


def config(seed: int) -> RunConfig:
    return RunConfig(
        labels=40,
        queries=QueryConfig(segment_steps=2),
        reward=RewardConfig(initial_epochs=100, epochs_per_update=40),
        schedule=ScheduleConfig(kind="constant", initial_share=0.5),
        seed=seed,
    )


def learn_ppo(loop: PreferenceCallback, seed: int, steps: int = 5000) -> float:
    venv = loop.wrap(make_vec_env(ActionIsReward, 4, seed=seed))
    model = PPO(
        "MlpPolicy", venv, n_steps=50, batch_size=50, gamma=0.0, learning_rate=1e-3, device="cpu", seed=seed
    )
    model.learn(steps, callback=loop)
    return act(model)


def act(model: Any) -> float:
    return float(model.predict(np.zeros(1, np.float32), deterministic=True)[0][0])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ppo_finds_the_preferred_action(seed: int, tmp_path: Path) -> None:
    action = learn_ppo(PreferenceCallback(run=tmp_path / "run", config=config(seed)), seed)
    assert abs(action - BEST) < TOLERANCE


def test_opposite_answers_teach_the_opposite(tmp_path: Path) -> None:
    def prefers_the_worse(query: Query) -> tuple[int, int]:
        first, second = (segment.true_return for segment in query.segments)
        return (1, 2) if first < second else (2, 1)

    loop = PreferenceCallback(ScriptedOracle(prefers_the_worse), run=tmp_path / "run", config=config(0))
    assert learn_ppo(loop, seed=0) < -0.8


def test_sac_learns_from_its_relabelled_buffer(tmp_path: Path) -> None:
    loop = PreferenceCallback(run=tmp_path / "run", config=config(0))
    venv = loop.wrap(make_vec_env(ActionIsReward, 4, seed=0))
    arguments = {
        "learning_starts": 400,
        "batch_size": 64,
        "gradient_steps": 4,
        "ent_coef": 0.01,
        "gamma": 0.0,
    }
    model = SAC(
        "MlpPolicy",
        venv,
        learning_rate=3e-3,
        policy_kwargs={"net_arch": [32]},
        device="cpu",
        seed=0,
        **arguments,
    )
    model.learn(2000, callback=loop)
    assert abs(act(model) - BEST) < TOLERANCE
