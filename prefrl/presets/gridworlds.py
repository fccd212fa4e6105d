"""Gridworlds and other small environments of this package."""

from __future__ import annotations

from prefrl.config import (
    AgentConfig,
    EnvConfig,
    QueryConfig,
    RunConfig,
    RuntimeConfig,
    ScheduleConfig,
)
from prefrl.presets.preset import Preset

__all__ = ["GRIDWORLDS"]

_PENGUIN = RunConfig(
    env=EnvConfig("prefrl/PenguinIce-v0", num_envs=8, endless=False),
    agent=AgentConfig(
        "ppo",
        hyperparameters={
            "n_steps": 64,
            "batch_size": 128,
            "n_epochs": 10,
            "gamma": 0.9,
            "learning_rate": 1e-3,
        },
    ),
    queries=QueryConfig(segment_steps=10),
    schedule=ScheduleConfig(half_life_steps=10_000),
    runtime=RuntimeConfig(max_label_lag=20),
    labels=150,
    steps=20_000,
    eval_episodes=200,
)

GRIDWORLDS: dict[str, Preset] = {
    "penguin": Preset(_PENGUIN, "a penguin finds fish on slippery ice (PenguinIce, PPO)"),
}
