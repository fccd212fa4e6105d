"""Where the agent's reward comes from: none yet, a learned reward, or one that follows a run."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

__all__ = ["NoReward", "RewardSource"]


@runtime_checkable
class RewardSource(Protocol):
    """Predicts the reward of steps. `NoReward`, `LearnedReward` and `FollowedReward` are reward sources."""

    @property
    def version(self) -> int:
        """Grows with every new reward; 0 where there is none yet, and nothing can be learned."""

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Reward float32 (...) of encoded observations (..., *obs) and actions (..., *act)."""


class NoReward:
    """Before the first learned reward: zero for every step, and version 0."""

    version = 0

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Zeros; float32, one for each leading index that observations and actions share."""
        shared = 0
        for one, other in zip(observations.shape, actions.shape, strict=False):
            if one != other:
                break
            shared += 1
        return np.zeros(observations.shape[:shared], np.float32)
