"""Scores of candidate queries from the ensemble's predictions. Pure functions of arrays.

C candidate queries, K items of a query, E ensemble members. The score by disagreement is
`prefrl.reward.disagreement`, which the learned reward shares.
"""

from __future__ import annotations

import numpy as np

from prefrl.reward.disagreement import log_preferences

__all__ = ["entropy", "information_gain", "uniform"]


def uniform(count: int) -> np.ndarray:
    """The score 0 for all ``count`` candidates, which keeps them in the order they were drawn in."""
    return np.zeros(count)


def entropy(member_returns: np.ndarray) -> np.ndarray:
    """Mean over the members of the entropy of the preference each predicts, in nats.

    The entropy sampling of B-Pref (Lee et al. 2021), as its code averages over the ensemble.

    Args:
        member_returns: shape (E, C, K), each member's predicted segment returns, as log-odds.

    Returns:
        shape (C,) float64, in [0, log K].
    """
    logs = log_preferences(member_returns)
    return -(np.exp(logs) * logs).sum(axis=-1).mean(axis=0)


def information_gain(member_returns: np.ndarray) -> np.ndarray:
    """Mutual information between the answer and which member is right, in nats.

    The entropy of the mean preference minus `entropy`: high where each member is sure and they contradict each
    other, zero where all are equally unsure (BALD, Houlsby et al. 2011; for preferences Bıyık et al. 2019). The
    answer is which item comes first.

    Args:
        member_returns: shape (E, C, K), each member's predicted segment returns, as log-odds.

    Returns:
        shape (C,) float64, in [0, log K].
    """
    mean = np.exp(log_preferences(member_returns)).mean(axis=0)
    logs = np.log(mean, out=np.zeros_like(mean), where=mean > 0)
    entropy_of_mean = np.maximum(-(mean * logs).sum(axis=-1), 0.0)
    return np.maximum(entropy_of_mean - entropy(member_returns), 0.0)
