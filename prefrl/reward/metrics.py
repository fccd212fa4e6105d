"""Metrics of a learned reward: pure functions of numpy arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = [
    "Calibration",
    "accuracy",
    "brier_score",
    "calibration",
    "log_loss",
    "pearson",
    "spearman",
    "wilson_interval",
]

_NORMAL_95 = 1.959964
"""97.5% quantile of the normal distribution"""


@dataclass(frozen=True)
class Calibration:
    """Predicted probability against observed share, by bins of equal width; empty bins are left out."""

    expected_error: float
    """mean |predicted - observed| over the predictions (Guo et al. 2017, eq. 3)"""
    predicted: np.ndarray
    """shape (bins,), mean predicted probability"""
    observed: np.ndarray
    """shape (bins,), mean outcome"""
    counts: np.ndarray
    """shape (bins,), predictions in the bin"""


def accuracy(scores: np.ndarray, ranks: np.ndarray) -> tuple[float, int]:
    """Share of pairs whose order the scores predict right, and the number of pairs; pairs ranked equal are left out.

    Args:
        scores: shape (Q, K), higher is better; equal scores count half.
        ranks: shape (Q, K), 1 is the best.

    Returns:
        (share, pairs); the share is NaN if there are no pairs.
    """
    first, second = np.triu_indices(scores.shape[1], k=1)
    answer = np.sign(ranks[:, second] - ranks[:, first])
    agreement = answer * np.sign(scores[:, first] - scores[:, second])
    pairs = int(np.count_nonzero(answer))
    return ((float(agreement.sum()) / pairs + 1) / 2 if pairs else float("nan")), pairs


def calibration(probabilities: np.ndarray, outcomes: np.ndarray, bins: int = 10) -> Calibration:
    """Calibration of predicted probabilities (Q,) against outcomes (Q,) in [0, 1]; a tie is an outcome of .5.

    Raises:
        ValueError: when there is no prediction.
    """
    if len(probabilities) == 0:
        raise ValueError("calibration needs at least one prediction, got none")
    bin_of = np.minimum((np.asarray(probabilities) * bins).astype(np.int64), bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    filled = counts > 0
    counts = counts[filled]
    predicted = np.bincount(bin_of, probabilities, bins)[filled] / counts
    observed = np.bincount(bin_of, outcomes, bins)[filled] / counts
    error = float((np.abs(predicted - observed) * counts).sum() / counts.sum())
    return Calibration(error, predicted, observed, counts)


def brier_score(probabilities: np.ndarray, outcomes: np.ndarray) -> float:
    """Mean squared difference between probability and outcome; 0 is perfect, always predicting .5 gives .25."""
    return float(np.mean(np.square(np.asarray(probabilities, dtype=np.float64) - outcomes)))


def log_loss(probabilities: np.ndarray, outcomes: np.ndarray, floor: float = 1e-12) -> float:
    """Mean cross-entropy in nats; probabilities are kept ``floor`` away from 0 and 1."""
    p = np.clip(np.asarray(probabilities, dtype=np.float64), floor, 1 - floor)
    return float(-np.mean(outcomes * np.log(p) + (1 - outcomes) * np.log1p(-p)))


def pearson(predicted: np.ndarray, true: np.ndarray) -> float:
    """Pearson correlation of two arrays of the same shape, per step or per segment; NaN if one is constant or empty."""
    x, y = (np.asarray(values, dtype=np.float64).ravel() for values in (predicted, true))
    # Checked on the values themselves: a constant minus its mean may leave rounding error.
    if x.size == 0 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt(np.square(x).sum() * np.square(y).sum())
    return float((x * y).sum() / scale) if scale > 0 else float("nan")


def spearman(predicted: np.ndarray, true: np.ndarray) -> float:
    """Spearman rank correlation; equal values share their mean rank; NaN if one array is constant."""
    return pearson(_mean_ranks(predicted), _mean_ranks(true))


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """95% interval of the share ``right / count`` of independent trials (Wilson 1927); (0, 1) without trials."""
    if count == 0:
        return 0.0, 1.0
    z2, share = _NORMAL_95**2, right / count
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _NORMAL_95 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(np.ravel(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
