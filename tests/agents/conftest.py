"""An agent without a loop around it: its reward is one of its observations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from prefrl.config import AgentConfig
from prefrl.data.types import Segment
from prefrl.loop.agent import AgentServices
from prefrl.sb3 import PreferenceVecEnv
from prefrl_agents import SB3Agent
from prefrl_envs import EndlessEpisodes


class FirstEntryReward:
    """A reward that is the first entry of the observation, times its version."""

    def __init__(self, version: int = 1) -> None:
        self.version = version

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        assert self.version, "nobody asks before the first reward"
        return self.version * observations[..., 0].astype(np.float32)


class SteppedAgent(SB3Agent):
    """An agent with the part of the loop around it that collects, labels and learns in turn."""

    reward: Any
    segments: list[Segment]
    """all that were recorded"""

    def step(self) -> None:
        rollout = self.collect()
        self.segments.extend(rollout.recording.segments)
        self.label(rollout, self.reward)
        self.learn(rollout)


@pytest.fixture
def make_agent(tmp_path: Path) -> Callable[..., SteppedAgent]:
    """Agents of CartPole (PPO, A2C, DQN) or Pendulum (SAC); the folder is one for all unless said."""

    def make(
        algorithm: str = "ppo",
        reward: FirstEntryReward | None = None,
        total_steps: int = 400,
        seed: int = 0,
        folder: Path | None = None,
        env_id: str | None = None,
        relabel: bool = True,
        policy: str = "auto",
        overlap: bool = False,
        trust: bool = False,
        **hyperparameters: Any,
    ) -> SteppedAgent:
        env_id = env_id or ("Pendulum-v1" if algorithm == "sac" else "CartPole-v1")
        settings = SMALL.get(algorithm, {}) | hyperparameters
        config = AgentConfig(algorithm, policy, settings, relabel, overlap)
        inner = DummyVecEnv([lambda: EndlessEpisodes(Monitor(gym.make(env_id)))] * 2)
        venv = PreferenceVecEnv(inner, 5, env_id, seed)

        def evaluation_venv(num_envs: int) -> VecEnv:
            return DummyVecEnv([lambda: Monitor(gym.make(env_id))] * num_envs)

        agent = SteppedAgent(
            config,
            venv,
            AgentServices(answers=list, heartbeat=lambda state, detail: None, trust=trust),
            total_steps,
            seed,
            evaluation_venv,
            folder or tmp_path / "agent",
        )
        agent.reward, agent.segments = reward or FirstEntryReward(), []
        return agent

    return make


@pytest.fixture
def make_reward() -> Callable[..., FirstEntryReward]:
    return FirstEntryReward


SMALL: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 20, "batch_size": 20, "n_epochs": 2},
    "a2c": {"n_steps": 5},
    "dqn": {"learning_starts": 40, "buffer_size": 300, "batch_size": 16, "target_update_interval": 50},
    "sac": {"learning_starts": 40, "buffer_size": 300, "batch_size": 16, "policy_kwargs": {"net_arch": [8]}},
}


@pytest.fixture
def wrap_agent() -> Callable[..., SteppedAgent]:
    """Agents on environments of their own: (config, venv, reward, total steps, folder, trust)."""

    def make(
        config: AgentConfig,
        venv: PreferenceVecEnv,
        reward: Any,
        total_steps: int,
        folder: Path,
        trust: bool = False,
    ) -> SteppedAgent:
        services = AgentServices(answers=list, heartbeat=lambda state, detail: None, trust=trust)
        agent = SteppedAgent(config, venv, services, total_steps, 0, lambda _: venv, folder)
        agent.reward, agent.segments = reward, []
        return agent

    return make


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
