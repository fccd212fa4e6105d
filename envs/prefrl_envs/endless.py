"""Wrappers that hide the ends of episodes from the agent."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

__all__ = ["EndlessEpisodes", "EndlessVector"]

SEED_STREAM = 0xE9D1E55
"""keeps the seeds of inner resets independent of the inner environment's own random numbers for the same seed"""


class EndlessEpisodes(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Joins the episodes of an environment into one endless episode: ends are hidden, and resets happen internally.

    The end of an episode can reveal the task, so Christiano et al. 2017 (appendix A) hide it from the agent. When an
    inner episode ends, the first observation of the next one is returned; ``terminated`` and ``truncated`` are always
    False. For evaluation, each step's info holds

    - ``inner_terminated``, ``inner_truncated`` (bool): the flags of the inner environment;
    - ``final_observation``, at an end only: the last observation of the episode that ended;
    - at an end, also the info of the inner reset, which describes the observation returned. Everything else comes from
      the step, including the ``episode`` of an inner Monitor or RecordEpisodeStatistics, without the penalty.

    Inner resets are seeded from the seed of `reset`, so a run is reproducible.
    """

    def __init__(self, env: gym.Env[Any, Any], termination_penalty: float = 0.0) -> None:
        """Wrap ``env``.

        Args:
            env: the environment to wrap.
            termination_penalty: subtracted from the reward of each step that terminates (not truncates) an inner
                episode, or on which ``info["lives"]`` decreases. The oracle does see the ends, and this is its opinion
                of them.

        Raises:
            ValueError: when the penalty is negative or not finite.
        """
        _check_penalty(termination_penalty)
        RecordConstructorArgs.__init__(self, termination_penalty=termination_penalty)
        gym.Wrapper.__init__(self, env)
        self._termination_penalty = termination_penalty
        self._seeds = np.random.default_rng()
        self._lives = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin a new endless episode; ``options`` apply to the first inner episode only."""
        if seed is not None:
            self._seeds = np.random.default_rng((seed, SEED_STREAM))
        observation, info = self.env.reset(seed=seed, options=options)
        self._lives = info.get("lives", 0)
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the inner environment, and reset it if its episode ends."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        info = {**info, "inner_terminated": bool(terminated), "inner_truncated": bool(truncated)}
        if terminated or info.get("lives", 0) < self._lives:
            reward = float(reward) - self._termination_penalty
        if terminated or truncated:
            first_observation, reset_info = self.env.reset(seed=int(self._seeds.integers(2**31)))
            info = {**info, **reset_info, "final_observation": observation}
            observation = first_observation
        self._lives = info.get("lives", 0)
        return observation, reward, False, False, info


class EndlessVector(VectorWrapper[Any, Any, Any]):
    """`EndlessEpisodes` for vector environments that reset within the step that ends an episode.

    Each step's info holds ``inner_terminated`` and ``inner_truncated``, (N,) bool.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], termination_penalty: float = 0.0) -> None:
        """Wrap ``env``; see `EndlessEpisodes`.

        Raises:
            ValueError: when the penalty is negative or not finite, or ``env`` has another autoreset mode.
        """
        _check_penalty(termination_penalty)
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ValueError(f"autoreset_mode is {mode}; {AutoresetMode.SAME_STEP} is needed to hide resets")
        super().__init__(env)
        self._termination_penalty = termination_penalty
        self._lives = np.zeros(env.num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin new endless episodes."""
        observations, info = self.env.reset(seed=seed, options=options)
        self._lives = info.get("lives", self._lives)
        return observations, info

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step all environments; no episode ever ends."""
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        lives = info.get("lives", self._lives)
        rewards = rewards - self._termination_penalty * (terminated | (lives < self._lives))
        self._lives = lives
        info = {**info, "inner_terminated": terminated, "inner_truncated": truncated}
        never = np.zeros_like(terminated)
        return observations, rewards.astype(np.float32), never, never.copy(), info


def _check_penalty(penalty: float) -> None:
    if not (math.isfinite(penalty) and penalty >= 0.0):
        raise ValueError(f"termination_penalty is {penalty}; a finite number of at least 0 is needed")
