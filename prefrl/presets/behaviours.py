"""Behaviours that no environment pays for. A judge stands in for the person; `--oracle human` asks one."""

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
    # What goes round is told at a glance: a few minutes' labels do.
    schedule=ScheduleConfig(half_life_steps=5_000, initial_share=0.3, ends_at=0.7),
    queries=replace(_PENDULUM.queries, batch=5),
    runtime=RuntimeConfig(max_label_lag=10),
    labels=60,
)

_FLIP = RunConfig(
    # Episodes end by the clock alone.
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
    # A second of clip: long enough for most of a flip.
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
            # Two steps of learning for the four environments' one: half of what is usual, for the time it takes.
            "train_freq": 1,
            "gradient_steps": 2,
            "policy_kwargs": {"net_arch": [256, 256]},
        },
    ),
    # Its steps are three times as long.
    queries=replace(_FLIP.queries, segment_steps=30),
    schedule=ScheduleConfig(half_life_steps=50_000, initial_share=0.15, ends_at=0.8),
    labels=800,
    steps=150_000,
)

_ENDURO = ATARI["enduro-fast"].config
_LEVEL = replace(
    _ENDURO,
    # A day ends by the clock.
    env=replace(_ENDURO.env, id="prefrl/EnduroLevel-v0", termination_penalty=0.0),
    labels=1300,
    steps=500_000,
)

BEHAVIOURS = {
    "pendulum-spin": Preset(
        _SPIN, "a pendulum that goes round and round, from 60 labels: five minutes of a person"
    ),
    "hopper-backflip": Preset(_FLIP, "a hopper that turns backflips, from 900 labels"),
    "cheetah-one-leg": Preset(
        _ONE_LEG,
        "a cheetah that is to run on one leg, from 800 labels; seen to run with its front foot up part of the time",
    ),
    "enduro-level": Preset(
        _LEVEL, "a car that is to stay level with the others, from 1,300 labels; not yet seen to"
    ),
}
