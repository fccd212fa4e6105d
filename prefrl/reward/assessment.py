"""Assessment of a learned reward: how well it predicts answers and true returns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from prefrl.config.modality import modality_of
from prefrl.data.types import LabelledQuery, Query, Segment
from prefrl.reward.learned_reward import LearnedReward
from prefrl.reward.metrics import accuracy, calibration, log_loss, pearson

__all__ = ["Assessment", "Assessor", "pair_predictions"]


@dataclass(frozen=True)
class Assessment:
    """How well a learned reward predicts; a number is None if there was nothing to predict."""

    pairs: int
    """pairs of segments whose answers were predicted, ties included"""
    calibration_error: float | None
    """mean difference of predicted probability and observed share, over those pairs"""
    log_loss: float | None
    """mean cross-entropy in nats over those pairs; always predicting .5 gives 0.693"""
    correlation_true_return: float | None
    """Pearson correlation of the segments' predicted return, as the agent sees it, with the true return; None also if
    either is constant, as true returns are if they were never known"""
    length_bias: float | None = None
    """for texts: Pearson correlation of the predicted reward with the response length (Singhal et al. 2023)"""
    accuracy_longer: float | None = None
    """for texts: share of the predicted pairs, without ties, in which the longer response was ranked better; a reward
    that is not more accurate than this may have learned only length"""


class Assessor:
    """Assesses a learned reward on comparisons that are given in batches."""

    def __init__(self, reward: LearnedReward) -> None:
        self._reward, self._modality = reward, modality_of(reward.observation_spec)
        self._predictions = [(np.empty(0), np.empty(0))]
        self._returns: dict[str, tuple[float, float]] = {}
        self._lengths: dict[str, float] = {}
        self._longer_right, self._longer_pairs = 0.0, 0

    def predict_answers(self, labelled: Sequence[LabelledQuery]) -> None:
        """Predict these answers; "can't tell" is skipped."""
        self._predictions.append(pair_predictions(self._reward, labelled))
        if self._modality.varies_in_length:
            self._predict_by_length(labelled)

    def predict_returns(self, segments: Iterable[Segment]) -> None:
        """Predict these segments' returns; a segment given before is skipped."""
        for segment in segments:
            if segment.id not in self._returns:
                predicted = self._reward.predict(segment.observations, segment.actions)
                self._returns[segment.id] = float(predicted.sum(dtype=np.float64)), segment.true_return
                if self._modality.varies_in_length:
                    self._lengths[segment.id] = self._modality.length(segment)

    def assessment(self) -> Assessment:
        """The assessment on everything given so far."""
        probabilities, outcomes = (np.concatenate(parts) for parts in zip(*self._predictions, strict=True))
        any_pair = len(outcomes) > 0
        returns = np.array(list(self._returns.values())).reshape(-1, 2)
        return Assessment(
            pairs=len(outcomes),
            calibration_error=calibration(probabilities, outcomes).expected_error if any_pair else None,
            log_loss=log_loss(probabilities, outcomes) if any_pair else None,
            correlation_true_return=_correlation(returns[:, 0], returns[:, 1]),
            length_bias=_correlation(returns[:, 0], list(self._lengths.values())) if self._lengths else None,
            accuracy_longer=self._longer_right / self._longer_pairs if self._longer_pairs else None,
        )

    def _predict_by_length(self, labelled: Sequence[LabelledQuery]) -> None:
        for item in labelled:
            if item.comparison.ranks is not None:
                lengths = np.array([[self._modality.length(segment) for segment in item.query.segments]])
                share, pairs = accuracy(lengths, np.array([item.comparison.ranks]))
                self._longer_right += share * pairs if pairs else 0.0
                self._longer_pairs += pairs


def _correlation(predicted: np.ndarray, other: np.ndarray | Sequence[float]) -> float | None:
    value = pearson(predicted, np.asarray(other))
    return value if math.isfinite(value) else None


def pair_predictions(
    reward: LearnedReward, labelled: Sequence[LabelledQuery]
) -> tuple[np.ndarray, np.ndarray]:
    """Predicted probability and outcome of each pair of segments in the queries.

    The probability is that of the answer, which includes the label noise the reward was trained with:
    P' = (1 - noise) P + noise / 2.

    Returns:
        the probability that the first segment is ranked better, mean over the members, shape (P,) float64; and the
        outcome, shape (P,): 1 if it was ranked better, .5 on a tie, else 0.
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
