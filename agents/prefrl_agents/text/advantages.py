"""How much better a token, or a response, was than expected: pure functions of tensors."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from prefrl_agents.text.log_probs import Mask, response_only

__all__ = ["group_advantages", "masked_gae", "zero_std_share"]


def masked_gae(
    rewards: Float[Tensor, "B L"], values: Float[Tensor, "B L"], mask: Mask, gamma: float, lam: float
) -> tuple[Float[Tensor, "B L"], Float[Tensor, "B L"]]:
    """Generalised advantages and the returns that values are fitted to; both are 0 off the response.

    Nothing is bootstrapped after the last response token, at the length limit neither: the reward model has scored
    the text as it stands. Source: Schulman et al. 2016, eq. 16.

    Args:
        values: of the text before each token, so ``values[:, t]`` is known when token t is chosen.
        mask: one run of ones a row, wherever it lies.

    Returns:
        (advantages, returns), where returns = advantages + values.
    """
    rewards, values = response_only(rewards, mask), response_only(values, mask)
    next_values = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1)
    # Past the end of the response all is 0; what runs on before its beginning is masked below.
    deltas = rewards + gamma * next_values - values
    advantages = torch.zeros_like(deltas)
    following = torch.zeros_like(deltas[:, 0])
    for step in reversed(range(deltas.shape[1])):
        following = deltas[:, step] + gamma * lam * following
        advantages[:, step] = following
    advantages = response_only(advantages, mask)
    return advantages, advantages + values


def group_advantages(
    rewards: Float[Tensor, "G K"], scale_by_std: bool, epsilon: float = 1e-4
) -> Float[Tensor, "G K"]:
    """Reward of each of K responses to a prompt, less their mean; with ``scale_by_std`` over their spread.

    The spread is the sample standard deviation (K - 1 in the denominator) plus ``epsilon``. Without it, this is the
    advantage of Dr.GRPO. A group of equal rewards has advantages of exactly 0.
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
    # A mean is rounded: equal rewards may differ from it by what the division makes large.
    return centred.masked_fill(_all_equal(rewards)[:, None], 0.0)


def zero_std_share(rewards: Float[Tensor, "G K"]) -> Float[Tensor, ""]:
    """Share of the groups whose rewards are all equal, from which a group baseline learns nothing."""
    return _all_equal(rewards).to(rewards.dtype).mean()


def _all_equal(rewards: Float[Tensor, "G K"]) -> Bool[Tensor, " G"]:
    return rewards.amax(dim=1) == rewards.amin(dim=1)
