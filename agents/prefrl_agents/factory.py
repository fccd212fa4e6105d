"""Builds the agent of a run: environments, recorder and SB3 algorithm put together."""

from __future__ import annotations

from collections.abc import Callable

import torch
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor

from prefrl.config import RunConfig
from prefrl.config.device import torch_device
from prefrl.data.spaces import SpaceSpec
from prefrl.loop import PolicyLink
from prefrl.loop.environments import (
    is_native,
    make_environment,
    make_native_environment,
    make_ordinary_environment,
    make_screens,
)
from prefrl.recording.segment_recorder import SegmentRecorder
from prefrl.reward.networks import build_network
from prefrl.sb3 import NativeVecEnv, PreferenceVecEnv, make_clip_recorder
from prefrl.storage.run_dir import RunDir
from prefrl_agents import SB3Agent, build_model

__all__ = ["build_agent", "check_models", "evaluation_environments"]

_SCREENS = 2
"""native environments that people can look into; each costs as much as another environment"""


def build_agent(
    run: RunDir, config: RunConfig, make_link: Callable[[SegmentRecorder], PolicyLink]
) -> SB3Agent:
    """Make the agent, or continue the one saved in the run directory."""
    inner = _training_environments(config)
    inner.seed(config.seed)
    queries = config.queries
    film = make_clip_recorder(inner, config) if _is_filmed(config) else None
    venv = PreferenceVecEnv(
        inner, queries.segment_steps, config.env.id, config.seed, queries.within_episodes, film
    )
    link = make_link(venv.recorder)
    agent = SB3Agent(
        config.agent,
        venv,
        link,
        config.steps,
        config.seed,
        evaluation_environments(config),
        run.agent,
    )
    link.resume_at(agent.policy_step)
    return agent


def check_models(config: RunConfig, specs: tuple[SpaceSpec, SpaceSpec]) -> None:
    """Build agent and reward once and throw them away.

    Raises:
        ValueError: when a hyperparameter is unknown or out of its range, the agent cannot act there, or the reward
            network does not suit these observations and actions.
    """
    torch_device(config.reward.device, "reward.device")
    build_network(*specs, config.reward, torch.Generator())
    # Some limits are on the product of steps and environments; two tell as well as many.
    venv = evaluation_environments(config)(min(2, config.env.num_envs))
    try:
        build_model(config.agent, venv, config.seed)
    finally:
        venv.close()


def _is_filmed(config: RunConfig) -> bool:
    """Whether people are to see pictures; a text is all there in what is recorded of it."""
    return config.oracle.asks_people and not config.queries.by_prompt


def _training_environments(config: RunConfig) -> VecEnv:
    env, is_filmed = config.env, _is_filmed(config)
    if is_native(env):
        games = make_native_environment(env, env.num_envs, for_training=True)
        screens = make_screens(games, min(_SCREENS, env.num_envs)) if is_filmed else None
        if screens is not None or not is_filmed:
            return NativeVecEnv(games, screens)
        games.close()
    mode = "rgb_array" if is_filmed else None
    return DummyVecEnv([lambda: make_environment(env, Monitor, mode)] * env.num_envs)


def evaluation_environments(config: RunConfig) -> Callable[[int], VecEnv]:
    """Makes so many ordinary environments, true rewards and episode ends shown."""
    env = config.env
    if is_native(env):
        return lambda num_envs: VecMonitor(
            NativeVecEnv(make_native_environment(env, num_envs, for_training=False))
        )
    return lambda num_envs: DummyVecEnv([lambda: Monitor(make_ordinary_environment(env))] * num_envs)
