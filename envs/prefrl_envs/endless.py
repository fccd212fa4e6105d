"""Episode ends hidden from the agent."""

from __future__ import annotations

import math
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

__all__ = ["EndlessEpisodes"]

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
                episode: what the oracle, who does see ends, thinks of them.

        Raises:
            ValueError: when the penalty is negative or not finite.
        """
        if not (math.isfinite(termination_penalty) and termination_penalty >= 0.0):
            raise ValueError(
                f"termination_penalty is {termination_penalty}; a finite number of at least 0 is needed"
            )
        RecordConstructorArgs.__init__(self, termination_penalty=termination_penalty)
        gym.Wrapper.__init__(self, env)
        self._termination_penalty = termination_penalty
        self._seeds = np.random.default_rng()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin anew; ``options`` are for this inner episode alone."""
        if seed is not None:
            self._seeds = np.random.default_rng((seed, SEED_STREAM))
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the inner environment, and reset it where its episode ends."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        info = {**info, "inner_terminated": bool(terminated), "inner_truncated": bool(truncated)}
        if terminated:
            reward = float(reward) - self._termination_penalty
        if terminated or truncated:
            first_observation, reset_info = self.env.reset(seed=int(self._seeds.integers(2**31)))
            info = {**info, **reset_info, "final_observation": observation}
            observation = first_observation
        return observation, reward, False, False, info
