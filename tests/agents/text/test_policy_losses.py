from __future__ import annotations

import math

import pytest
import torch

from prefrl.config import Aggregation
from prefrl_agents.text.policy_losses import (
    aggregate,
    grpo_loss,
    ppo_policy_loss,
    ppo_value_loss,
)

RATIOS = torch.tensor([[99.0, 1.5, 0.5], [1.5, 0.5, 1.1]])
MASK = torch.tensor([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]])


def test_ppo_policy_loss_by_hand() -> None:
    advantages = torch.tensor([[99.0, 1.0, 1.0], [-1.0, -1.0, 2.0]])
    log_prob = RATIOS.log().requires_grad_()
    loss, statistics = ppo_policy_loss(log_prob, torch.zeros(2, 3), advantages, MASK, 0.2, 0.3)
    # min(1.5, 1.3), min(.5, .8), min(-1.5, -1.3), min(-.5, -.8), 2 * 1.1
    assert loss.item() == pytest.approx(-(1.3 + 0.5 - 1.5 - 0.8 + 2.2) / 5)
    assert statistics.ratio_mean.item() == pytest.approx((1.5 + 0.5 + 1.5 + 0.5 + 1.1) / 5)
    assert statistics.ratio_max.item() == pytest.approx(1.5)
    # The first and the fourth would go further out of the range; the second and third come back.
    assert statistics.clip_fraction.item() == pytest.approx(2 / 5)
    k3 = 2 * (1.5 - 1 - math.log(1.5)) + 2 * (0.5 - 1 - math.log(0.5)) + (1.1 - 1 - math.log(1.1))
    assert statistics.approx_kl.item() == pytest.approx(k3 / 5, rel=1e-5)
    # d ratio / d log_prob = ratio, where the clip does not stop it
    (gradient,) = torch.autograd.grad(loss, log_prob)
    torch.testing.assert_close(gradient, torch.tensor([[0.0, 0.0, -0.5], [1.5, 0.0, -2.2]]) / 5)


def test_the_ratio_of_a_policy_to_itself_is_exactly_one() -> None:
    log_prob = -torch.rand(4, 5, generator=torch.Generator().manual_seed(0)) * 30
    advantages = torch.ones(4, 5)
    loss, statistics = ppo_policy_loss(log_prob, log_prob.clone(), advantages, torch.ones(4, 5))
    assert (statistics.ratio_mean.item(), statistics.ratio_max.item()) == (1.0, 1.0)
    assert (statistics.clip_fraction.item(), statistics.approx_kl.item()) == (0.0, 0.0)
    assert loss.item() == -1.0


@pytest.mark.parametrize("log_ratio", [-100.0, 100.0])
@pytest.mark.parametrize("advantage", [-1.0, 1.0])
def test_log_ratios_of_a_hundred_stay_finite(log_ratio: float, advantage: float) -> None:
    log_prob = torch.tensor([[log_ratio]], requires_grad=True)
    loss, statistics = ppo_policy_loss(
        log_prob, torch.zeros(1, 1), torch.tensor([[advantage]]), torch.ones(1, 1)
    )
    (gradient,) = torch.autograd.grad(loss, log_prob)
    numbers = [loss, gradient, statistics.ratio_max, statistics.approx_kl]
    assert all(number.isfinite().all() for number in numbers)
    # Much too probable and bad: the one case in which the clip lets go.
    assert (gradient.item() > 1) == (log_ratio > 0 > advantage)


def test_value_loss_by_hand() -> None:
    values = torch.tensor([[99.0, 1.0, 1.0, 1.0]], requires_grad=True)
    old_values, returns = torch.tensor([[0.0, 0.0, 0.0, 0.9]]), torch.tensor([[0.0, 2.0, -1.0, 2.0]])
    loss = ppo_value_loss(values, old_values, returns, torch.tensor([[0.0, 1.0, 1.0, 1.0]]), 0.2)
    # clipped to .2, .2, 1: the larger of 1 and 1.8^2, of 2^2 and 1.2^2, and 1
    assert loss.item() == pytest.approx(0.5 * (1.8**2 + 4 + 1) / 3)
    (gradient,) = torch.autograd.grad(loss, values)
    # A value that has gone beyond the clip towards its return waits; one that went astray is called back.
    torch.testing.assert_close(gradient, torch.tensor([[0.0, 0.0, 2.0 / 3, -1.0 / 3]]))


@pytest.mark.parametrize(
    ("how", "loss"),
    [("grpo", (4 / 2 + 8 / 1 + 0) / 3), ("dapo", (4 + 8) / 3), ("dr_grpo", (4 + 8) / (3 * 10))],
)
def test_aggregation_by_hand(how: Aggregation, loss: float) -> None:
    per_token = torch.tensor([[99.0, 1.0, 3.0], [8.0, 99.0, 99.0], [99.0, 99.0, 99.0]])
    mask = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert aggregate(per_token, mask, how, 10).item() == pytest.approx(loss)
    assert aggregate(per_token, mask.bool(), how, 10).item() == pytest.approx(loss)


@pytest.mark.parametrize("how", ["grpo", "dapo", "dr_grpo"])
def test_a_batch_without_responses_has_zero_loss(how: Aggregation) -> None:
    assert aggregate(torch.ones(2, 3), torch.zeros(2, 3), how, 10).item() == 0.0


def test_grpo_loss_by_hand() -> None:
    arguments = RATIOS.log(), torch.zeros(2, 3), torch.tensor([1.0, -2.0]), MASK, "dapo", 10
    loss, statistics = grpo_loss(*arguments)
    # min(1.5, 1.28), min(.5, .8); -2 max(1.5, 1.28), -2 max(.5, .8), -2 * 1.1
    surrogate = (1.28 + 0.5 - 2 * (1.5 + 0.8 + 1.1)) / 5
    assert loss.item() == pytest.approx(-surrogate)
    assert statistics.clip_fraction.item() == pytest.approx(2 / 5)
    # a reference of 1/2 the policy's probability: k3 = exp(-x) - 1 + x with x = log 2
    with_kl, _ = grpo_loss(*arguments, reference_log_prob=(RATIOS / 2).log(), kl_coefficient=0.1)
    assert with_kl.item() == pytest.approx(-surrogate + 0.1 * (0.5 - 1 + math.log(2)))


def test_a_kl_coefficient_needs_a_reference() -> None:
    with pytest.raises(ValueError, match=r"kl_coefficient is 0\.1.*give reference_log_prob"):
        grpo_loss(
            torch.zeros(1, 1),
            torch.zeros(1, 1),
            torch.zeros(1),
            torch.ones(1, 1),
            "grpo",
            10,
            kl_coefficient=0.1,
        )
