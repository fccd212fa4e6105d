"""Environments by their Gymnasium id, and what can be known of them before any work starts."""

from __future__ import annotations

import difflib
from typing import Any

import gymnasium as gym
from gymnasium import spaces

import prefrl_envs
from prefrl.config import EnvConfig, RunConfig
from prefrl.spaces import SpaceSpec

__all__ = ["check_environment", "make_environment", "make_ordinary_environment"]

_ACTIONS = {"dqn": (spaces.Discrete,), "sac": (spaces.Box,)}
_HOME = prefrl_envs.__name__
"""importing it has registered its environments"""


def make_ordinary_environment(config: EnvConfig, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """The environment as its id gives it: what the agent is evaluated in.

    Raises:
        ValueError: when the id is unknown, with the nearest ones, or when making it fails.
    """
    try:
        # Not every environment takes a render mode, so it is named only when one is asked for.
        rendering: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
        return gym.make(config.id, disable_env_checker=True, **rendering, **config.kwargs)
    except gym.error.UnregisteredEnv as error:
        near = difflib.get_close_matches(config.id, list(gym.registry), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "write MODULE:Name-v0 for an environment of your own"
        raise ValueError(f"no environment is registered as {config.id!r}; {hint}") from error
    except ModuleNotFoundError as error:
        raise ValueError(f"environment {config.id!r} needs a module that is not installed: {error}") from error
    except (gym.error.Error, TypeError) as error:
        raise ValueError(f"environment {config.id!r} cannot be made with {config.kwargs}: {error}") from error


def make_environment(config: EnvConfig, wrap_inner: Any = None) -> gym.Env[Any, Any]:
    """The environment as the agent acts in it: episode ends hidden if the config says so.

    Args:
        config: id and settings.
        wrap_inner: applied beneath the wrapper that hides episode ends, to count whole episodes.
    """
    env = make_ordinary_environment(config)
    if wrap_inner is not None:
        env = wrap_inner(env)
    return prefrl_envs.EndlessEpisodes(env, config.termination_penalty) if config.endless else env


def check_environment(config: RunConfig) -> tuple[SpaceSpec, SpaceSpec]:
    """Make the environment once and describe its observations and actions.

    Raises:
        ValueError: when it cannot be made, a space has no array form, or the algorithm cannot act in it.
    """
    env = make_ordinary_environment(config.env)
    try:
        wanted = _ACTIONS.get(config.agent.algorithm)
        if wanted is not None and not isinstance(env.action_space, wanted):
            raise ValueError(
                f"{config.agent.algorithm} needs {wanted[0].__name__} actions, {config.env.id} has "
                f"{env.action_space}; use ppo or a2c"
            )
        if config.env.id and config.queries.segment_steps < 1:
            raise ValueError(f"queries.segment_steps is {config.queries.segment_steps}; at least 1 is needed")
        return SpaceSpec.of(env.observation_space), SpaceSpec.of(env.action_space)
    finally:
        env.close()
