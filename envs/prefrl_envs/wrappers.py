"""A wrapper that replaces the written reward by the intended reward."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

__all__ = ["IntendedReward"]


class IntendedReward(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Replaces the reward by ``info["intended_reward"]``; the original reward goes to ``info["written_reward"]``.

    For evaluation, and for a synthetic oracle that judges by the intention, as a person does.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)

    def has_wrapper_attr(self, name: str) -> bool:
        """Whether the attribute exists; `optimal_return` exists only if the wrapped environment has it."""
        return self.env.has_wrapper_attr(name) if name == "optimal_return" else super().has_wrapper_attr(name)

    def optimal_return(self) -> float:
        """Maximum mean return of an episode under the intended reward."""
        return float(self.env.get_wrapper_attr("optimal_return")(intended=True))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take a step; raises ValueError when the info has no intended reward."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if "intended_reward" not in info:
            raise ValueError(f'{self.env} has no info["intended_reward"]; wrap an environment that has one')
        intended = float(info["intended_reward"])
        return observation, intended, terminated, truncated, {**info, "written_reward": float(reward)}
