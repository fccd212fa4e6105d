"""Presets of classic control tasks."""

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
    # Episodes end only at the time limit, which leaks nothing.
    env=EnvConfig("Pendulum-v1", num_envs=25, endless=False),
    agent=AgentConfig(
        "ppo",
        # Those of the RL Zoo, with small networks, larger batches and a larger, decaying learning rate: as good on the
        # true reward, in half the time. gamma is above the Zoo's .9, which swings up by detours and sometimes never.
        # Rollouts hold whole segments, so that the first queries need no extra steps.
        hyperparameters={
            "n_steps": 75,
            "batch_size": 375,
            "n_epochs": 6,
            "gamma": 0.95,
            "gae_lambda": 0.95,
            "learning_rate": "lin_5e-3",
            "use_sde": True,
            "sde_sample_freq": 4,
            "policy_kwargs": {"net_arch": [32, 32], "optimizer_kwargs": {"fused": True, "eps": 1e-5}},
        },
    ),
    # A small network, because 200 labels are few and the reward is a smooth function of three numbers.
    reward=RewardConfig(
        hidden=(32, 32), label_noise=0.02, batch_size=20, initial_epochs=40, epochs_per_update=15
    ),
    # Near the end most clips look alike, so many candidates are drawn to find informative pairs.
    queries=QueryConfig(segment_steps=25, candidates=30, batch=20),
    # Most labels come early, because the agent has to know its task long before its last step.
    schedule=ScheduleConfig(half_life_steps=5_000, initial_share=0.5, ends_at=0.7),
    # More than a batch of queries; otherwise the agent would wait for every fit.
    runtime=RuntimeConfig(max_label_lag=30),
)

_CARTPOLE = RunConfig(
    env=EnvConfig("CartPole-v1", num_envs=8, endless=True, termination_penalty=10.0),
    agent=AgentConfig(
        "ppo",
        # Many small updates: what ends a long episode only shows, and is only learned, once the agent is good.
        hyperparameters={
            "n_steps": 128,
            "batch_size": 128,
            "n_epochs": 10,
            "gamma": 0.99,
            "gae_lambda": 0.95,
            "learning_rate": "lin_2e-3",
        },
    ),
    # A fall shows in the observation before it, whatever the action. It has to cost more than all the small differences
    # between two falls; Bradley-Terry is satisfied with a few nats, a wide margin is not. Most answers are ties, from
    # which the adaptive L2 would choose a weight that leaves no slope for the few falls.
    reward=RewardConfig(
        hidden=(32, 32), members=5, use_actions=False, loss="margin", margin=10.0, l2=2e-3, adaptive_l2=False
    ),
    # Every fall is followed by a cart at rest in the middle, which must not be blamed for it. Most pairs have no fall
    # and tell little, so many candidates are drawn, from recent segments: how the agent falls changes as it learns.
    queries=QueryConfig(segment_steps=25, within_episodes=True, candidates=100, window_segments=240),
    schedule=ScheduleConfig(kind="constant", initial_share=0.25, ends_at=0.8),
    runtime=RuntimeConfig(max_label_lag=10),
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
