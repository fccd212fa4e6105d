"""Presets of behaviours that no environment rewards. A scripted reward replaces a person; `--oracle human` asks one."""

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
from prefrl.presets.atari import ATARI
from prefrl.presets.control import CONTROL
from prefrl.presets.preset import Preset

__all__ = ["BEHAVIOURS"]

_PENDULUM = CONTROL["pendulum"].config
_SPIN = replace(
    _PENDULUM,
    env=replace(_PENDULUM.env, id="prefrl/PendulumSpin-v0"),
    # Spinning is seen at a glance, so a few minutes of labelling are enough.
    schedule=ScheduleConfig(half_life_steps=5_000, initial_share=0.3, ends_at=0.7),
    queries=replace(_PENDULUM.queries, batch=5),
    runtime=RuntimeConfig(max_label_lag=10),
    labels=60,
)

_FLIP = RunConfig(
    # Episodes end only at the time limit.
    env=EnvConfig("prefrl/HopperBackflip-v0", num_envs=16, endless=False),
    agent=AgentConfig(
        "ppo",
        hyperparameters={
            "n_steps": 256,
            "batch_size": 256,
            "n_epochs": 5,
            "gamma": 0.99,
            "gae_lambda": 0.95,
            "learning_rate": "lin_3e-4",
            "policy_kwargs": {"net_arch": [64, 64], "optimizer_kwargs": {"fused": True, "eps": 1e-5}},
        },
    ),
    reward=RewardConfig(
        hidden=(64, 64), label_noise=0.05, batch_size=32, initial_epochs=50, epochs_per_update=10
    ),
    # A clip of one second: long enough for most of a flip.
    queries=QueryConfig(segment_steps=60, candidates=10, batch=20),
    schedule=ScheduleConfig(half_life_steps=300_000, initial_share=0.15, ends_at=0.8),
    runtime=RuntimeConfig(max_label_lag=40),
    labels=900,
    steps=1_000_000,
)
_ONE_LEG = replace(
    _FLIP,
    env=replace(_FLIP.env, id="prefrl/CheetahOneLeg-v0", num_envs=4),
    agent=AgentConfig(
        "sac",
        hyperparameters={
            "learning_rate": 3e-4,
            "learning_starts": 3000,
            # Two updates per step of the four environments: half as many as usual, to save time.
            "train_freq": 1,
            "gradient_steps": 2,
            "policy_kwargs": {"net_arch": [256, 256]},
        },
    ),
    # Its steps are three times as long as the hopper's.
    queries=replace(_FLIP.queries, segment_steps=30),
    schedule=ScheduleConfig(half_life_steps=50_000, initial_share=0.15, ends_at=0.8),
    labels=800,
    steps=150_000,
)

_ENDURO = ATARI["enduro-fast"].config
_LEVEL = replace(
    _ENDURO,
    # A day in the game ends at a time limit.
    env=replace(_ENDURO.env, id="prefrl/EnduroLevel-v0", termination_penalty=0.0),
    labels=1300,
    steps=500_000,
)

BEHAVIOURS = {
    "pendulum-spin": Preset(
        _SPIN, "a pendulum that spins round and round, from 60 labels: five minutes of a person's time"
    ),
    "hopper-backflip": Preset(_FLIP, "a hopper that turns backflips, from 900 labels"),
    "cheetah-one-leg": Preset(
        _ONE_LEG,
        "a cheetah that should run on one leg, from 800 labels; so far it holds its front foot up part of the time",
    ),
    "enduro-level": Preset(
        _LEVEL, "a car that should stay level with other cars, from 1,300 labels; not yet learned"
    ),
}
