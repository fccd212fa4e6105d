"""The intended reward in place of the written one."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

__all__ = ["IntendedReward"]


class IntendedReward(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Pays ``info["intended_reward"]``; what the environment paid goes to ``info["written_reward"]``.

    For evaluation, and for a synthetic oracle that judges as a person does: by what was meant.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)

    def has_wrapper_attr(self, name: str) -> bool:
        """Whether the wrapped environment has it: `optimal_return` is known here only where it is there."""
        return self.env.has_wrapper_attr(name) if name == "optimal_return" else super().has_wrapper_attr(name)

    def optimal_return(self) -> float:
        """The best mean return of an episode, by the intended reward."""
        return float(self.env.get_wrapper_attr("optimal_return")(intended=True))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step; raises ValueError when the environment names no intended reward."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if "intended_reward" not in info:
            raise ValueError(f'{self.env} gives no info["intended_reward"]; wrap an environment that does')
        intended = float(info["intended_reward"])
        return observation, intended, terminated, truncated, {**info, "written_reward": float(reward)}
