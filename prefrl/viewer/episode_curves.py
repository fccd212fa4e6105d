"""Reward curves of the episodes shown, on axes that span all of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from prefrl.viewer.axis import nice_axis, round_up
from prefrl.viewer.reward_chart import Curve, Episode, draw_picture

__all__ = ["EpisodeCurves"]

_MIN_HORIZON_STEPS = 20


class EpisodeCurves:
    """Collects rewards and draws pictures. Axes only widen, so that episodes can be compared.

    Args:
        horizon_steps: length of the longest episode, if known.
    """

    def __init__(self, horizon_steps: int | None = None) -> None:
        self._horizon_steps = horizon_steps or 0
        self._caption = ""
        self._predicted, self._true = _RewardTrack(), _RewardTrack()

    @property
    def steps(self) -> int:
        """Steps of this episode so far."""
        return len(self._true.values)

    @property
    def predicted_return(self) -> float:
        """Sum of the predicted rewards of this episode so far."""
        return float(np.sum(self._predicted.values))

    @property
    def true_return(self) -> float:
        """Sum of the true rewards of this episode so far."""
        return float(np.sum(self._true.values))

    def begin(self, caption: str) -> None:
        """Begin an episode, described by ``caption``."""
        self._caption = caption
        self._predicted.values, self._true.values = [], []

    def widen(self, predicted_rewards: Iterable[float], true_rewards: Iterable[float]) -> None:
        """Widen the axes to rewards that will be added later."""
        self._predicted.widen(predicted_rewards)
        self._true.widen(true_rewards)

    def add(self, predicted_reward: float, true_reward: float) -> None:
        """Add the rewards of one step."""
        self.widen([predicted_reward], [true_reward])
        self._predicted.values.append(predicted_reward)
        self._true.values.append(true_reward)

    def picture(self, frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """The curves so far, of at least one step, beside ``frame``; see `draw_picture`."""
        horizon_steps = self._horizon_steps
        if self.steps > horizon_steps:
            horizon_steps = round_up(max(self.steps, _MIN_HORIZON_STEPS))
        episode = Episode(self._caption, self._predicted.curve(), self._true.curve(), horizon_steps)
        return draw_picture(frame, episode, size)


class _RewardTrack:
    """One reward: the values of this episode, and the range over all episodes."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._low, self._high = np.inf, -np.inf

    def widen(self, values: Iterable[float]) -> None:
        for value in values:
            self._low, self._high = min(self._low, value), max(self._high, value)

    def curve(self) -> Curve:
        return Curve(np.array(self.values), nice_axis(self._low, self._high))
