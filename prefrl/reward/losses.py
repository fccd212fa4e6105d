"""Losses between predicted segment returns and answers: pure functions of tensors.

E ensemble members, B queries of a minibatch, K items of a query, P pairs of items.

Every loss is per member and per query, shape (E, B), so that bootstrap weights can multiply it. Ranks start at 1, the
best; equal ranks tie. ``noise`` (B,) is the share of an annotator's answers taken to be uniformly random: an annotator
who answers wrongly with probability e has noise 2e. Their names are in `prefrl.reward.loss_registry`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from prefrl.config import RewardConfig
from prefrl.config.registry import import_named
from prefrl.reward.loss_registry import MAX_RANKED_ITEMS, PREFERENCE_LOSSES, find_loss

__all__ = [
    "PreferenceLoss",
    "bradley_terry_loss",
    "centring_loss",
    "margin_loss",
    "pairwise_targets",
    "plackett_luce_loss",
    "preference_cross_entropy",
    "preference_loss",
    "preference_probability",
    "preference_scale",
    "regression_loss",
    "segment_returns",
]

PreferenceLoss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(returns (E, B, K), ranks or true returns (B, K), noise (B,)) -> loss (E, B)"""


def preference_loss(config: RewardConfig) -> PreferenceLoss:
    """The loss that ``config.loss`` names.

    Raises:
        ValueError: when there is none; when called, if the result of a loss from outside has another shape.
    """
    spec = find_loss(config.loss)
    function: Callable[..., Tensor] = import_named(spec.function, "preference loss")
    if spec.takes_margin:
        return partial(function, margin=config.margin)
    return function if config.loss in PREFERENCE_LOSSES else partial(_checked_loss, function, config.loss)


def _checked_loss(
    function: PreferenceLoss, name: str, returns: Tensor, ranks: Tensor, noise: Tensor
) -> Tensor:
    loss = function(returns, ranks, noise)
    if not isinstance(loss, Tensor) or loss.shape != returns.shape[:2]:
        # Another shape could be broadcast against the bootstrap weights without notice.
        found = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
        raise ValueError(
            f"preference loss {name!r} returned {found}; a tensor of shape {tuple(returns.shape[:2])}, "
            "(members, queries), is needed"
        )
    return loss


def preference_scale(config: RewardConfig) -> float:
    """Log-odds of a unit of predicted return: 1, except for the hinge of the margin loss, which has none.

    There a difference of one margin stands for 98%. Read as log-odds, a difference of 5 at a margin of 10 would be a
    certainty, where the loss still asks for more.
    """
    log_odds = find_loss(config.loss).margin_log_odds
    return 1.0 if log_odds is None else log_odds / config.margin


def segment_returns(
    rewards: Float[Tensor, "E B K T"], valid: Float[Tensor, "B K T"] | None = None
) -> Float[Tensor, "E B K"]:
    """Undiscounted sum of the predicted rewards of each segment; ``valid`` is 0 on padded steps, else 1."""
    return (rewards if valid is None else rewards * valid).sum(dim=-1)


def preference_probability(returns: Float[Tensor, "E B K"]) -> Float[Tensor, "E B K"]:
    """Probability that each segment is the preferred one of its query (Christiano et al. 2017, eq. 1)."""
    return returns.softmax(dim=-1)


def preference_cross_entropy(
    difference: Float[Tensor, "*batch"], target: Float[Tensor, "*#batch"], noise: Float[Tensor, "*#batch"]
) -> Float[Tensor, "*batch"]:
    """Cross-entropy of P' = (1 - noise) P + noise / 2 with a soft target, where P = sigma(difference).

    The mixture is taken in log space, so that it stays exact where P underflows (Christiano et al. 2017,
    section 2.2.3: a labeller errs uniformly at random on 10% of the pairs, which is noise .1).
    """
    sound, random = torch.log1p(-noise), torch.log(noise / 2)
    log_first = torch.logaddexp(sound + F.logsigmoid(difference), random)
    log_second = torch.logaddexp(sound + F.logsigmoid(-difference), random)
    return -(target * log_first + (1 - target) * log_second)


def pairwise_targets(ranks: Int[Tensor, "B K"]) -> Float[Tensor, "B P"]:
    """For each of the P = C(K, 2) pairs: 1 when the first is ranked better, .5 on a tie, else 0."""
    first, second = _pairs(ranks)
    return (torch.sign(second - first) + 1).to(torch.get_default_dtype()) / 2


def bradley_terry_loss(
    returns: Float[Tensor, "E B K"],
    ranks: Int[Tensor, "B K"],
    noise: Float[Tensor, " B"],
    *,
    margin: float = 0.0,
) -> Float[Tensor, "E B"]:
    """Mean cross-entropy over all C(K, 2) pairs of a query; every pair has the annotator's noise.

    With a ``margin`` the loss of a pair that is not tied is -log sigma(dr - margin), dr = better minus worse.
    Source: Christiano et al. 2017, eq. 1-2; over the pairs of a ranking, Ouyang et al. 2022, eq. 1; the margin,
    Touvron et al. 2023, eq. 2.
    """
    first, second = _pairs(returns)
    targets = pairwise_targets(ranks)
    difference = first - second - margin * (2 * targets - 1)
    return preference_cross_entropy(difference, targets, noise[:, None]).mean(dim=-1)


