"""Measures of reward over-optimisation: fits of gold reward against KL, and diversity. Pure functions of numpy arrays.

d is the square root of KL(policy || reference) in nats per response; gold scores are relative to the reference's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["distinct_n", "fit_best_of_n", "fit_rl"]


def fit_best_of_n(d: np.ndarray, reward: np.ndarray) -> tuple[float, float]:
    """The alpha and beta of R = d (alpha - beta d), gold score against distance, by least squares.

    Source: Gao et al. 2022, section 3.1.

    Args:
        d: shape (N,), positive.
        reward: shape (N,), the mean gold score; that of the reference is 0.

    Raises:
        ValueError: when the shapes differ, a distance is not positive, or fewer than 2 are distinct.
    """
    return _fit(d, reward, np.positive)


def fit_rl(d: np.ndarray, reward: np.ndarray) -> tuple[float, float]:
    """The alpha and beta of R = d (alpha - beta log d); otherwise as `fit_best_of_n`."""
    return _fit(d, reward, np.log)


def distinct_n(token_lists: Sequence[Sequence[int]], n: int) -> float:
    """Distinct n-grams over all n-grams of the responses: near 0 when all are similar, NaN without any n-gram.

    Source: Li et al. 2016, A diversity-promoting objective function for neural conversation models.

    Raises:
        ValueError: when n is less than 1.
    """
    if n < 1:
        raise ValueError(f"n is {n}; an n-gram has at least 1 token")
    ngrams = [tuple(tokens[i : i + n]) for tokens in token_lists for i in range(len(tokens) - n + 1)]
    return len(set(ngrams)) / len(ngrams) if ngrams else float("nan")


def _fit(
    d: np.ndarray, reward: np.ndarray, decline: Callable[[np.ndarray], np.ndarray]
) -> tuple[float, float]:
    """Least squares of R = d (alpha - beta decline(d))."""
    d, reward = np.asarray(d, dtype=np.float64), np.asarray(reward, dtype=np.float64)
    if d.ndim != 1 or d.shape != reward.shape:
        raise ValueError(f"d has shape {d.shape} and reward {reward.shape}; give one of each a policy")
    if not (np.isfinite(d) & np.isfinite(reward)).all():
        raise ValueError(
            "a distance or a reward is not finite; leave out the policies that could not be scored"
        )
    if not (d > 0).all():
        raise ValueError(f"a distance is {d.min()}; leave out the reference itself, all others are positive")
    if len(np.unique(d)) < 2:
        raise ValueError(
            f"{len(np.unique(d))} distinct distances cannot fix two coefficients; give 2 or more"
        )
    (alpha, beta), *_ = np.linalg.lstsq(np.stack([d, -d * decline(d)], axis=1), reward, rcond=None)
    return float(alpha), float(beta)
