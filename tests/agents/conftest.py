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
from prefrl.sb3 import PreferenceVecEnv
from prefrl_agents import SB3Agent
from prefrl_envs import EndlessEpisodes


class FirstEntryLink:
    """A loop whose reward is the first entry of the observation, times its version."""

    def __init__(self, version: int = 1) -> None:
        self.version = version
        self.syncs = 0
        self.beats: list[tuple[str, str]] = []

    def sync(self) -> None:
        self.syncs += 1

    def take_answers(self) -> list[Any]:
        return []

    def log_metrics(self, figures: dict[str, float]) -> None:
        self.figures = figures

    def beat(self, state: str, detail: str) -> None:
        self.beats.append((state, detail))

    def sync_if_due(self) -> None:
        self.syncs += 1

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray | None:
        return None if self.version == 0 else self.version * observations[..., 0].astype(np.float32)


@pytest.fixture
def make_agent(tmp_path: Path) -> Callable[..., SB3Agent]:
    """Agents of CartPole (PPO, A2C, DQN) or Pendulum (SAC); the folder is one for all unless said."""

    def make(
        algorithm: str = "ppo",
        link: FirstEntryLink | None = None,
        total_steps: int = 400,
        seed: int = 0,
        folder: Path | None = None,
        env_id: str | None = None,
        relabel: bool = True,
        policy: str = "auto",
        overlap: bool = False,
        trust: bool = False,
        **hyperparameters: Any,
    ) -> SB3Agent:
        env_id = env_id or ("Pendulum-v1" if algorithm == "sac" else "CartPole-v1")
        settings = SMALL.get(algorithm, {}) | hyperparameters
        config = AgentConfig(algorithm, policy, settings, relabel, overlap)
        inner = DummyVecEnv([lambda: EndlessEpisodes(Monitor(gym.make(env_id)))] * 2)
        venv = PreferenceVecEnv(inner, 5, env_id, seed)

        def evaluation_venv(num_envs: int) -> VecEnv:
            return DummyVecEnv([lambda: Monitor(gym.make(env_id))] * num_envs)

        return SB3Agent(
            config,
            venv,
            link or FirstEntryLink(),
            total_steps,
            seed,
            evaluation_venv,
            folder or tmp_path / "agent",
            trust,
        )

    return make


@pytest.fixture
def make_link() -> Callable[..., FirstEntryLink]:
    return FirstEntryLink


SMALL: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 20, "batch_size": 20, "n_epochs": 2},
    "a2c": {"n_steps": 5},
    "dqn": {"learning_starts": 40, "buffer_size": 300, "batch_size": 16, "target_update_interval": 50},
    "sac": {"learning_starts": 40, "buffer_size": 300, "batch_size": 16, "policy_kwargs": {"net_arch": [8]}},
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
