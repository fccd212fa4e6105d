"""The maths compared with theory, on a problem so small that all responses can be enumerated.

Three tokens, the first ending the response, and at most two of them: seven responses. Policies are tables of logits.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from prefrl_agents.text.advantages import group_advantages
from prefrl_agents.text.kl import KL_ESTIMATORS, KLEstimator
from prefrl_agents.text.log_probs import sequence_sum, token_log_probs
from prefrl_agents.text.policy_losses import grpo_loss, ppo_policy_loss
from prefrl_agents.text.preference_losses import dpo_loss

TOKENS = torch.tensor([[0, 0], *itertools.product((1, 2), (0, 1, 2))])
MASK = torch.tensor([[True, bool(first)] for first, _ in TOKENS.tolist()])
TASK_REWARD = torch.tensor([0.3, 1.0, -0.5, 2.0, 0.0, 0.7, -1.2], dtype=torch.float64)
BETA = 0.4


@dataclass
class Policy:
    """A tabular policy: logits for the first token, and logits for the second token given the first."""

    table: Tensor

    @property
    def logits(self) -> Tensor:
        """shape (7, 2, 3), for the tokens of each response"""
        return torch.stack([self.table[0].expand(7, 3), self.table[1:][TOKENS[:, 0]]], dim=1)

    @property
    def log_prob(self) -> Tensor:
        """(7, 2)"""
        return token_log_probs(self.logits, TOKENS)

    @property
    def log_probability(self) -> Tensor:
        """shape (7,), for whole responses"""
        return sequence_sum(self.log_prob, MASK)

    def gradient(self, loss: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(loss, self.table)
        return gradient


def draw(seed: int, scale: float = 1.0) -> Policy:
    generator = torch.Generator().manual_seed(seed)
    return Policy((scale * torch.randn(4, 3, generator=generator, dtype=torch.float64)).requires_grad_())


@pytest.fixture
def policy() -> Policy:
    return draw(0)


@pytest.fixture
def reference() -> Policy:
    return draw(1)


def kl_of(policy: Policy, reference: Policy) -> Tensor:
    difference = policy.log_probability - reference.log_probability.detach()
    return (policy.log_probability.exp() * difference).sum()


def expected_estimate(estimator: KLEstimator, policy: Policy, reference: Policy) -> Tensor:
    """Mean over responses sampled from the current policy."""
    per_token = KL_ESTIMATORS[estimator](policy.log_prob, reference.log_prob.detach())
    return (policy.log_probability.detach().exp() * sequence_sum(per_token, MASK)).sum()


def test_all_responses_are_enumerated(policy: Policy) -> None:
    assert policy.log_probability.exp().sum().item() == pytest.approx(1.0)


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_k1_and_k3_are_unbiased(estimator: KLEstimator, policy: Policy, reference: Policy) -> None:
    torch.testing.assert_close(expected_estimate(estimator, policy, reference), kl_of(policy, reference))


def test_k2_is_off_by_a_sixth_of_the_third_moment(policy: Policy) -> None:
    near = Policy(policy.table + 0.01 * draw(2).table)
    bias = expected_estimate("k2", policy, near) - kl_of(policy, near)
    cubes = (policy.log_prob - near.log_prob) ** 3
    third_moment = (policy.log_probability.exp() * sequence_sum(cubes, MASK)).sum()
    assert abs(bias.item()) > 1e-9
    assert bias.item() == pytest.approx(third_moment.item() / 6, rel=0.05)


def test_as_a_loss_k2_has_the_gradient_of_the_kl_and_k1_none(policy: Policy, reference: Policy) -> None:
    k1, k2, exact = (
        policy.gradient(loss)
        for loss in (
            expected_estimate("k1", policy, reference),
            # A response's own x, whose square is not the sum of its tokens'.
            (
                policy.log_probability.detach().exp()
                * KL_ESTIMATORS["k2"](policy.log_probability, reference.log_probability.detach())
            ).sum(),
            kl_of(policy, reference),
        )
    )
    torch.testing.assert_close(k2, exact)
    torch.testing.assert_close(k1, torch.zeros_like(k1))


def true_values(policy: Policy, rewards: Tensor) -> Tensor:
    """Mean sum of the rewards still to come before each token, (7, 2)."""
    probabilities, after = policy.log_prob.exp(), torch.zeros(7, dtype=torch.float64)
    for first in (1, 2):
        rows = TOKENS[:, 0] == first
        after[rows] = (probabilities * rewards)[rows, 1].sum()
    start = (policy.log_probability.exp() * sequence_sum(rewards, MASK)).sum()
    return torch.stack([start.expand(7), after], dim=1)


@pytest.mark.parametrize("lam", [1.0, 0.3])
def test_ppo_at_ratio_one_follows_the_gradient_of_the_regularised_objective(
    lam: float, policy: Policy, reference: Policy
) -> None:
    old = policy.log_prob.detach()
    is_last = torch.stack([~MASK[:, 1], MASK[:, 1]], dim=1)
    rewards = is_last * TASK_REWARD[:, None] - BETA * KL_ESTIMATORS["k1"](old, reference.log_prob.detach())
    # With lambda 1 any function of the text so far will do; otherwise the values have to be right.
    values = true_values(policy, rewards).detach()
    if lam == 1.0:
        values = values + torch.stack([torch.full((7,), 5.0), TOKENS[:, 0] ** 2], dim=1)
    second = ((rewards - values) * MASK)[:, 1]
    advantages = torch.stack(
        [rewards[:, 0] + (values * MASK)[:, 1] - values[:, 0] + lam * second, second], dim=1
    )
    surrogate = torch.zeros((), dtype=torch.float64)
    for row, probability in enumerate(policy.log_probability.detach().exp()):
        each = slice(row, row + 1)
        loss, _ = ppo_policy_loss(policy.log_prob[each], old[each], advantages[each], MASK[each], 0.2, 0.2)
        # The loss is a mean over the tokens of its batch, here of one response.
        surrogate = surrogate - probability * loss * MASK[row].sum()
    objective = (policy.log_probability.exp() * TASK_REWARD).sum() - BETA * kl_of(policy, reference)
    torch.testing.assert_close(policy.gradient(surrogate), policy.gradient(objective))


def expected_grpo_gradient(policy: Policy, responses: int, scale_by_std: bool) -> Tensor:
    """Gradient of minus the loss, summed over the tokens of a response, averaged over all groups of this size."""
    log_prob, probability = policy.log_prob, policy.log_probability.detach().exp()
    total = torch.zeros((), dtype=torch.float64)
    for group in itertools.product(range(7), repeat=responses):
        rows = list(group)
        advantages = group_advantages(TASK_REWARD[rows][None], scale_by_std, epsilon=1e-12)[0]
        sampled = log_prob[rows]
        loss, _ = grpo_loss(sampled, sampled.detach(), advantages, MASK[rows], "dr_grpo", max_new_tokens=2)
        total = total - probability[rows].prod() * loss * 2
    return policy.gradient(total)


@pytest.mark.parametrize("responses", [2, 3])
def test_a_group_baseline_shortens_the_policy_gradient_by_one_response(
    responses: int, policy: Policy
) -> None:
    # A response's own reward is in the baseline: E[(r_i - mean) grad log pi] = (1 - 1/K) E[r grad log pi].
    exact = policy.gradient((policy.log_probability.exp() * TASK_REWARD).sum())
    expected = expected_grpo_gradient(policy, responses, scale_by_std=False)
    torch.testing.assert_close(expected, (1 - 1 / responses) * exact)


def test_with_pairs_scaled_by_their_spread_grpo_climbs_the_share_of_wins(policy: Policy) -> None:
    # Two rewards are 1 / sqrt(2) sample deviations from their mean, whatever they are: only who wins counts.
    now, before = policy.log_probability.exp(), policy.log_probability.detach().exp()
    outcome = (TASK_REWARD[:, None] - TASK_REWARD).sign()
    exact = policy.gradient(now @ outcome @ before)
    torch.testing.assert_close(expected_grpo_gradient(policy, 2, scale_by_std=True), exact / 2**0.5)


def test_dpo_finds_the_optimum_of_the_regularised_objective(reference: Policy) -> None:
    policy, reference_log_prob = draw(3), reference.log_probability.detach()
    first, second = torch.cartesian_prod(torch.arange(7), torch.arange(7)).T
    first_wins = torch.sigmoid(TASK_REWARD[first] - TASK_REWARD[second])
    optimiser = torch.optim.LBFGS(
        [policy.table],
        max_iter=1000,
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        log_prob = policy.log_probability
        pairs = log_prob[first], log_prob[second], reference_log_prob[first], reference_log_prob[second]
        loss, *_ = dpo_loss(*pairs, BETA)
        expected = (first_wins * loss).mean()
        expected.backward()
        return expected

    optimiser.step(closure)
    optimum = (reference_log_prob + TASK_REWARD / BETA).softmax(dim=0)
    torch.testing.assert_close(policy.log_probability.exp(), optimum, atol=1e-4, rtol=0.0)
