"""Presets of gridworlds and other small environments of this package."""

from __future__ import annotations

from dataclasses import replace

from prefrl.config import (
    AgentConfig,
    EnvConfig,
    QueryConfig,
    RewardConfig,
    RunConfig,
    RuntimeConfig,
    ScheduleConfig,
)
from prefrl.presets.preset import Preset

__all__ = ["GRIDWORLDS"]

_PPO = AgentConfig(
    "ppo",
    hyperparameters={
        "n_steps": 64,
        "batch_size": 128,
        "n_epochs": 10,
        "gamma": 0.9,
        "learning_rate": 1e-3,
        # A policy that becomes deterministic before the reward is right stops exploring.
        "ent_coef": 0.03,
    },
)
# In these grids the reward of a step depends only on the square, and the horizons are fixed, which leaks nothing.
_PENGUIN = RunConfig(
    env=EnvConfig("prefrl/PenguinIce-v0", num_envs=8, endless=False),
    agent=_PPO,
    queries=QueryConfig(segment_steps=10),
    schedule=ScheduleConfig(half_life_steps=10_000),
    runtime=RuntimeConfig(max_label_lag=20),
    labels=150,
    steps=20_480,
    eval_episodes=200,
)
_PENGUIN_A2C = replace(
    _PENGUIN,
    agent=AgentConfig("a2c", hyperparameters={"n_steps": 16, "gamma": 0.9, "learning_rate": 2e-3}),
    steps=40_960,
)
_PENGUIN_DQN = replace(
    _PENGUIN,
    agent=AgentConfig(
        "dqn",
        hyperparameters={
            "gamma": 0.9,
            "learning_rate": 1e-3,
            "learning_starts": 1000,
            "target_update_interval": 500,
            "train_freq": 1,
            "gradient_steps": 2,
            "batch_size": 64,
            "exploration_fraction": 0.5,
        },
    ),
)
_PENGUIN_PARTIAL = replace(_PENGUIN, env=EnvConfig("prefrl/PenguinIcePartial-v0", num_envs=8, endless=False))
# The oracle judges by the intended reward, as a person would; the reward written into the environment is not used.
_BOAT = replace(
    _PENGUIN,
    env=EnvConfig("prefrl/BoatRaceIntended-v0", num_envs=8, endless=False),
    # More than elsewhere; otherwise it keeps going back and forth at a corner.
    agent=replace(_PPO, hyperparameters={**_PPO.hyperparameters, "ent_coef": 0.1}),
    # Progress depends on square and action together, 64 numbers to learn: more labels, on shorter segments.
    queries=QueryConfig(segment_steps=5),
    labels=400,
    eval_episodes=20,
)
_VASE = replace(
    _PENGUIN,
    env=EnvConfig("prefrl/VaseIntended-v0", num_envs=8, endless=False),
    # There is nothing to farm here; an entropy bonus would leave it undecided beside the vase.
    agent=replace(_PPO, hyperparameters={**_PPO.hyperparameters, "ent_coef": 0.0}),
    # The ways around the vase matter only once the robot delivers: a constant label rate, on recent segments.
    queries=QueryConfig(segment_steps=10, window_segments=200),
    schedule=ScheduleConfig(kind="constant"),
    labels=300,
    eval_episodes=20,
)
_MOVING_DOT = replace(
    _PENGUIN,
    env=EnvConfig("prefrl/MovingDot-v0", num_envs=8, endless=False),
    reward=RewardConfig(batch_size=16, initial_epochs=60, epochs_per_update=10, learning_rate=5e-4),
    eval_episodes=20,
)
_CAPITAL = replace(
    _PENGUIN,
    env=EnvConfig("prefrl/RankedAnswers-v0", num_envs=8, endless=False),
    reward=RewardConfig(loss="margin"),
    queries=QueryConfig(segment_steps=1, items=5, batch=5),
    labels=40,
    steps=4096,
    eval_episodes=20,
)

GRIDWORLDS: dict[str, Preset] = {
    "penguin": Preset(_PENGUIN, "a penguin finds fish on slippery ice (PenguinIce, PPO)"),
    "penguin-a2c": Preset(_PENGUIN_A2C, "the same with A2C"),
    "penguin-dqn": Preset(_PENGUIN_DQN, "the same with DQN, its replay buffer relabelled"),
    "penguin-partial": Preset(_PENGUIN_PARTIAL, "the penguin sees only the squares around it"),
    "boat-race": Preset(_BOAT, "a boat learns to race, where it could farm a single checkpoint"),
    "vase": Preset(_VASE, "a robot learns to avoid a vase that its written reward ignores"),
    "moving-dot": Preset(_MOVING_DOT, "steer a dot to the middle, from pixels"),
    "capital": Preset(_CAPITAL, "ranked answers to a question, margin loss, five at a time"),
}
