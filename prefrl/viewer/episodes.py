"""Runs an agent in the ordinary environment and predicts the learned reward of every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from prefrl.data.spaces import SpaceSpec

__all__ = ["EpisodeStep", "RewardModel", "check_reward", "run_episode"]


class RewardModel(Protocol):
    """The part of a learned reward that is used here."""

    observation_spec: SpaceSpec
    action_spec: SpaceSpec

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Rewards (*lead,) of encoded observations (*lead, *obs) and actions (*lead, *act)."""


@dataclass(frozen=True)
class EpisodeStep:
    """One step of an episode."""

    frame: np.ndarray
    """shape (H, W, 3) uint8, rendered before the action"""
    predicted_reward: float
    true_reward: float


def check_reward(env: gym.Env[Any, Any], reward: RewardModel) -> None:
    """Raise ValueError unless the reward was trained on the environment's observation and action spaces."""
    for name, space in (("observation", env.observation_space), ("action", env.action_space)):
        learned, ours = getattr(reward, f"{name}_spec"), SpaceSpec.of(space)
        if learned != ours:
            raise ValueError(
                f"the reward was learned with {name}s of {learned}, {_id(env)} has {ours} now; "
                "install the environment as it was when the run was started"
            )


def run_episode(
    env: gym.Env[Any, Any],
    choose_action: Callable[[Any], Any],
    reward: RewardModel,
    seed: int,
    max_steps: int | None = None,
) -> Iterator[EpisodeStep]:
    """Run one episode.

    Args:
        env: made with ``render_mode="rgb_array"``.
        choose_action: maps an observation to an action, both as the environment has them.
        reward: predicts the reward of each step.
        seed: for the environment's reset.
        max_steps: end the episode after this number of steps.

    Raises:
        ValueError: if the environment does not render (H, W, 3) uint8 arrays.
    """
    observation, _ = env.reset(seed=seed)
    steps, has_ended = 0, False
    while not has_ended and (max_steps is None or steps < max_steps):
        frame, action = _frame(env), choose_action(observation)
        # Before the step: some environments write the next observation into the same array.
        predicted = reward.predict(
            reward.observation_spec.encode(observation, ()), reward.action_spec.encode(action, ())
        )
        observation, true_reward, terminated, truncated, _ = env.step(action)
        yield EpisodeStep(frame, float(predicted), float(true_reward))
        steps, has_ended = steps + 1, terminated or truncated


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
