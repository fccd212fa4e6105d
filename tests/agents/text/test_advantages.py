from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl_agents.text.advantages import group_advantages, zero_std_share


def test_group_advantages_by_hand() -> None:
    rewards = torch.tensor([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0]])
    # mean 3, sample variance (4 + 1 + 9) / 2 = 7
    plain = torch.tensor([[-2.0, -1.0, 3.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(group_advantages(rewards, scale_by_std=False), plain)
    scaled = group_advantages(rewards, scale_by_std=True, epsilon=0.5)
    torch.testing.assert_close(scaled, plain / (math.sqrt(7) + 0.5))


@given(reward=st.floats(-1e6, 1e6, width=32), scale_by_std=st.booleans())
@settings(deadline=None)
def test_equal_rewards_give_zero_advantages_despite_rounding(reward: float, scale_by_std: bool) -> None:
    rewards = torch.full((1, 3), reward)
    assert group_advantages(rewards, scale_by_std).tolist() == [[0.0, 0.0, 0.0]]
    assert zero_std_share(rewards).item() == 1.0


def test_zero_std_share_by_hand() -> None:
    rewards = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.1, 0.1], [2.0, 3.0]])
    assert zero_std_share(rewards).item() == 0.5


def test_a_group_of_one_has_no_baseline() -> None:
    with pytest.raises(ValueError, match="a group has 1 response"):
        group_advantages(torch.zeros(4, 1), scale_by_std=False)