def plackett_luce_loss(
    returns: Float[Tensor, "E B K"], ranks: Int[Tensor, "B K"], noise: Float[Tensor, " B"]
) -> Float[Tensor, "E B"]:
    """Negative log-likelihood of the ranking as K successive choices of the best among those left.

    Each choice is uniformly random with probability ``noise``. A tie stands for all orders of the tied items: the loss
    is the exact average over them. At K = 2 this is `bradley_terry_loss`. Source: Plackett 1975; Luce 1959.

    Raises:
        ValueError: when a query has more than `MAX_RANKED_ITEMS` segments.
    """
    items = returns.shape[-1]
    if items > MAX_RANKED_ITEMS:
        raise ValueError(
            f"the Plackett-Luce loss ranks at most {MAX_RANKED_ITEMS} segments a query, got {items}; "
            "take the bradley_terry loss"
        )
    left = _nonempty_subsets(items).to(returns.device)
    log_choice = returns[:, :, None].masked_fill(~left, -torch.inf).log_softmax(dim=-1)
    # Items already taken have weight 0 below, but a gradient through -inf would still be NaN.
    log_choice = log_choice.masked_fill(~left, 0.0)
    random = torch.log(noise[:, None] / left.sum(dim=-1))
    log_choice = torch.logaddexp(torch.log1p(-noise)[:, None, None] + log_choice, random[:, :, None])
    return -(_choice_weights(ranks, left) * log_choice).sum(dim=(-2, -1))


def margin_loss(
    returns: Float[Tensor, "E B K"], ranks: Int[Tensor, "B K"], noise: Float[Tensor, " B"], *, margin: float
) -> Float[Tensor, "E B"]:
    """Margin ranking (hinge) loss: the mean of max(0, margin - dr) over all pairs, dr = better minus worse.

    The loss of a tied pair is |dr|, the hinge at margin 0 in both directions. The hinge has no probability to mix
    noise into: a query has the weight 1 - noise instead, so that answers at chance have none here either.
    """
    first, second = _pairs(returns)
    sign = 2 * pairwise_targets(ranks) - 1
    hinge = F.relu(margin - sign * (first - second))
    return (1 - noise) * torch.where(sign == 0, (first - second).abs(), hinge).mean(dim=-1)


def centring_loss(returns: Float[Tensor, "E B K"]) -> Float[Tensor, "E B"]:
    """Mean squared sum (r1 + r2)^2 over all pairs of a query, since preferences do not determine a constant offset.

    Source: Eisenstein et al. 2023, section 2.
    """
    first, second = _pairs(returns)
    return (first + second).square().mean(dim=-1)


def regression_loss(
    returns: Float[Tensor, "E B K"], true_returns: Float[Tensor, "B K"], noise: Float[Tensor, " B"]
) -> Float[Tensor, "E B"]:
    """Mean squared error of a query's segment returns: the paper's ablation "target".

    As in `margin_loss` there is no probability to mix noise into, and a query has the weight 1 - noise.
    Source: Christiano et al. 2017, section 3.3.
    """
    return (1 - noise) * (returns - true_returns).square().mean(dim=-1)


def _pairs(values: Tensor) -> tuple[Tensor, Tensor]:
    if values.shape[-1] == 2:
        # The most frequent case: views cost nothing, indexing and its gradient do.
        return values[..., :1], values[..., 1:]
    first, second = torch.triu_indices(values.shape[-1], values.shape[-1], offset=1, device=values.device)
    return values[..., first], values[..., second]


def _nonempty_subsets(items: int) -> Tensor:
    codes = torch.arange(1, 2**items)
    return (codes[:, None] >> torch.arange(items)) & 1 == 1


def _choice_weights(ranks: Tensor, left: Tensor) -> Tensor:
    """Probability (B, S, K) that item k is chosen from exactly the items of S, ties broken at random."""
    unreachable = torch.iinfo(ranks.dtype).max
    leading_rank = ranks[:, None].masked_fill(~left, unreachable).amin(dim=-1, keepdim=True)
    is_leading = ranks[:, None] == leading_rank
    num_tied = is_leading.sum(dim=-1)
    candidates = is_leading & left
    num_left = candidates.sum(dim=-1)
    holds_all_worse = (left | (ranks[:, None] <= leading_rank)).all(dim=-1)
    # Random tie-breaking leaves each of the C(tied, left) sets equally likely, and each candidate next.
    probability = holds_all_worse / (_binomial(num_tied, num_left) * num_left)
    return candidates * probability[..., None]


def _binomial(n: Tensor, k: Tensor) -> Tensor:
    n, k = n.to(torch.get_default_dtype()), k.to(torch.get_default_dtype())
    return torch.exp(torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)).round()
