"""Environments by their Gymnasium id, and what can be known of them before any work starts."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.wrappers import ClipReward
from gymnasium.wrappers.vector import ClipReward as ClipVectorReward
from gymnasium.wrappers.vector import RecordEpisodeStatistics

import prefrl_envs
from prefrl.config import TEXT_ALGORITHMS, EnvConfig, RunConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.recording.segment_recorder import check_finite
from prefrl.recording.state_rendering import check_drawable, has_texts

__all__ = [
    "check_environment",
    "is_native",
    "make_environment",
    "make_native_environment",
    "make_ordinary_environment",
    "make_screens",
]

_ACTIONS = {"dqn": (spaces.Discrete,), "sac": (spaces.Box,)}
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
        # Gymnasium's own CartPole resets in a step of its own, which an agent of SB3 would learn from.
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
    """The first so many of a native environment's copies, for people to look at; None where it makes none."""
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


def check_environment(config: RunConfig) -> tuple[SpaceSpec, SpaceSpec]:
    """Make the environment, try it for one step, and describe its observations and actions.

    Raises:
        ValueError: when it cannot be made, reset or stepped, a space has no array form, the algorithm or the
            reward network does not suit it, or people are to answer and cannot be shown anything.
    """
    env = make_ordinary_environment(config.env)
    try:
        wanted = _ACTIONS.get(config.agent.algorithm)
        if wanted is not None and not isinstance(env.action_space, wanted):
            raise ValueError(
                f"{config.agent.algorithm} needs {wanted[0].__name__} actions, {config.env.id} has "
                f"{env.action_space}; use ppo or a2c"
            )
        if config.oracle.asks_people and not has_texts(env):
            check_drawable(env)
        observation_spec, action_spec = SpaceSpec.pair(env.observation_space, env.action_space)
        if config.reward.network == "cnn" and not observation_spec.is_image:
            raise ValueError(
                f"reward.network is 'cnn', which needs uint8 images; the observations of {config.env.id} are "
                f"{env.observation_space}; use auto or mlp"
            )
        _check_texts(config, observation_spec)
        _check_task(config, env)
        _try_out(env, config, observation_spec)
        return observation_spec, action_spec
    finally:
        env.close()


def _check_texts(config: RunConfig, spec: SpaceSpec) -> None:
    """Refuse settings for texts where there are none, and those for others where there are."""
    env, queries = config.env, config.queries
    found = "texts" if spec.is_tokens else f"of kind {spec.kind!r}"
    for name, value, is_for_texts in (
        ("agent.algorithm", config.agent.algorithm, config.agent.algorithm in TEXT_ALGORITHMS),
        ("queries.by_prompt", queries.by_prompt, queries.by_prompt),
    ):
        if is_for_texts != spec.is_tokens:
            raise ValueError(
                f"{name} is {value}, and the observations of {env.id} are {found}; texts need token_ppo or online_dpo, "
                "and queries.by_prompt true, and others neither"
            )
    if not spec.is_tokens:
        return
    _check_native(env)
    if config.reward.network not in ("auto", "lm"):
        raise ValueError(
            f"reward.network is {config.reward.network!r}; for texts it is lm, or auto, which takes it"
        )
    if env.endless:
        raise ValueError("env.endless is true, and a text has to end; set it to false")
    if env.responses_per_prompt < queries.items or env.num_envs % env.responses_per_prompt:
        raise ValueError(
            f"env.responses_per_prompt is {env.responses_per_prompt}; at least queries.items, {queries.items}, is "
            f"needed, and a divisor of env.num_envs, {env.num_envs}"
        )


def _check_native(config: EnvConfig) -> None:
    """Refuse texts that SB3 would step one by one: none would share its prompt, and no limit would be an end."""
    if is_native(config):
        return
    if not config.native:
        raise ValueError(
            "env.native is false, and texts have to be stepped all at once: only so do responses share a prompt, and "
            "does a text that reaches its limit count as ended; set it to true (--env.native)"
        )
    raise ValueError(
        f"{config.id} cannot step all its texts at once, as it has to: only so do responses share a prompt, and does a "
        "text that reaches its limit count as ended; register it with a vector_entry_point that returns a "
        "prefrl_envs.text.TextGenVectorEnv of its task, and leave --env.native as it is"
    )


def _check_task(config: RunConfig, env: gym.Env[Any, Any]) -> None:
    """Refuse to ask of a task of texts what it does not have."""
    task: Any = getattr(env.unwrapped, "task", None)
    has_reward = getattr(env.unwrapped, "reward_function", True) is not None
    if config.oracle.kind in ("synthetic", "mixed") and not has_reward:
        raise ValueError(
            f"oracle.kind is {config.oracle.kind!r}, and {config.env.id} has no true reward to answer by, so that all "
            "responses would tie; set it to human, or name a reward function in env.kwargs"
        )
    if config.agent.fine_tuning.demonstrations and hasattr(task, "demonstration"):
        task.demonstration(np.random.default_rng(config.seed))


def _try_out(env: gym.Env[Any, Any], config: RunConfig, spec: SpaceSpec) -> None:
    """What fails at the first step would fail in a worker, which would be restarted in vain."""
    doing = "reset"
    try:
        observation, _ = env.reset(seed=config.seed)
        _check_observation(observation, spec)
        doing = "step"
        env.action_space.seed(config.seed)
        observation, reward, *_ = env.step(env.action_space.sample())
        _check_observation(observation, spec)
        check_finite("true reward", np.asarray(reward, np.float64).reshape(1), step=1)
    except Exception as error:
        raise ValueError(
            f"environment {config.env.id!r} fails at its first {doing}: {type(error).__name__}: {error}; "
            "gymnasium.utils.env_checker.check_env says more"
        ) from error


def _check_observation(observation: Any, spec: SpaceSpec) -> None:
    check_finite("observation", spec.encode(observation, ())[None], step=0)
