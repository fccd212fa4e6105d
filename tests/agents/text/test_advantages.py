from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.buffers import RolloutBuffer

from prefrl_agents.text.advantages import group_advantages, masked_gae, zero_std_share


def test_gae_by_hand() -> None:
    # The response is tokens 1 and 2; gamma .5, lambda .5:
    # delta_2 = 10 - 4 = 6; delta_1 = 2 + .5 * 4 - 3 = 1; A_1 = 1 + .25 * 6 = 2.5
    advantages, returns = masked_gae(
        torch.tensor([[99.0, 2.0, 10.0, 99.0]]),
        torch.tensor([[99.0, 3.0, 4.0, 99.0]]),
        torch.tensor([[False, True, True, False]]),
        0.5,
        0.5,
    )
    assert advantages.tolist() == [[0.0, 2.5, 6.0, 0.0]]
    assert returns.tolist() == [[0.0, 5.5, 10.0, 0.0]]


def test_nothing_is_bootstrapped_at_the_length_limit() -> None:
    advantages, returns = masked_gae(
        torch.tensor([[0.0, 1.0]]), torch.tensor([[5.0, 5.0]]), torch.ones(1, 2), 1.0, 1.0
    )
    assert advantages.tolist() == [[-4.0, -4.0]]
    assert returns.tolist() == [[1.0, 1.0]]


def slow_gae(rewards: list[float], values: list[float], gamma: float, lam: float) -> list[float]:
    """Schulman et al. 2016, eq. 16, term by term."""
    length = len(rewards)
    deltas = [
        rewards[t] + (gamma * values[t + 1] if t + 1 < length else 0.0) - values[t] for t in range(length)
    ]
    return [sum((gamma * lam) ** (k - t) * deltas[k] for k in range(t, length)) for t in range(length)]


@given(
    spans=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=4),
    gamma=st.floats(0, 1),
    lam=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
@settings(deadline=None)
def test_gae_is_the_sum_of_its_terms(
    spans: list[tuple[int, int]], gamma: float, lam: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rewards, values = rng.normal(size=(2, len(spans), 7))
    mask, expected = np.zeros((len(spans), 7), dtype=bool), np.zeros((len(spans), 7))
    for row, (start, length) in enumerate(spans):
        span = slice(start, start + length)
        mask[row, span] = True
        expected[row, span] = slow_gae(rewards[row, span].tolist(), values[row, span].tolist(), gamma, lam)
    advantages, returns = masked_gae(*map(torch.from_numpy, (rewards, values, mask)), gamma, lam)
    np.testing.assert_allclose(advantages, expected, atol=1e-12)
    np.testing.assert_allclose(returns, np.where(mask, expected + values, 0.0), atol=1e-12)


def test_gae_is_that_of_stable_baselines3() -> None:
    steps, rows = 6, 3
    rng = np.random.default_rng(0)
    buffer = RolloutBuffer(
        steps, spaces.Box(0, 1), spaces.Discrete(2), "cpu", gae_lambda=0.95, gamma=0.99, n_envs=rows
    )
    buffer.rewards[:], buffer.values[:] = rng.normal(size=(2, steps, rows))
    # What comes after the last step is worth something, but the episode is over.
    buffer.compute_returns_and_advantage(torch.full((rows, 1), 7.0), np.ones(rows))
    advantages, returns = masked_gae(
        torch.from_numpy(buffer.rewards.T.copy()),
        torch.from_numpy(buffer.values.T.copy()),
        torch.ones(rows, steps),
        0.99,
        0.95,
    )
    np.testing.assert_allclose(advantages, buffer.advantages.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(returns, buffer.returns.T, rtol=1e-5, atol=1e-6)


def test_group_advantages_by_hand() -> None:
    rewards = torch.tensor([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0]])
    # mean 3, sample variance (4 + 1 + 9) / 2 = 7
    plain = torch.tensor([[-2.0, -1.0, 3.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(group_advantages(rewards, scale_by_std=False), plain)
    scaled = group_advantages(rewards, scale_by_std=True, epsilon=0.5)
    torch.testing.assert_close(scaled, plain / (math.sqrt(7) + 0.5))


@given(reward=st.floats(-1e6, 1e6, width=32), scale_by_std=st.booleans())
@settings(deadline=None)
def test_equal_rewards_teach_nothing_however_they_round(reward: float, scale_by_std: bool) -> None:
    rewards = torch.full((1, 3), reward)
    assert group_advantages(rewards, scale_by_std).tolist() == [[0.0, 0.0, 0.0]]
    assert zero_std_share(rewards).item() == 1.0


def test_zero_std_share_by_hand() -> None:
    rewards = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.1, 0.1], [2.0, 3.0]])
    assert zero_std_share(rewards).item() == 0.5


def test_a_group_of_one_has_no_baseline() -> None:
    with pytest.raises(ValueError, match="a group has 1 response"):
        group_advantages(torch.zeros(4, 1), scale_by_std=False)
