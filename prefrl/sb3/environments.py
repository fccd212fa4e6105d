"""The environments of a run as SB3's vector environments."""

from __future__ import annotations

from collections.abc import Callable

from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor

from prefrl.config import RunConfig
from prefrl.loop.environments import (
    is_drawn,
    is_native,
    make_environment,
    make_native_environment,
    make_ordinary_environment,
    make_screens,
)
from prefrl.sb3.native_vec_env import NativeVecEnv

__all__ = ["evaluation_environments", "training_environments"]

_SCREENS = 2
"""native environments that people can look into; each costs as much as another environment"""


def training_environments(config: RunConfig) -> VecEnv:
    """The environments that the agent acts in, episode ends hidden if the settings say so."""
    env = config.env
    is_filmed = config.oracle.asks_people and is_drawn(env)
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
