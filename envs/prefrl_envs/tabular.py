"""Finite Markov decision processes with an explicit transition tensor, and their exact solutions.

S states, A actions. All functions are pure functions of arrays, so that what an agent has learned can be checked
against the exact solution. Definitions follow Sutton and Barto, Reinforcement Learning, 2nd edition, chapters 2 to 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = [
    "TabularMDP",
    "boltzmann",
    "discounted_returns",
    "epsilon_greedy",
    "expected_return",
    "finite_horizon_optimum",
    "greedy",
    "policy_evaluation",
    "q_values",
    "state_values_from_q",
    "value_iteration",
]

MAX_SWEEPS = 100_000


@dataclass(frozen=True, eq=False)
class TabularMDP:
    """A finite Markov decision process (S, A, P, R, gamma).

    Raises:
        ValueError: when shapes disagree, a row of ``transitions`` is not a distribution, a reward is not
            finite, or gamma is outside [0, 1].
    """

    transitions: np.ndarray
    """shape (S, A, S) float64: ``transitions[s, a, t]`` is the probability of moving from s to t with action a"""
    rewards: np.ndarray
    """shape (S, A) float64: the expected reward of action a in state s"""
    gamma: float = 1.0
    """discount per step; ignored by the functions over a finite horizon"""

    def __post_init__(self) -> None:
        states, actions = self.rewards.shape
        if self.transitions.shape != (states, actions, states):
            raise ValueError(
                f"transitions of shape {self.transitions.shape} do not fit rewards of shape (S, A) = "
                f"{self.rewards.shape}; (S, A, S) is needed"
            )
        if not np.isfinite(self.rewards).all():
            raise ValueError("an MDP's rewards must be finite, these hold NaN or infinity")
        if not 0.0 <= self.gamma <= 1.0:
            raise ValueError(f"gamma is {self.gamma}; it must lie in [0, 1]")
        _check_distribution(self.transitions, "transitions")

    @property
    def terminal(self) -> np.ndarray:
        """Shape (S,) bool: True for states that can never be left and have reward 0."""
        stays = np.einsum("sas->sa", self.transitions)
        return ((stays == 1.0) & (self.rewards == 0.0)).all(axis=1)


def q_values(mdp: TabularMDP, values: np.ndarray) -> np.ndarray:
    """Q(s, a) = R(s, a) + gamma sum_t P(t | s, a) V(t), shape (S, A), from ``values`` of shape (S,)."""
    return mdp.rewards + mdp.gamma * mdp.transitions @ values


def state_values_from_q(q: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """V(s) = sum_a pi(a | s) Q(s, a), shape (S,), from ``q`` and ``policy`` of shape (S, A)."""
    _check_distribution(policy, "policy")
    return (policy * q).sum(axis=1)


def value_iteration(mdp: TabularMDP, tolerance: float = 1e-10) -> np.ndarray:
    """Values of an optimal policy, shape (S,), each within ``tolerance`` of the exact value if gamma < 1.

    Raises:
        ValueError: when the values do not converge, for example because gamma is 1 and rewards never end.
    """
    max_change = tolerance * (1.0 - mdp.gamma) / mdp.gamma if 0.0 < mdp.gamma < 1.0 else tolerance
    values = np.zeros(len(mdp.rewards))
    for _ in range(MAX_SWEEPS):
        improved = q_values(mdp, values).max(axis=1)
        change = float(np.abs(improved - values).max())
        values = improved
        if change <= max_change:
            return values
    raise ValueError(
        f"values still changed by {change:.3g} after {MAX_SWEEPS} sweeps with gamma {mdp.gamma}; "
        "use a gamma below 1, a larger tolerance, or finite_horizon_optimum"
    )


def policy_evaluation(mdp: TabularMDP, policy: np.ndarray) -> np.ndarray:
    """Values of ``policy``, shape (S,): the exact solution of V = R_pi + gamma P_pi V.

    Args:
        policy: shape (S, A), the probability of each action in each state.

    Raises:
        ValueError: when ``policy`` is not a distribution, or gamma is 1 and the policy never ends.
    """
    transitions, rewards = _under_policy(mdp, policy)
    live = np.flatnonzero(~mdp.terminal)
    system = np.eye(len(live)) - mdp.gamma * transitions[np.ix_(live, live)]
    values = np.zeros(len(rewards))
    try:
        values[live] = np.linalg.solve(system, rewards[live])
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"with gamma {mdp.gamma} this policy's values do not exist, as it never ends; "
            "use a gamma below 1, or expected_return over a horizon"
        ) from error
    return values


def greedy(q: np.ndarray) -> np.ndarray:
    """The policy (S, A) that takes the best action of ``q`` (S, A), the first one on ties."""
    return np.eye(q.shape[1])[q.argmax(axis=1)]


def epsilon_greedy(q: np.ndarray, epsilon: float) -> np.ndarray:
    """The policy (S, A) that is greedy, but with probability ``epsilon`` takes an action chosen uniformly.

    Raises:
        ValueError: when epsilon is outside [0, 1].
    """
    if not 0.0 <= epsilon <= 1.0:
        raise ValueError(f"epsilon is {epsilon}; it must lie in [0, 1]")
    return (1.0 - epsilon) * greedy(q) + epsilon / q.shape[1]


def boltzmann(q: np.ndarray, temperature: float) -> np.ndarray:
    """The policy (S, A) with pi(a | s) proportional to exp(Q(s, a) / temperature).

    Raises:
        ValueError: when the temperature is not above 0; `greedy` is its limit.
    """
    if not temperature > 0.0:
        raise ValueError(f"temperature is {temperature}; it must be above 0 (greedy() is the limit at 0)")
    weights = np.exp((q - q.max(axis=1, keepdims=True)) / temperature)
    return weights / weights.sum(axis=1, keepdims=True)


def discounted_returns(rewards: np.ndarray, gamma: float) -> np.ndarray:
    """G_t = sum_k gamma^k r_{t+k} for every step t, shape (T,), from ``rewards`` of shape (T,)."""
    returns = np.zeros(len(rewards))
    following = 0.0
    for step in reversed(range(len(rewards))):
        following = rewards[step] + gamma * following
        returns[step] = following
    return returns


def expected_return(mdp: TabularMDP, policy: np.ndarray, start: np.ndarray, horizon_steps: int) -> float:
    """Mean undiscounted sum of reward over ``horizon_steps`` steps of ``policy`` (S, A).

    Args:
        mdp: the process.
        policy: shape (S, A), the probability of each action in each state.
        start: shape (S,), the probability of each initial state.
        horizon_steps: number of steps.

    Raises:
        ValueError: when ``policy`` or ``start`` is not a distribution.
    """
    _check_distribution(start, "start")
    transitions, rewards = _under_policy(mdp, policy)
    values = np.zeros(len(rewards))
    for _ in range(horizon_steps):
        values = rewards + transitions @ values
    return float(start @ values)


def finite_horizon_optimum(mdp: TabularMDP, start: np.ndarray, horizon_steps: int) -> float:
    """Maximum mean undiscounted sum of reward over ``horizon_steps`` steps, by backward induction.

    The optimal policy may depend on the step. ``start`` (S,) is as in `expected_return`.

    Raises:
        ValueError: when ``start`` is not a distribution.
    """
    _check_distribution(start, "start")
    values = np.zeros(len(mdp.rewards))
    for _ in range(horizon_steps):
        values = (mdp.rewards + mdp.transitions @ values).max(axis=1)
    return float(start @ values)


def _under_policy(mdp: TabularMDP, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Markov reward process of ``policy``: transitions (S, S) and rewards (S,)."""
    if policy.shape != mdp.rewards.shape:
        raise ValueError(
            f"a policy of shape {policy.shape} does not fit an MDP with (S, A) = {mdp.rewards.shape}"
        )
    _check_distribution(policy, "policy")
    return np.einsum("sa,sat->st", policy, mdp.transitions), (policy * mdp.rewards).sum(axis=1)


def _check_distribution(rows: np.ndarray, name: str) -> None:
    sums = rows.sum(axis=-1)
    if not (rows >= 0.0).all() or not np.allclose(sums, 1.0, rtol=0.0, atol=1e-9):
        worst = float(np.ravel(sums)[np.abs(np.ravel(sums) - 1.0).argmax()])
        raise ValueError(
            f"{name} must hold probabilities: its smallest entry is {rows.min():.6g} (at least 0 is needed) "
            f"and a row sums to {worst:.6g} (1 is needed)"
        )
