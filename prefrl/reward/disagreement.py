"""Disagreement of an ensemble about a query: one definition, for the samplers and for `LearnedReward`.

E ensemble members, C queries, K items of a query.
"""

from __future__ import annotations

import numpy as np

__all__ = ["disagreement", "log_preferences"]


def disagreement(member_returns: np.ndarray) -> np.ndarray:
    """Spread of the predicted preference over the members (Christiano et al. 2017, section 2.2.4).

    For pairs it is the standard deviation of P(first item preferred). For K > 2 it is the root of the variance of
    P(item preferred), averaged over the items, which is the same number at K = 2.

    Args:
        member_returns: shape (E, C, K), each member's predicted segment returns, as log-odds.

    Returns:
        shape (C,) float64, in [0, 0.5].

    Raises:
        ValueError: when the shape is another, or a number is not finite.
    """
    preferences = np.exp(log_preferences(member_returns))
    return np.sqrt(preferences.var(axis=0).mean(axis=-1))


def log_preferences(member_returns: np.ndarray) -> np.ndarray:
    """Log-softmax over the items: each member's log P(item preferred), shape (E, C, K) float64.

    Args:
        member_returns: shape (E, C, K), as log-odds.

    Raises:
        ValueError: when the shape is another, or a number is not finite.
    """
    returns = np.asarray(member_returns, dtype=np.float64)
    if returns.ndim != 3 or returns.shape[0] < 1 or returns.shape[2] < 2:
        raise ValueError(f"member_returns has shape {returns.shape}; (E, C, K) with K >= 2 is needed")
    if not np.isfinite(returns).all():
        raise ValueError(
            "member_returns has numbers that are not finite: the learned reward has diverged; lower "
            "reward.learning_rate"
        )
    shifted = returns - returns.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
