"""Best of n: draw n responses and keep the one with the highest reward."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["best_of_n", "best_of_n_kl", "best_of_n_scores"]


def best_of_n(scores: Float[Tensor, "B n"]) -> Int[Tensor, " B"]:
    """Index of each row's highest score."""
    return scores.argmax(dim=1)


def best_of_n_kl(n: int) -> float:
    """KL(best of n || policy) in nats per response: log n - (n - 1) / n.

    Exact where all responses have different scores, otherwise an upper bound (Beirami et al. 2024).
    Source: Stiennon et al. 2020, appendix G.3.

    Raises:
        ValueError: when n is less than 1.
    """
    if n < 1:
        raise ValueError(f"n is {n}; best of n needs at least 1 response")
    return math.log(n) - (n - 1) / n


def best_of_n_scores(proxy: np.ndarray, gold: np.ndarray, ns: Sequence[int]) -> np.ndarray:
    """Mean gold score of the best of n by proxy, for each n, from N scored responses to one prompt.

    The mean over all C(N, n) subsets: the i-th smallest by proxy is the best of C(i - 1, n - 1) of them. Unbiased for
    any N >= n. Responses with the same proxy score are equally likely to be kept.
    Source: Nakano et al. 2021, appendix I.

    Args:
        proxy: shape (N,), the scores that select.
        gold: shape (N,), the scores whose mean is returned.

    Returns:
        shape (len(ns),), float64.

    Raises:
        ValueError: when the shapes differ, a score is NaN, or an n is not in 1..N.
    """
    proxy, gold = np.asarray(proxy, dtype=np.float64), np.asarray(gold, dtype=np.float64)
    _check_scores(proxy, gold, ns)
    ascending = _mean_of_ties(proxy, gold)[np.argsort(proxy)]
    return np.array([_weights(len(proxy), n) @ ascending for n in ns], dtype=np.float64)


def _check_scores(proxy: np.ndarray, gold: np.ndarray, ns: Sequence[int]) -> None:
    if proxy.ndim != 1 or proxy.shape != gold.shape:
        raise ValueError(f"proxy has shape {proxy.shape} and gold {gold.shape}; give one of each a response")
    if np.isnan(proxy).any() or np.isnan(gold).any():
        raise ValueError("a score is NaN; leave out the responses that could not be scored")
    for n in ns:
        if not 1 <= n <= len(proxy):
            raise ValueError(f"n is {n}, but there are {len(proxy)} samples; n must lie in 1..{len(proxy)}")


def _mean_of_ties(proxy: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """The gold score of each response, averaged over the responses with the same proxy score."""
    _, group, counts = np.unique(proxy, return_inverse=True, return_counts=True)
    return (np.bincount(group, gold) / counts)[group]


def _weights(num_samples: int, n: int) -> np.ndarray:
    """C(i - 1, n - 1) / C(N, n) for i = 1..N, computed from the last one down by quotients, which cannot overflow."""
    ranks = np.arange(num_samples, 1, -1)
    quotients = np.maximum(ranks - n, 0) / (ranks - 1)
    return n / num_samples * np.concatenate([[1.0], quotients]).cumprod()[::-1]
