"""Interquartile mean and bootstrap intervals over few seeds (Agarwal et al. 2021, arXiv 2108.13264)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["bootstrap_interval", "interquartile_mean"]

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def interquartile_mean(scores: ArrayLike) -> NDArray[np.float64]:
    """Mean over the last axis without the lowest and the highest ``floor(n / 4)`` of n scores.

    Whole scores are dropped, as in the paper's own library. Raises ValueError without scores.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64), axis=-1)
    count = ordered.shape[-1]
    if count == 0:
        raise ValueError("the interquartile mean of 0 scores is undefined; give at least 1")
    cut = count // 4
    return np.asarray(ordered[..., cut : count - cut].mean(axis=-1))


def bootstrap_interval(
    strata: Sequence[ArrayLike],
    statistic: Statistic = interquartile_mean,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a statistic over all scores, resampled with replacement within each stratum.

    A stratum is the scores of a task, one per seed. The statistic reduces the last axis.
    """
    rng = np.random.default_rng(seed)
    pooled = np.concatenate(
        [_resample(np.asarray(scores, float), resamples, rng) for scores in strata], axis=1
    )
    tail = (1 - confidence) / 2
    low, high = np.quantile(statistic(pooled), [tail, 1 - tail])
    return float(low), float(high)


def _resample(scores: NDArray[np.float64], resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(n,) -> (resamples, n)"""
    return scores[rng.integers(len(scores), size=(resamples, len(scores)))]
