"""Advantages of responses over others to the same prompt: pure functions of tensors."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["group_advantages", "zero_std_share"]


def group_advantages(
    rewards: Float[Tensor, "G K"], scale_by_std: bool, epsilon: float = 1e-4
) -> Float[Tensor, "G K"]:
    """Reward of each of K responses to a prompt minus their mean; with ``scale_by_std`` divided by their deviation.

    The divisor is the sample standard deviation (K - 1 in the denominator) plus ``epsilon``. Without it, this is the
    advantage of Dr. GRPO. A group of equal rewards has advantages of exactly 0.
    Source: Shao et al. 2024, section 4.1.2; Liu et al. 2025, section 3.2.

    Raises:
        ValueError: when a group has a single response.
    """
    if rewards.shape[1] < 2:
        raise ValueError(
            f"a group has {rewards.shape[1]} response; its mean is a baseline from 2 responses a prompt on"
        )
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    if scale_by_std:
        centred = centred / (rewards.std(dim=1, keepdim=True) + epsilon)
    # The mean is rounded: the division would enlarge the difference of equal rewards from it.
    return centred.masked_fill(_all_equal(rewards)[:, None], 0.0)


def zero_std_share(rewards: Float[Tensor, "G K"]) -> Float[Tensor, ""]:
    """Share of groups whose rewards are all equal: their advantages are 0."""
    return _all_equal(rewards).to(rewards.dtype).mean()


def _all_equal(rewards: Float[Tensor, "G K"]) -> Bool[Tensor, " G"]:
    return rewards.amax(dim=1) == rewards.amin(dim=1)
