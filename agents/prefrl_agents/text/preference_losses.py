"""Losses on texts that people wrote or compared: supervised fine-tuning, and the DPO family.

Preference losses take log-probs summed over a response, shape (B,): see `prefrl_agents.text.log_probs.sequence_sum`.
D is the difference of two responses' log-ratios, log pi - log pi_ref, the preferred one's first.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from prefrl.config import PreferenceKind
from prefrl_agents.text.log_probs import Mask, masked_mean

__all__ = ["dpo_loss", "k_wise_dpo", "sft_loss"]


def sft_loss(log_probs: Float[Tensor, "B L"], mask: Mask) -> Float[Tensor, ""]:
    """Mean -log p of the response tokens of the batch, in nats per token."""
    return -masked_mean(log_probs, mask)


def dpo_loss(
    chosen: Float[Tensor, " B"],
    rejected: Float[Tensor, " B"],
    reference_chosen: Float[Tensor, " B"],
    reference_rejected: Float[Tensor, " B"],
    beta: float,
    kind: PreferenceKind = "sigmoid",
    label_smoothing: float = 0.0,
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"], Float[Tensor, " B"]]:
    """Loss of each pair, and the rewards the policy implies for its two responses.

    "sigmoid" is -log sigma(beta D) (Rafailov et al. 2023, eq. 7); "ipo" is (D - 1 / (2 beta))^2 (Azar et al. 2024,
    eq. 17). With label_smoothing e, the assumed share of wrong labels, "cdpo" is
    (1 - e) l(D) + e l(-D), l being "sigmoid" (Mitchell 2023), and "robust" ((1 - e) l(D) - e l(-D)) / (1 - 2 e),
    which is l in the mean over wrong labels (Chowdhury et al. 2024).

    Returns:
        (loss, chosen rewards, rejected rewards); a reward is beta (log pi - log pi_ref), without a gradient.

    Raises:
        ValueError: when beta is not positive, or label_smoothing is out of range or not used by this kind.
    """
    _check(beta, kind, label_smoothing)
    chosen_ratio, rejected_ratio = chosen - reference_chosen, rejected - reference_rejected
    loss = _pair_loss(chosen_ratio - rejected_ratio, beta, kind, label_smoothing)
    return loss, beta * chosen_ratio.detach(), beta * rejected_ratio.detach()


def k_wise_dpo(
    log_probs: Float[Tensor, "B K"],
    reference_log_probs: Float[Tensor, "B K"],
    ranks: Int[Tensor, "B K"],
    beta: float,
    kind: PreferenceKind = "sigmoid",
    label_smoothing: float = 0.0,
) -> tuple[Float[Tensor, " B"], Float[Tensor, "B K"]]:
    """Mean of `dpo_loss` over the C(K, 2) pairs of each prompt's ranking, and the implied rewards.

    Ranks start at 1, the best. Tied pairs are left out; a prompt whose responses all tie has loss 0. For K = 2
    without ties this is `dpo_loss`. Source of the mean over pairs: Ouyang et al. 2022, eq. 1.

    Returns:
        (loss, rewards); a reward is beta (log pi - log pi_ref), without a gradient.

    Raises:
        ValueError: as `dpo_loss`.
    """
    _check(beta, kind, label_smoothing)
    log_ratios = log_probs - reference_log_probs
    items = log_ratios.shape[1]
    first, second = torch.triu_indices(items, items, offset=1, device=log_ratios.device)
    order = (ranks[:, second] - ranks[:, first]).sign()
    loss = _pair_loss(order * (log_ratios[:, first] - log_ratios[:, second]), beta, kind, label_smoothing)
    num_ordered = order.abs().sum(dim=1).clamp(min=1)
    return (order.abs() * loss).sum(dim=1) / num_ordered, beta * log_ratios.detach()


def _check(beta: float, kind: PreferenceKind, label_smoothing: float) -> None:
    if not beta > 0:
        raise ValueError(f"beta is {beta}; it must be positive")
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(
            f"label_smoothing is {label_smoothing}; it is the share of wrong labels, 0 to just below .5"
        )
    if label_smoothing and kind not in ("cdpo", "robust"):
        raise ValueError(f"label_smoothing is {label_smoothing}, which {kind!r} ignores; take cdpo or robust")


def _pair_loss(difference: Tensor, beta: float, kind: PreferenceKind, label_smoothing: float) -> Tensor:
    right, wrong = -F.logsigmoid(beta * difference), -F.logsigmoid(-beta * difference)
    losses: dict[PreferenceKind, Tensor] = {
        "sigmoid": right,
        "ipo": (difference - 1 / (2 * beta)).square(),
        "cdpo": (1 - label_smoothing) * right + label_smoothing * wrong,
        "robust": ((1 - label_smoothing) * right - label_smoothing * wrong) / (1 - 2 * label_smoothing),
    }
    return losses[kind]
