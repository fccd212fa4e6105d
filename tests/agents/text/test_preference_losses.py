from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prefrl.config import PreferenceKind
from prefrl_agents.text.preference_losses import dpo_loss, k_wise_dpo, sft_loss

LOG_3 = math.log(3)


def loss_of(difference: float, beta: float, kind: PreferenceKind, smoothing: float = 0.0) -> float:
    zero = torch.zeros(1, dtype=torch.float64)
    return dpo_loss(zero + difference, zero, zero, zero, beta, kind, smoothing)[0].item()


def test_sft_counts_only_response_tokens() -> None:
    log_probs = torch.tensor([[-99.0, -1.0, -2.0], [-6.0, -99.0, -99.0]], requires_grad=True)
    loss = sft_loss(log_probs, torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]))
    assert loss.item() == pytest.approx((1 + 2 + 6) / 3)
    (gradient,) = torch.autograd.grad(loss, log_probs)
    torch.testing.assert_close(gradient, torch.tensor([[0.0, -1.0, -1.0], [-1.0, 0.0, 0.0]]) / 3)


@pytest.mark.parametrize(
    ("kind", "smoothing", "loss"),
    [
        # beta D = log 3: sigma = 3/4
        ("sigmoid", 0.0, -math.log(3 / 4)),
        ("cdpo", 0.0, -math.log(3 / 4)),
        ("cdpo", 0.1, -0.9 * math.log(3 / 4) - 0.1 * math.log(1 / 4)),
        ("robust", 0.0, -math.log(3 / 4)),
        ("robust", 0.1, (-0.9 * math.log(3 / 4) + 0.1 * math.log(1 / 4)) / 0.8),
        # (2 log 3 - 1 / (2 * .5))^2
        ("ipo", 0.0, (2 * LOG_3 - 1) ** 2),
    ],
)
def test_dpo_losses_by_hand(kind: PreferenceKind, smoothing: float, loss: float) -> None:
    chosen, reference_chosen = torch.tensor([-1.0]), torch.tensor([-1.0 - LOG_3])
    rejected, reference_rejected = torch.tensor([-4.0 - LOG_3]), torch.tensor([-4.0])
    losses, chosen_rewards, rejected_rewards = dpo_loss(
        chosen, rejected, reference_chosen, reference_rejected, 0.5, kind, smoothing
    )
    assert losses.tolist() == pytest.approx([loss], rel=1e-5)
    assert chosen_rewards.tolist() == pytest.approx([LOG_3 / 2])
    assert rejected_rewards.tolist() == pytest.approx([-LOG_3 / 2])


def test_implied_rewards_have_no_gradient() -> None:
    log_prob = torch.zeros(1, requires_grad=True)
    loss, *rewards = dpo_loss(log_prob, log_prob, torch.zeros(1), torch.zeros(1), 0.1)
    assert loss.requires_grad
    assert not any(reward.requires_grad for reward in rewards)


@given(difference=st.floats(-100, 100), error=st.floats(0, 0.4))
@settings(deadline=None)
def test_the_mean_robust_loss_over_wrong_labels_equals_the_clean_loss(
    difference: float, error: float
) -> None:
    mean = (1 - error) * loss_of(difference, 0.3, "robust", error)
    mean += error * loss_of(-difference, 0.3, "robust", error)
    assert mean == pytest.approx(loss_of(difference, 0.3, "sigmoid"), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "smoothing", "optimum"),
    # cDPO is content where sigma(beta D) = 1 - e, IPO where D = 1 / (2 beta)
    [("cdpo", 0.2, math.log(0.8 / 0.2) / 0.5), ("ipo", 0.0, 1.0)],
)
def test_losses_have_their_minimum_at_the_optimum(
    kind: PreferenceKind, smoothing: float, optimum: float
) -> None:
    here = loss_of(optimum, 0.5, kind, smoothing)
    assert here < loss_of(optimum - 0.01, 0.5, kind, smoothing)
    assert here < loss_of(optimum + 0.01, 0.5, kind, smoothing)


@pytest.mark.parametrize("kind", ["sigmoid", "ipo", "cdpo", "robust"])
@pytest.mark.parametrize("difference", [-100.0, 100.0])
def test_log_ratios_of_a_hundred_stay_finite(kind: PreferenceKind, difference: float) -> None:
    zero, smoothing = torch.zeros(1), 0.1 if kind in ("cdpo", "robust") else 0.0
    chosen = torch.tensor([difference], requires_grad=True)
    loss, *_ = dpo_loss(chosen, zero, zero, zero, 10.0, kind, smoothing)
    (gradient,) = torch.autograd.grad(loss.sum(), chosen)
    assert loss.isfinite().all()
    assert gradient.isfinite().all()


def test_k_wise_loss_by_hand() -> None:
    # log-ratios 1, 2, -1, the first and last tied: pairs (second, first) and (second, last)
    ranks = torch.tensor([[2, 1, 2], [1, 1, 1]])
    log_probs = torch.tensor([[1.0, 2.0, -1.0], [1.0, 2.0, -1.0]])
    loss, rewards = k_wise_dpo(log_probs, torch.zeros(2, 3), ranks, 0.5)
    by_hand = (math.log1p(math.exp(-0.5 * 1)) + math.log1p(math.exp(-0.5 * 3))) / 2
    assert loss.tolist() == pytest.approx([by_hand, 0.0])
    torch.testing.assert_close(rewards, log_probs / 2)


@pytest.mark.parametrize(
    ("kind", "smoothing"), [("sigmoid", 0.0), ("ipo", 0.0), ("cdpo", 0.2), ("robust", 0.2)]
)
def test_k_wise_loss_of_two_responses_equals_the_pair_loss(kind: PreferenceKind, smoothing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    log_probs, reference = torch.randn(2, 4, 2, generator=generator)
    first_wins = torch.tensor([True, False, False, True])
    ranks = torch.where(first_wins[:, None], torch.tensor([1, 2]), torch.tensor([2, 1]))
    loss, rewards = k_wise_dpo(log_probs, reference, ranks, 0.3, kind, smoothing)

    def by_rank(values: Tensor) -> tuple[Tensor, Tensor]:
        ordered = values.gather(1, ranks - 1)
        return ordered[:, 0], ordered[:, 1]

    (chosen, rejected), references = by_rank(log_probs), by_rank(reference)
    pair_loss, *pair_rewards = dpo_loss(chosen, rejected, *references, 0.3, kind, smoothing)
    torch.testing.assert_close(loss, pair_loss)
    torch.testing.assert_close(by_rank(rewards), tuple(pair_rewards))


def test_invalid_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"beta is 0\.0"):
        loss_of(1.0, 0.0, "sigmoid")
    with pytest.raises(ValueError, match=r"label_smoothing is 0\.5"):
        loss_of(1.0, 0.1, "robust", 0.5)
    with pytest.raises(ValueError, match="which 'ipo' ignores; take cdpo or robust"):
        loss_of(1.0, 0.1, "ipo", 0.1)
