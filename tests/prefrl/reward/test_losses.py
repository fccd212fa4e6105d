"""Preference losses by hand, by enumeration, and against each other."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prefrl.config import RewardConfig
from prefrl.reward.losses import (
    MAX_RANKED_ITEMS,
    bradley_terry_loss,
    margin_loss,
    pairwise_targets,
    plackett_luce_loss,
    preference_cross_entropy,
    preference_loss,
    preference_probability,
    preference_scale,
    regression_loss,
    segment_returns,
)

CLEAN = torch.zeros(1)


def one_query(*returns: float) -> Tensor:
    return torch.tensor([[returns]], dtype=torch.float32)


def ranked(*ranks: int) -> Tensor:
    return torch.tensor([ranks])


def test_segment_returns_are_sums_over_the_valid_steps() -> None:
    rewards = torch.tensor([1.0, 2.0, 4.0, 8.0]).view(1, 1, 2, 2)
    assert segment_returns(rewards).tolist() == [[[3.0, 12.0]]]
    assert segment_returns(rewards, torch.tensor([[[1.0, 0.0], [1.0, 1.0]]])).tolist() == [[[1.0, 12.0]]]


def test_probability_is_the_ratio_of_exponentiated_returns() -> None:
    returns = one_query(math.log(3), 0.0)
    torch.testing.assert_close(preference_probability(returns), torch.tensor([[[0.75, 0.25]]]))


@pytest.mark.parametrize(
    ("ranks", "noise", "likelihood"),
    [
        ((1, 2), 0.0, 0.75),
        ((2, 1), 0.0, 0.25),
        ((1, 2), 0.1, 0.9 * 0.75 + 0.05),
        ((2, 1), 0.1, 0.9 * 0.25 + 0.05),
        ((1, 1), 0.0, math.sqrt(0.75 * 0.25)),
        ((1, 1), 0.1, math.sqrt(0.725 * 0.275)),
        ((1, 2), 1.0, 0.5),
    ],
)
def test_bradley_terry_by_hand(ranks: tuple[int, int], noise: float, likelihood: float) -> None:
    loss = bradley_terry_loss(one_query(math.log(3), 0.0), ranked(*ranks), torch.tensor([noise]))
    assert loss.item() == pytest.approx(-math.log(likelihood), abs=1e-6)


def test_bradley_terry_of_a_ranking_is_the_mean_over_its_pairs() -> None:
    returns = one_query(2.0, 0.0, -1.0)
    # ranks 2, 1, 3: pairs (0,1) lost, (0,2) won, (1,2) won
    by_hand = -sum(math.log(1 / (1 + math.exp(-d))) for d in (-2.0, 3.0, 1.0)) / 3
    assert bradley_terry_loss(returns, ranked(2, 1, 3), CLEAN).item() == pytest.approx(by_hand, rel=1e-6)


def test_losses_are_per_member_and_query() -> None:
    returns = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [3.0, 0.0]]])
    loss = bradley_terry_loss(returns, torch.tensor([[1, 2], [1, 2]]), torch.zeros(2))
    differences = torch.tensor([[1.0, 0.0], [-1.0, 3.0]])
    torch.testing.assert_close(loss, torch.log1p(torch.exp(-differences)))


def test_the_loss_of_a_sure_but_wrong_prediction_is_finite_with_noise() -> None:
    returns = one_query(-1000.0, 0.0).requires_grad_()
    loss = bradley_terry_loss(returns, ranked(1, 2), torch.tensor([0.1]))
    loss.sum().backward()
    assert loss.item() == pytest.approx(-math.log(0.05), rel=1e-5)
    assert returns.grad is not None
    assert returns.grad.isfinite().all()


def test_noise_2e_is_the_likelihood_of_an_annotator_who_errs_with_probability_e() -> None:
    error, probability = 0.2, 0.75
    loss = bradley_terry_loss(one_query(math.log(3), 0.0), ranked(1, 2), torch.tensor([2 * error]))
    assert math.exp(-loss.item()) == pytest.approx(
        (1 - error) * probability + error * (1 - probability), rel=1e-6
    )


def test_without_noise_a_soft_target_is_label_smoothing() -> None:
    difference = torch.linspace(-5, 5, 11)
    error = 0.15
    smoothed = preference_cross_entropy(difference, torch.tensor(1 - error), torch.tensor(0.0))
    averaged = sum(
        share * preference_cross_entropy(difference, torch.tensor(target), torch.tensor(0.0))
        for share, target in ((1 - error, 1.0), (error, 0.0))
    )
    reference = torch.nn.functional.binary_cross_entropy_with_logits(
        difference, torch.full_like(difference, 1 - error), reduction="none"
    )
    torch.testing.assert_close(smoothed, averaged)
    torch.testing.assert_close(smoothed, reference)


def test_pairwise_targets_of_a_ranking_with_a_tie() -> None:
    # pairs (0,1), (0,2), (1,2)
    assert pairwise_targets(ranked(2, 1, 2)).tolist() == [[0.0, 0.5, 1.0]]


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("items", [2, 3, 4, 5])
def test_plackett_luce_probabilities_of_all_rankings_sum_to_one(items: int, noise: float) -> None:
    rankings = torch.tensor(list(itertools.permutations(range(1, items + 1))))
    returns = torch.randn(1, 1, items, generator=torch.Generator().manual_seed(items))
    loss = plackett_luce_loss(
        returns.expand(1, len(rankings), items), rankings, torch.full((len(rankings),), noise)
    )
    assert torch.exp(-loss).sum().item() == pytest.approx(1.0, abs=1e-5)


def test_plackett_luce_by_hand() -> None:
    # weights 4, 2, 1; order: second, first, third
    returns = one_query(math.log(4), math.log(2), 0.0)
    loss = plackett_luce_loss(returns, ranked(2, 1, 3), CLEAN)
    assert math.exp(-loss.item()) == pytest.approx(2 / 7 * 4 / 5, rel=1e-5)


def test_plackett_luce_noise_acts_on_each_choice() -> None:
    returns = one_query(math.log(4), math.log(2), 0.0)
    loss = plackett_luce_loss(returns, ranked(2, 1, 3), torch.tensor([0.1]))
    by_hand = (0.9 * 2 / 7 + 0.1 / 3) * (0.9 * 4 / 5 + 0.1 / 2)
    assert math.exp(-loss.item()) == pytest.approx(by_hand, rel=1e-5)


@given(
    ranks=st.lists(st.integers(1, 3), min_size=2, max_size=5),
    returns=st.lists(st.floats(-5, 5), min_size=5, max_size=5),
    noise=st.sampled_from([0.0, 0.2]),
)
@settings(max_examples=50, deadline=None)
def test_the_plackett_luce_loss_of_a_tie_is_the_mean_over_all_orders_of_the_tied(
    ranks: list[int], returns: list[float], noise: float
) -> None:
    items = len(ranks)
    values = one_query(*returns[:items])
    orders = [
        order
        for order in itertools.permutations(range(items))
        if all(ranks[order[i]] <= ranks[order[i + 1]] for i in range(items - 1))
    ]
    strict = torch.tensor([[order.index(item) + 1 for item in range(items)] for order in orders])
    each = plackett_luce_loss(values.expand(1, len(orders), items), strict, torch.full((len(orders),), noise))
    tied = plackett_luce_loss(values, ranked(*ranks), torch.tensor([noise]))
    assert tied.item() == pytest.approx(each.mean().item(), rel=1e-4, abs=1e-4)


@given(
    difference=st.floats(-20, 20), ranks=st.sampled_from([(1, 2), (2, 1), (1, 1)]), noise=st.floats(0, 0.9)
)
@settings(deadline=None)
def test_plackett_luce_of_a_pair_is_bradley_terry(
    difference: float, ranks: tuple[int, int], noise: float
) -> None:
    arguments = one_query(difference, 0.0), ranked(*ranks), torch.tensor([noise])
    torch.testing.assert_close(
        plackett_luce_loss(*arguments), bradley_terry_loss(*arguments), atol=1e-6, rtol=1e-4
    )


def test_plackett_luce_gradient_is_finite_without_noise() -> None:
    returns = one_query(50.0, -50.0, 0.0).requires_grad_()
    plackett_luce_loss(returns, ranked(2, 1, 1), CLEAN).sum().backward()
    assert returns.grad is not None
    assert returns.grad.isfinite().all()


def test_plackett_luce_refuses_more_items_than_its_limit() -> None:
    items = MAX_RANKED_ITEMS + 1
    with pytest.raises(ValueError, match=f"at most {MAX_RANKED_ITEMS} segments a query, got {items}"):
        plackett_luce_loss(torch.zeros(1, 1, items), torch.arange(1, items + 1)[None], CLEAN)


@pytest.mark.parametrize(
    ("returns", "ranks", "noise", "loss"),
    [
        ((3.0, 0.0), (1, 2), 0.0, 0.0),
        ((0.5, 0.0), (1, 2), 0.0, 0.5),
        ((0.5, 0.0), (2, 1), 0.0, 1.5),
        ((0.5, 0.0), (1, 1), 0.0, 0.5),
        ((0.5, 0.0), (2, 1), 0.2, 0.8 * 1.5),
        ((2.0, 0.0, 0.5), (1, 3, 2), 0.0, (0.0 + 0.0 + 0.5) / 3),
    ],
)
def test_margin_loss_by_hand(
    returns: tuple[float, ...], ranks: tuple[int, ...], noise: float, loss: float
) -> None:
    value = margin_loss(one_query(*returns), ranked(*ranks), torch.tensor([noise]), margin=1.0)
    assert value.item() == pytest.approx(loss, abs=1e-6)


@pytest.mark.parametrize(
    ("returns", "ranks", "differences"),
    [
        ((1.5, 0.0), (1, 2), [1.5 - 0.5]),
        ((1.5, 0.0), (2, 1), [-1.5 - 0.5]),
        ((1.0, 0.0, -2.0), (2, 1, 3), [-1.0 - 0.5, 3.0 - 0.5, 2.0 - 0.5]),
    ],
)
def test_bradley_terry_with_a_margin_by_hand(
    returns: tuple[float, ...], ranks: tuple[int, ...], differences: list[float]
) -> None:
    value = bradley_terry_loss(one_query(*returns), ranked(*ranks), CLEAN, margin=0.5)
    expected = sum(math.log1p(math.exp(-difference)) for difference in differences) / len(differences)
    assert value.item() == pytest.approx(expected, abs=1e-5)
    config = RewardConfig(loss="bradley_terry_margin", margin=0.5)
    assert preference_loss(config)(one_query(*returns), ranked(*ranks), CLEAN).item() == value.item()


def test_a_margin_does_not_change_the_loss_of_ties() -> None:
    arguments = one_query(1.5, 0.0), ranked(1, 1), CLEAN
    assert torch.equal(bradley_terry_loss(*arguments, margin=3.0), bradley_terry_loss(*arguments))


def test_regression_loss_by_hand() -> None:
    value = regression_loss(one_query(0.5, -1.0), torch.tensor([[2.5, 0.0]]), torch.tensor([0.2]))
    assert value.item() == pytest.approx(0.8 * (4.0 + 1.0) / 2)
    assert value.shape == (1, 1)


def test_the_settings_choose_the_loss() -> None:
    arguments = one_query(0.5, 0.0), ranked(1, 2), CLEAN
    assert preference_loss(RewardConfig(loss="margin", margin=3.0))(*arguments).item() == pytest.approx(2.5)
    assert preference_loss(RewardConfig(loss="plackett_luce"))(*arguments).item() == pytest.approx(
        preference_loss(RewardConfig())(*arguments).item()
    )


@given(shift=st.floats(-100, 100), returns=st.lists(st.floats(-3, 3), min_size=3, max_size=3))
@settings(max_examples=25, deadline=None)
def test_losses_do_not_depend_on_a_constant_added_to_all_returns(shift: float, returns: list[float]) -> None:
    for name in ("bradley_terry", "plackett_luce", "bradley_terry_margin", "margin"):
        loss = preference_loss(RewardConfig(loss=name))
        values = one_query(*returns)
        shifted = loss(values + shift, ranked(1, 2, 2), torch.tensor([0.1]))
        torch.testing.assert_close(
            shifted, loss(values, ranked(1, 2, 2), torch.tensor([0.1])), atol=1e-3, rtol=1e-3
        )


def test_a_difference_of_one_margin_is_a_preference_of_98_percent() -> None:
    assert preference_scale(RewardConfig()) == 1.0
    for margin in (0.5, 10.0):
        scale = preference_scale(RewardConfig(loss="margin", margin=margin))
        returns = torch.tensor([[[margin, 0.0]]]) * scale
        assert preference_probability(returns)[0, 0, 0].item() == pytest.approx(1 / (1 + math.exp(-4)))
