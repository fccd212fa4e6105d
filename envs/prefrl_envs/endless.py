"""Episode ends hidden from the agent."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

__all__ = ["EndlessEpisodes", "EndlessVector"]

SEED_STREAM = 0xE9D1E55
"""sets the seeds of inner resets apart from the inner environment's own draws of the same seed"""


class EndlessEpisodes(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """One endless episode made of the inner environment's: it resets inside and goes on.

    Where an episode ends can tell the agent what the task is, so Christiano et al. 2017 (appendix A) show it
    none. On an inner end the first observation of the next episode is returned, and ``terminated`` and
    ``truncated`` are always False. For whoever evaluates, each step's info holds

    - ``inner_terminated``, ``inner_truncated`` (bool): what the inner environment said;
    - ``final_observation``, on an end only: the last observation of the episode that ended;
    - on an end, also what the inner reset said, which describes the observation returned. All else is the
      step's, among it the ``episode`` of an inner Monitor or RecordEpisodeStatistics, without the penalty.

    Inner resets are seeded from the seed of `reset`, so a run is reproducible.
    """

    def __init__(self, env: gym.Env[Any, Any], termination_penalty: float = 0.0) -> None:
        """Wrap ``env``.

        Args:
            termination_penalty: taken from the reward of each step that terminates (not truncates) an inner
                episode, or on which ``info["lives"]`` falls: what the oracle, who does see ends, thinks of them.

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
        """Begin anew; ``options`` are for this inner episode alone."""
        if seed is not None:
            self._seeds = np.random.default_rng((seed, SEED_STREAM))
        observation, info = self.env.reset(seed=seed, options=options)
        self._lives = info.get("lives", 0)
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the inner environment, and reset it where its episode ends."""
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
    """`EndlessEpisodes` for a vector environment that begins the next episode within the step that ends one.

    Each step's info holds ``inner_terminated`` and ``inner_truncated``, (N,) bool.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], termination_penalty: float = 0.0) -> None:
        """Wrap ``env``; see `EndlessEpisodes`.

        Raises:
            ValueError: when the penalty is negative or not finite, or ``env`` resets otherwise.
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
        """Begin anew."""
        observations, info = self.env.reset(seed=seed, options=options)
        self._lives = info.get("lives", self._lives)
        return observations, info

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step all environments; none is ever done."""
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
