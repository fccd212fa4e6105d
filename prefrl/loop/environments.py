"""Environments by their Gymnasium id."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.wrappers import ClipReward
from gymnasium.wrappers.vector import ClipReward as ClipVectorReward
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import prefrl_envs
from prefrl.config import EnvConfig
from prefrl.config.modality import modality_of
from prefrl.data.spaces import SpaceSpec
from prefrl.recording.state_rendering import shows_text

__all__ = [
    "is_drawn",
    "is_native",
    "make_environment",
    "make_native_environment",
    "make_ordinary_environment",
    "make_screens",
    "spaces_of",
]

_HOME = prefrl_envs.__name__
"""importing it has registered its environments"""


def make_ordinary_environment(config: EnvConfig, render_mode: str | None = None) -> gym.Env[Any, Any]:
    """The environment as its id gives it: what the agent is evaluated in.

    Raises:
        ValueError: when the id is unknown, with the nearest ones, or when making it fails.
    """
    # Not every environment takes a render mode, so it is named only when one is asked for.
    rendering: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
    with _explained(config):
        return gym.make(config.id, disable_env_checker=True, **rendering, **config.kwargs)


def is_native(config: EnvConfig) -> bool:
    """Whether the environment steps all its copies itself, as SB3 needs it to, and the settings let it."""
    with _explained(config):
        module, _, name = config.id.rpartition(":")
        if module:
            importlib.import_module(module)
        if not config.native or gym.spec(name).vector_entry_point is None:
            return False
        env = gym.make_vec(config.id, num_envs=1, **config.kwargs)
        # Gymnasium's own CartPole resets in a separate step, which an SB3 agent would learn from.
        is_suitable = env.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP
        env.close()
        return is_suitable


def make_native_environment(
    config: EnvConfig, num_envs: int, *, for_training: bool
) -> VectorEnv[Any, Any, Any]:
    """The environments of an id that steps all its copies itself, true returns in ``info["episode"]``.

    Args:
        config: id and settings.
        num_envs: copies.
        for_training: as the agent acts in it, episode ends hidden if the config says so; else as the id gives it.

    Raises:
        ValueError: as `make_ordinary_environment`.
    """
    blocks = {"responses_per_prompt": config.responses_per_prompt}
    with _explained(config):
        settings = config.kwargs | (blocks if for_training and config.responses_per_prompt > 1 else {})
        env: VectorEnv[Any, Any, Any] = gym.make_vec(config.id, num_envs=num_envs, **settings)
    if not for_training:
        return env
    env = RecordEpisodeStatistics(env)
    if config.clip_rewards:
        env = ClipVectorReward(env, -1.0, 1.0)
    return prefrl_envs.EndlessVector(env, config.termination_penalty) if config.endless else env


def make_screens(env: VectorEnv[Any, Any, Any], num_envs: int) -> VectorEnv[Any, Any, Any] | None:
    """Copies of the first ``num_envs`` of a native environment, for people to look at; None where it makes none."""
    while isinstance(env, VectorWrapper) and not hasattr(env, "make_screens"):
        env = env.env
    return env.make_screens(num_envs) if hasattr(env, "make_screens") else None


@contextmanager
def _explained(config: EnvConfig) -> Iterator[None]:
    """What Gymnasium raises in its own words, as a ValueError in ours."""
    try:
        yield
    except gym.error.UnregisteredEnv as error:
        near = difflib.get_close_matches(config.id, list(gym.registry), n=3)
        hint = (
            f"did you mean {' or '.join(near)}?"
            if near
            else "write MODULE:Name-v0 for an environment of your own"
        )
        raise ValueError(f"no environment is registered as {config.id!r}; {hint}") from error
    except ModuleNotFoundError as error:
        raise ValueError(
            f"environment {config.id!r} needs a module that is not installed: {error}"
        ) from error
    except Exception as error:
        # What an environment raises is up to whoever wrote it.
        raise ValueError(
            f"environment {config.id!r} cannot be made with {config.kwargs}: {type(error).__name__}: {error}"
        ) from error


def make_environment(
    config: EnvConfig, wrap_inner: Any = None, render_mode: str | None = None
) -> gym.Env[Any, Any]:
    """The environment as the agent acts in it: episode ends hidden if the config says so.

    Args:
        config: id and settings.
        wrap_inner: applied beneath the wrapper that hides episode ends, to count whole episodes.
        render_mode: "rgb_array" where it is to be filmed.
    """
    env = make_ordinary_environment(config, render_mode)
    if wrap_inner is not None:
        env = wrap_inner(env)
    if config.clip_rewards:
        env = ClipReward(env, -1.0, 1.0)
    return prefrl_envs.EndlessEpisodes(env, config.termination_penalty) if config.endless else env


def is_drawn(config: EnvConfig) -> bool:
    """Whether people are shown clips of this environment, not text."""
    env = make_ordinary_environment(config)
    try:
        return modality_of(SpaceSpec.of(env.observation_space)).is_filmed and not shows_text(env)
    finally:
        env.close()


def spaces_of(config: EnvConfig) -> tuple[SpaceSpec, SpaceSpec]:
    """How observations and actions of an environment are laid out.

    Raises:
        ValueError: when it cannot be made, or a space has no array form.
    """
    env = make_ordinary_environment(config)
    try:
        return SpaceSpec.pair(env.observation_space, env.action_space)
    finally:
        env.close()
