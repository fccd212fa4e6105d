"""Policy-gradient losses of PPO and GRPO on sampled tokens: pure functions of tensors.

Log-probs are those of the sampled tokens. The ratio is the policy's probability of a token over the sampling policy's;
on the first minibatch after sampling it is exactly 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from prefrl.config import Aggregation
from prefrl_agents.text.kl import kl_k3
from prefrl_agents.text.log_probs import Mask, masked_mean, ratio_excess, response_only, sequence_sum

__all__ = [
    "PolicyStatistics",
    "aggregate",
    "grpo_loss",
    "ppo_policy_loss",
    "ppo_value_loss",
]


@dataclass(frozen=True)
class PolicyStatistics:
    """Statistics of a policy loss over its response tokens; scalar tensors without a gradient."""

    ratio_mean: Float[Tensor, ""]
    ratio_max: Float[Tensor, ""]
    """0 where the batch has no response tokens"""
    clip_fraction: Float[Tensor, ""]
    """share of tokens whose gradient the clip removes"""
    approx_kl: Float[Tensor, ""]
    """KL(sampling policy || policy) in nats per token, estimator k3"""


def ppo_policy_loss(
    log_prob: Float[Tensor, "B L"],
    old_log_prob: Float[Tensor, "B L"],
    advantages: Float[Tensor, "B L"],
    mask: Mask,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> tuple[Float[Tensor, ""], PolicyStatistics]:
    """Mean over all response tokens of -min(ratio A, clip(ratio, 1 - clip_low, 1 + clip_high) A).

    Source: Schulman et al. 2017, eq. 7.
    """
    per_token, statistics = _clipped_surrogate(log_prob, old_log_prob, advantages, mask, clip_low, clip_high)
    return masked_mean(per_token, mask), statistics


def ppo_value_loss(
    values: Float[Tensor, "B L"],
    old_values: Float[Tensor, "B L"],
    returns: Float[Tensor, "B L"],
    mask: Mask,
    clip: float = 0.2,
) -> Float[Tensor, ""]:
    """Half the mean over response tokens of the larger of two squared errors, of the value and of the clipped value.

    Clipped values lie within ``clip`` of those at sampling time. Source: the code of Ziegler et al. 2019.
    """
    values, old_values, returns = (response_only(each, mask) for each in (values, old_values, returns))
    clipped = old_values + (values - old_values).clamp(-clip, clip)
    error = torch.maximum((values - returns).square(), (clipped - returns).square())
    return masked_mean(error, mask) / 2


def grpo_loss(
    log_prob: Float[Tensor, "B L"],
    old_log_prob: Float[Tensor, "B L"],
    advantages: Float[Tensor, " B"],
    mask: Mask,
    how: Aggregation,
    max_new_tokens: int,
    clip_low: float = 0.2,
    clip_high: float = 0.28,
    reference_log_prob: Float[Tensor, "B L"] | None = None,
    kl_coefficient: float = 0.0,
) -> tuple[Float[Tensor, ""], PolicyStatistics]:
    """The clipped surrogate with one advantage per response, plus ``kl_coefficient`` times k3 to the reference.

    Source: Shao et al. 2024, eq. 3 and 4; a higher upper clip: Yu et al. 2025, section 3.1.

    Raises:
        ValueError: when there is a coefficient, but no reference.
    """
    per_token, statistics = _clipped_surrogate(
        log_prob, old_log_prob, advantages[:, None], mask, clip_low, clip_high
    )
    if reference_log_prob is not None:
        log_prob = response_only(log_prob, mask)
        reference_log_prob = response_only(reference_log_prob, mask)
        per_token = per_token + kl_coefficient * kl_k3(log_prob, reference_log_prob)
    elif kl_coefficient:
        raise ValueError(
            f"kl_coefficient is {kl_coefficient}, but there is no reference; give reference_log_prob"
        )
    return aggregate(per_token, mask, how, max_new_tokens), statistics


def aggregate(
    per_token: Float[Tensor, "B L"], mask: Mask, how: Aggregation, max_new_tokens: int
) -> Float[Tensor, ""]:
    """Aggregate the losses of all response tokens into one; a row without any counts as 0.

    Args:
        how: "grpo", the mean of the rows' means, where a token of a short response weighs more (Shao et al. 2024);
            "dapo", the mean over all tokens (Yu et al. 2025); "dr_grpo", the sum divided by B ``max_new_tokens``,
            where every token weighs the same in every batch (Liu et al. 2025).
        max_new_tokens: longest response; only "dr_grpo" uses it.
    """
    batch_size = len(per_token)
    lengths = mask.bool().sum(dim=-1)
    divisors: dict[Aggregation, Tensor | int] = {
        "grpo": batch_size * lengths.clamp(min=1),
        "dapo": lengths.sum().clamp(min=1),
        "dr_grpo": batch_size * max_new_tokens,
    }
    return (sequence_sum(per_token, mask) / divisors[how]).sum()


def _clipped_surrogate(
    log_prob: Tensor,
    old_log_prob: Tensor,
    advantages: Tensor,
    mask: Tensor,
    clip_low: float,
    clip_high: float,
) -> tuple[Tensor, PolicyStatistics]:
    """Loss (B, L) of each token, and statistics."""
    # Masked before exp: the gradient of an infinite ratio is NaN even where its loss is masked.
    log_ratio = response_only(log_prob - old_log_prob, mask)
    ratio = 1 + ratio_excess(log_ratio)
    free, clipped = ratio * advantages, ratio.clamp(1 - clip_low, 1 + clip_high) * advantages
    with torch.no_grad():
        statistics = PolicyStatistics(
            masked_mean(ratio, mask),
            response_only(ratio, mask).amax(),
            masked_mean((clipped < free).to(ratio.dtype), mask),
            masked_mean(kl_k3(torch.zeros_like(log_ratio), log_ratio), mask),
        )
    return -torch.minimum(free, clipped), statistics
