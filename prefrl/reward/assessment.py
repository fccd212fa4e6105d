"""How well a learned reward predicts answers and true returns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from prefrl.reward.learned_reward import LearnedReward
from prefrl.reward.metrics import calibration, log_loss, pearson
from prefrl.types import LabelledQuery, Query, Segment

__all__ = ["Assessment", "Assessor", "pair_predictions"]


@dataclass(frozen=True)
class Assessment:
    """How well a learned reward predicts; None where there was nothing to predict."""

    pairs: int
    """pairs of segments that answers were predicted of, ties included"""
    calibration_error: float | None
    """mean difference of predicted probability and observed share, over those pairs"""
    log_loss: float | None
    """mean cross-entropy in nats, likewise; always saying .5 gets 0.693"""
    correlation_true_return: float | None
    """Pearson correlation of the segments' predicted return, as the agent sees it, with the true one; None
    also where either is constant, as a true return that was never known is"""


class Assessor:
    """Takes comparisons in some at a time, and then says how well ``reward`` predicts them."""

    def __init__(self, reward: LearnedReward) -> None:
        self._reward = reward
        self._predictions = [(np.empty(0), np.empty(0))]
        self._returns: dict[str, tuple[float, float]] = {}

    def predict_answers(self, labelled: Sequence[LabelledQuery]) -> None:
        """Predict these answers; "can't tell" is none."""
        self._predictions.append(pair_predictions(self._reward, labelled))

    def predict_returns(self, segments: Iterable[Segment]) -> None:
        """Predict these segments' returns; one that came before is passed over."""
        for segment in segments:
            if segment.id not in self._returns:
                predicted = self._reward.predict(segment.observations, segment.actions)
                self._returns[segment.id] = float(predicted.sum(dtype=np.float64)), segment.true_return

    def assessment(self) -> Assessment:
        """How it went."""
        probabilities, outcomes = (np.concatenate(parts) for parts in zip(*self._predictions, strict=True))
        any_pair = len(outcomes) > 0
        return Assessment(
            pairs=len(outcomes),
            calibration_error=calibration(probabilities, outcomes).expected_error if any_pair else None,
            log_loss=log_loss(probabilities, outcomes) if any_pair else None,
            correlation_true_return=self._correlation(),
        )

    def _correlation(self) -> float | None:
        if not self._returns:
            return None
        predicted, true = np.array(list(self._returns.values())).T
        value = pearson(predicted, true)
        return value if math.isfinite(value) else None


def pair_predictions(
    reward: LearnedReward, labelled: Sequence[LabelledQuery]
) -> tuple[np.ndarray, np.ndarray]:
    """What the ensemble expects of every pair of a query's segments, and what was answered.

    The answer's probability, not the preference's: with the label noise that the reward was trained under,
    P' = (1 - noise) P + noise / 2.

    Returns:
        probability that the first is ranked better, shape (P,) float64, the members' mean; and the outcome, 1
        when it was, .5 on a tie, else 0, shape (P,).
    """
    pairs, outcomes = [], []
    for item in labelled:
        ranks, segments = item.comparison.ranks, item.query.segments
        for first, second in combinations(range(len(ranks or ())), 2):
            assert ranks is not None
            pairs.append(Query((segments[first], segments[second])))
            outcomes.append((1.0 + np.sign(ranks[second] - ranks[first])) / 2.0)
    if not pairs:
        return np.empty(0), np.empty(0)
    preferred = reward.preference_probabilities(pairs)[..., 0].mean(axis=0, dtype=np.float64)
    noise = reward.config.label_noise
    return (1.0 - noise) * preferred + noise / 2.0, np.array(outcomes)
