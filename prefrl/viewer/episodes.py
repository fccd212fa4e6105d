"""An agent acting in the ordinary environment, seen with the eyes of the learned reward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from prefrl.data.spaces import SpaceSpec

__all__ = ["Moment", "Reward", "act", "check_reward"]


class Reward(Protocol):
    """What is asked of a learned reward."""

    observation_spec: SpaceSpec
    action_spec: SpaceSpec

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Reward (*lead,) of encoded observations (*lead, *obs) and actions (*lead, *act)."""


@dataclass(frozen=True)
class Moment:
    """One step of an episode."""

    frame: np.ndarray
    """shape (H, W, 3) uint8, the environment as it was when the agent chose its action"""
    predicted_reward: float
    true_reward: float


def check_reward(env: gym.Env[Any, Any], reward: Reward) -> None:
    """Raise ValueError unless the reward was learned on observations and actions like the environment's."""
    for name, space in (("observation", env.observation_space), ("action", env.action_space)):
        learned, ours = getattr(reward, f"{name}_spec"), SpaceSpec.of(space)
        if learned != ours:
            raise ValueError(
                f"the reward was learned with {name}s of {learned}, {_id(env)} has {ours} now; "
                "install the environment as it was when the run was started"
            )


def act(
    env: gym.Env[Any, Any],
    choose_action: Callable[[Any], Any],
    reward: Reward,
    seed: int,
    most_steps: int | None = None,
) -> Iterator[Moment]:
    """Act for one episode.

    Args:
        env: made with ``render_mode="rgb_array"``.
        choose_action: from an observation to an action, both as the environment knows them.
        reward: predicts each step's reward.
        seed: the environment is reset with.
        most_steps: end the episode after so many steps.

    Raises:
        ValueError: when the environment's frames are no (H, W, 3) uint8 arrays.
    """
    observation, _ = env.reset(seed=seed)
    steps, is_over = 0, False
    while not is_over and (most_steps is None or steps < most_steps):
        frame, action = _frame(env), choose_action(observation)
        # Before the step: some environments write the next observation into the same array.
        predicted = reward.predict(
            reward.observation_spec.encode(observation, ()), reward.action_spec.encode(action, ())
        )
        observation, true_reward, terminated, truncated, _ = env.step(action)
        yield Moment(frame, float(predicted), float(true_reward))
        steps, is_over = steps + 1, terminated or truncated


def _frame(env: gym.Env[Any, Any]) -> np.ndarray:
    frame = np.asarray(env.render())
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ValueError(
            f"{_id(env)} draws arrays of shape {frame.shape} and type {frame.dtype}; "
            "(height, width, 3) of uint8 is needed, as Gymnasium asks of render mode 'rgb_array'"
        )
    return frame


def _id(env: gym.Env[Any, Any]) -> str:
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__
