"""Classic control."""

from __future__ import annotations

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

__all__ = ["CONTROL"]

_PENDULUM = RunConfig(
    # Episodes end by the clock alone, which leaks nothing.
    env=EnvConfig("Pendulum-v1", num_envs=25, endless=False),
    agent=AgentConfig(
        "ppo",
        # As in the RL Zoo, with larger batches and steps: as good after 50,000 steps, and twice as fast.
        hyperparameters={
            "n_steps": 80,
            "batch_size": 500,
            "n_epochs": 6,
            "gamma": 0.9,
            "gae_lambda": 0.95,
            "learning_rate": 3e-3,
            "use_sde": True,
            "sde_sample_freq": 4,
        },
    ),
    # A small network: two hundred labels are few, and the reward is a smooth function of three numbers.
    reward=RewardConfig(hidden=(32, 32)),
    queries=QueryConfig(segment_steps=25),
    schedule=ScheduleConfig(half_life_steps=20_000, initial_share=0.4),
    runtime=RuntimeConfig(max_label_lag=20),
)

_CARTPOLE = RunConfig(
    env=EnvConfig("CartPole-v1", num_envs=8, endless=True, termination_penalty=10.0),
    agent=AgentConfig(
        "ppo",
        # A rate that does not fall: what ends a long episode is learned late.
        hyperparameters={
            "n_steps": 64,
            "batch_size": 256,
            "n_epochs": 20,
            "gamma": 0.99,
            "gae_lambda": 0.95,
            "learning_rate": 5e-4,
        },
    ),
    # A fall shows in what is observed before it, whatever the action. It has to cost more than all the small
    # differences between two falls; Bradley-Terry is content with a few nats, a wide margin is not.
    reward=RewardConfig(hidden=(32, 32), members=5, use_actions=False, loss="margin", margin=10.0),
    # Every fall is followed by a cart at rest in the middle, which must not take the blame. Most pairs have no fall
    # at all and tell little, so many are looked through for those that do, and recent ones: how the agent falls
    # changes as it learns.
    queries=QueryConfig(segment_steps=25, within_episodes=True, candidates=100, window_segments=240),
    schedule=ScheduleConfig(kind="constant", initial_share=0.1, ends_at=0.8),
    runtime=RuntimeConfig(max_label_lag=20),
)

_PENDULUM_SAC = RunConfig(
    env=EnvConfig("Pendulum-v1", num_envs=1, endless=False),
    agent=AgentConfig("sac", hyperparameters={"learning_rate": 1e-3, "learning_starts": 1000}),
    schedule=ScheduleConfig(half_life_steps=10_000),
    runtime=RuntimeConfig(max_label_lag=20),
    labels=150,
    steps=15_000,
)

CONTROL: dict[str, Preset] = {
    "pendulum": Preset(_PENDULUM, "swing a pendulum up and hold it (Pendulum-v1, PPO)"),
    "pendulum-sac": Preset(_PENDULUM_SAC, "the same with SAC, its replay buffer relabelled"),
    "cartpole": Preset(_CARTPOLE, "balance a pole without being told when it fell (CartPole-v1, PPO)"),
}
