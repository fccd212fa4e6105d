"""Values outside the response, even NaN, change neither a loss nor its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prefrl_agents.text.log_probs import masked_mean, sequence_sum
from prefrl_agents.text.policy_losses import grpo_loss, ppo_policy_loss, ppo_value_loss
from prefrl_agents.text.preference_losses import sft_loss

Outputs = tuple[Tensor, ...]
Function = Callable[[Tensor, Tensor, Tensor, Tensor], Outputs]


def statistics_of(loss_and_statistics: tuple[Tensor, object]) -> Outputs:
    loss, statistics = loss_and_statistics
    return loss, *vars(statistics).values()


def a_row(values: Tensor) -> Tensor:
    return torch.arange(len(values), dtype=values.dtype)


LOSSES: dict[str, Function] = {
    "mean": lambda x, y, z, mask: (masked_mean(x, mask),),
    "sum": lambda x, y, z, mask: (sequence_sum(x, mask),),
    "sft": lambda x, y, z, mask: (sft_loss(x, mask),),
    "value": lambda x, y, z, mask: (ppo_value_loss(x, y, z, mask),),
    "policy": lambda x, y, z, mask: statistics_of(ppo_policy_loss(x, y, z, mask)),
} | {
    how: lambda x, y, z, mask, how=how: statistics_of(
        grpo_loss(x, y, a_row(x) - 0.5, mask, how, 9, reference_log_prob=z, kl_coefficient=0.1)
    )
    for how in ("grpo", "dapo", "dr_grpo")
}

batches = st.fixed_dictionaries(
    {
        "spans": st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=3),
        "left": st.integers(0, 3),
        "right": st.integers(0, 3),
        "filling": st.sampled_from([0.0, 1e30, torch.inf, torch.nan]),
        "seed": st.integers(0, 1000),
    }
)


def make_batch(spans: list[tuple[int, int]], seed: int) -> tuple[Tensor, Tensor]:
    """Three tensors (3, B, 5), and a mask with these (start, length)."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(3, len(spans), 5, generator=generator, dtype=torch.float64)
    columns = torch.arange(5)
    return values, torch.stack([(columns >= start) & (columns < start + length) for start, length in spans])


def pad(values: Tensor, left: int, right: int, filling: float | bool) -> Tensor:
    return torch.nn.functional.pad(values, (left, right), value=filling)


@pytest.mark.parametrize("name", LOSSES)
@given(batch=batches)
@settings(deadline=None, max_examples=25)
def test_losses_ignore_padding(name: str, batch: dict[str, Any]) -> None:
    left, right, filling = batch["left"], batch["right"], batch["filling"]
    values, mask = make_batch(batch["spans"], batch["seed"])
    values.requires_grad_()
    expected = LOSSES[name](*values, mask)
    (gradient,) = torch.autograd.grad(expected[0].sum(), values)
    dirty = pad(values.detach().masked_fill(~mask, filling), left, right, filling).requires_grad_()
    outputs = LOSSES[name](*dirty, pad(mask, left, right, False))
    (dirty_gradient,) = torch.autograd.grad(outputs[0].sum(), dirty)
    torch.testing.assert_close(outputs, expected)
    # The first argument is what is trained.
    torch.testing.assert_close(dirty_gradient[0], pad(gradient[0], left, right, 0.0))
