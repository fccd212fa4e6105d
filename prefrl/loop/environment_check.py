"""What can be known of an environment before any work starts: it is tried out, and held against the settings."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import check_env

from prefrl.config import EnvConfig, RunConfig
from prefrl.config.modality import modality_of
from prefrl.data.spaces import SpaceSpec
from prefrl.loop.environments import is_native, make_ordinary_environment
from prefrl.recording.segment_recorder import check_finite
from prefrl.recording.state_rendering import check_drawable, shows_text

__all__ = ["check_environment"]

_TRIAL_STEPS = 20
"""as long as a rollout of A2C: what goes wrong later is told by the worker that meets it"""


def check_environment(config: RunConfig, specs: tuple[SpaceSpec, SpaceSpec]) -> None:
    """Make the environment and try it for a few steps.

    Args:
        config: settled settings.
        specs: of its observations and actions.

    Raises:
        ValueError: when it cannot be made, reset or stepped, gives what its spaces or Gymnasium's interface do not
            allow, or does not suit the settings.
    """
    modality = modality_of(specs[0])
    env = make_ordinary_environment(config.env)
    try:
        if config.oracle.asks_people and modality.is_filmed and not shows_text(env):
            check_drawable(env)
        if modality.is_native_only:
            _check_native(config.env)
        _check_task(config, env)
        _try_out(env, config, specs)
    finally:
        env.close()
    _run_gymnasiums_checker(config.env)


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
    """Refuse to ask of a task what it does not have: a true reward, or demonstrations."""
    task: Any = getattr(env.unwrapped, "task", None)
    has_reward = getattr(env.unwrapped, "reward_function", True) is not None
    if config.oracle.kind in ("synthetic", "mixed") and not has_reward:
        raise ValueError(
            f"oracle.kind is {config.oracle.kind!r}, and {config.env.id} has no true reward to answer by, so that all "
            "responses would tie; set it to human, or name a reward function in env.kwargs"
        )
    if config.agent.fine_tuning.demonstrations and hasattr(task, "demonstration"):
        task.demonstration(np.random.default_rng(config.seed))


def _try_out(env: gym.Env[Any, Any], config: RunConfig, specs: tuple[SpaceSpec, SpaceSpec]) -> None:
    """What fails in the first steps would fail in a worker, which would be restarted to fail again."""
    observation_spec, _ = specs
    doing = "reset"
    try:
        observation, _ = _parts(env.reset(seed=config.seed), 2, "reset")
        _check_observation(observation, observation_spec)
        env.action_space.seed(config.seed)
        for step in range(1, _TRIAL_STEPS + 1):
            doing = "step" if step == 1 else f"steps ({step})"
            observation, reward, terminated, truncated, _ = _parts(
                env.step(env.action_space.sample()), 5, "step"
            )
            _check_observation(observation, observation_spec)
            _check_reward(reward)
            if terminated or truncated:
                break
    except Exception as error:
        raise ValueError(
            f"environment {config.env.id!r} fails at its first {doing}: {type(error).__name__}: {error}; "
            "gymnasium.utils.env_checker.check_env says more"
        ) from error


def _parts(returned: Any, count: int, method: str) -> Any:
    if not isinstance(returned, tuple) or len(returned) != count:
        found = f"{len(returned)} values" if isinstance(returned, tuple) else type(returned).__name__
        names = {2: "observation, info", 5: "observation, reward, terminated, truncated, info"}[count]
        raise ValueError(f"{method} returns {found}, Gymnasium asks for {count} ({names})")
    return returned


def _check_reward(reward: Any) -> None:
    if np.ndim(reward) != 0:
        raise ValueError(f"the reward is {reward!r} of shape {np.shape(reward)}; a single number is needed")
    check_finite("true reward", np.asarray(reward, np.float64).reshape(1), step=1)


def _check_observation(observation: Any, spec: SpaceSpec) -> None:
    check_finite("observation", spec.check_sample(observation)[None], step=0)


def _run_gymnasiums_checker(config: EnvConfig) -> None:
    """Tell what Gymnasium's own checker finds in one copy: environments that fail it may well be learned in."""
    env = make_ordinary_environment(config)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_env(env.unwrapped, skip_render_check=True, skip_close_check=True)
    except Exception as error:
        print(
            f"{config.id}: Gymnasium's environment checker complains: {type(error).__name__}: {error}",
            file=sys.stderr,
        )
    finally:
        env.close()
