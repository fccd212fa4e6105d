"""An environment that breaks after so many steps, for the processes that a test starts."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.envs.classic_control import CartPoleEnv


class Failing(CartPoleEnv):
    def __init__(self, good_steps: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._steps_left = good_steps

    def step(self, action: Any) -> Any:
        self._steps_left -= 1
        if self._steps_left < 0:
            raise RuntimeError("the simulator blew up")
        return super().step(action)


gym.register("Failing-v0", entry_point=Failing, kwargs={"good_steps": 300})
