"""Exact optima of the small environments."""

from __future__ import annotations

from typing import Any

import numpy as np

from prefrl_envs.base import TabularEnv

__all__ = ["intended_return_of_written_optimum", "optimal_return"]

_TIE = 1e-9


def optimal_return(env: Any) -> float:
    """Mean intended return of the best policy that observes the whole state; exact."""
    return float(env.optimal_return(intended=True) if isinstance(env, TabularEnv) else env.optimal_return())


def intended_return_of_written_optimum(env: TabularEnv[Any]) -> tuple[float, float]:
    """Minimum and maximum of the mean intended return over all policies that are optimal by the written reward.

    Exact, by backward induction over the episode; the policies may depend on the step.
    """
    return -_best_among_optimal(env, -env.intended_rewards), _best_among_optimal(env, env.intended_rewards)


def _best_among_optimal(env: TabularEnv[Any], rewards: np.ndarray) -> float:
    """Maximum mean return by ``rewards``, shape (S, A), of the policies that are optimal by the written reward."""
    written = np.zeros(len(env.start))
    chosen = np.zeros(len(env.start))
    for _ in range(env.horizon_steps):
        q = env.rewards + env.transitions @ written
        written = q.max(axis=1)
        is_optimal = q >= written[:, None] - _TIE
        chosen = np.where(is_optimal, rewards + env.transitions @ chosen, -np.inf).max(axis=1)
    return float(env.start @ chosen)
