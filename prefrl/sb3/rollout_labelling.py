"""On-policy: a whole rollout is labelled in one batch, and its advantages are computed again.

SB3 has computed advantages from zero rewards and its own timeout bootstrap by then; adding the prediction and calling
the same function again gives what a buffer of predicted rewards would have given, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm

from prefrl.reward.source import RewardSource
from prefrl.sb3.vec_env import PreferenceVecEnv

__all__ = ["RolloutLabeller", "RolloutSteps", "label_rollout"]


@dataclass(frozen=True)
class RolloutSteps:
    """A rollout of T steps in N environments that is complete and not labelled yet."""

    observations: np.ndarray
    """shape (T, N, *obs), encoded"""
    actions: np.ndarray
    """shape (T, N, *act), encoded, as executed"""
    buffer: Any
    """SB3's rollout buffer with the same steps"""
    last_values: th.Tensor
    """values after the last step, N of them"""
    dones: np.ndarray
    """shape (N,), whether the last step ended an episode"""


def label_rollout(model: BaseAlgorithm, steps: RolloutSteps, reward: RewardSource) -> float | None:
    """Add the learned reward to a rollout and compute its advantages.

    Before the first reward advantages are zero and returns equal the values, which teaches nothing.

    Returns:
        the mean predicted reward; None before the first.
    """
    buffer = steps.buffer
    if not reward.version:
        buffer.advantages[:] = 0.0
        buffer.returns = buffer.values.copy()
        return None
    predicted = reward.predict(steps.observations, steps.actions)
    buffer.rewards += predicted
    # Algorithms with penalties of their own, such as TokenPPO's on KL, take them before advantages are computed.
    finish = getattr(model, "finish_rollout", buffer.compute_returns_and_advantage)
    finish(steps.last_values, steps.dones)
    return float(predicted.mean())


class RolloutLabeller:
    """Labels the rollouts that SB3's own ``collect_rollouts`` has gathered.

    Args:
        model: an on-policy algorithm.
        venv: the layer of its environment that records what is done.
    """

    def __init__(self, model: BaseAlgorithm, venv: PreferenceVecEnv) -> None:
        self._model, self._venv = model, venv
        self._ends: tuple[th.Tensor, np.ndarray] | None = None

    def attach(self, reward: RewardSource) -> None:
        """Remember what SB3 computes advantages from: no algorithm hands it on to callbacks reliably."""
        buffer: Any = self._model.rollout_buffer  # type: ignore[attr-defined]  # of on-policy algorithms
        compute = type(buffer).compute_returns_and_advantage

        def compute_and_remember(last_values: th.Tensor, dones: np.ndarray) -> None:
            self._ends = last_values, dones
            compute(buffer, last_values, dones)

        buffer.compute_returns_and_advantage = compute_and_remember
        self._venv.recorder.reward_version = reward.version
        self._venv.begin_training()

    def detach(self) -> None:
        """Leave the buffer as SB3 made it."""
        buffer: Any = self._model.rollout_buffer  # type: ignore[attr-defined]
        vars(buffer).pop("compute_returns_and_advantage", None)
        self._venv.end_training()

    def begin(self) -> None:
        """A rollout begins."""
        self._ends = None
        self._venv.begin_rollout()

    def take(self) -> RolloutSteps:
        """The rollout that was just collected."""
        buffer: Any = self._model.rollout_buffer  # type: ignore[attr-defined]
        observations, actions = self._venv.take_rollout(buffer.buffer_size)
        assert self._ends is not None, "the rollout is not complete"
        (last_values, dones), self._ends = self._ends, None
        return RolloutSteps(observations, actions, buffer, last_values, dones)

    def label(self, steps: RolloutSteps | None, reward: RewardSource) -> float | None:
        """See `label_rollout`."""
        assert steps is not None, "on-policy there is a rollout to label"
        self._venv.recorder.reward_version = reward.version
        return label_rollout(self._model, steps, reward)
