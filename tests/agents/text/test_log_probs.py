from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from prefrl_agents.text.log_probs import (
    masked_mean,
    ratio_excess,
    response_only,
    sequence_sum,
    token_log_probs,
)

LOGITS = torch.tensor([[[math.log(1), math.log(2), math.log(5)], [0.0, 0.0, 0.0]]])
VALUES = torch.tensor([[9.0, 1.0, 3.0], [5.0, 7.0, 9.0]])
MASK = torch.tensor([[0, 1, 1], [1, 0, 0]])


@pytest.fixture(params=["bool", "float"])
def mask(request: pytest.FixtureRequest) -> Tensor:
    return MASK.bool() if request.param == "bool" else MASK.float()


def test_log_probs_by_hand() -> None:
    # probabilities 1/8, 2/8, 5/8, then 1/3 each
    log_probs = token_log_probs(LOGITS, torch.tensor([[2, 0]]))
    torch.testing.assert_close(log_probs, torch.tensor([[math.log(5 / 8), -math.log(3)]]))


def test_log_probs_and_their_gradient_are_those_of_log_softmax() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(2, 3, 5, generator=generator, dtype=torch.float64) * 30).requires_grad_()
    tokens = torch.randint(5, (2, 3), generator=generator, dtype=torch.int32)
    (gradient,) = torch.autograd.grad(token_log_probs(logits, tokens).sum(), logits)
    expected = logits.log_softmax(-1).gather(-1, tokens.long()[..., None])
    (expected_gradient,) = torch.autograd.grad(expected.sum(), logits)
    torch.testing.assert_close(token_log_probs(logits, tokens), expected[..., 0])
    torch.testing.assert_close(gradient, expected_gradient)


def test_sums_and_means_over_the_response(mask: Tensor) -> None:
    assert response_only(VALUES, mask).tolist() == [[0.0, 1.0, 3.0], [5.0, 0.0, 0.0]]
    assert sequence_sum(VALUES, mask).tolist() == [4.0, 5.0]
    assert masked_mean(VALUES, mask).item() == 3.0


def test_the_mean_of_no_tokens_is_zero() -> None:
    assert masked_mean(VALUES, torch.zeros(2, 3)).item() == 0.0


def test_results_keep_the_dtype_of_the_values(mask: Tensor) -> None:
    for values in (VALUES, VALUES.double()):
        for result in (masked_mean(values, mask), sequence_sum(values, mask)):
            assert result.dtype == values.dtype


def test_ratio_excess_is_expm1_and_then_its_tangent() -> None:
    log_ratio = torch.tensor([-100.0, 1e-6, 1.0, 20.0, 21.0, 100.0], requires_grad=True)
    excess = ratio_excess(log_ratio)
    (slope,) = torch.autograd.grad(excess.sum(), log_ratio)
    steep = math.exp(20)
    by_hand = torch.tensor([-1.0, 1e-6 + 5e-13, math.e - 1, steep - 1, 2 * steep, 81 * steep])
    torch.testing.assert_close(excess, by_hand, rtol=1e-6, atol=0.0)
    torch.testing.assert_close(
        slope, torch.tensor([math.exp(-100), 1 + 1e-6, math.e, steep, steep, steep]), rtol=1e-6, atol=1e-30
    )
