"""Log-probabilities of tokens, and sums and means over the tokens of responses.

Logits are already divided by the sampling temperature. A mask is 1 on response tokens and 0 on prompt and padding;
values where it is 0 may be anything, NaN included, and get no gradient.
"""

from __future__ import annotations

from typing import TypeAlias

from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = [
    "Mask",
    "masked_mean",
    "ratio_excess",
    "response_only",
    "sequence_sum",
    "token_log_probs",
]

Mask: TypeAlias = Bool[Tensor, "B L"] | Float[Tensor, "B L"]
"""1 on response tokens, else 0"""

MAX_LOG_RATIO = 20.0
"""nats; above it, `ratio_excess` is linear"""


def token_log_probs(logits: Float[Tensor, "B L V"], tokens: Int[Tensor, "B L"]) -> Float[Tensor, "B L"]:
    """Log-probability of each token; ``logits[:, t]`` predict ``tokens[:, t]``: the caller has shifted them."""
    # Not log_softmax, which keeps a second tensor of the size of the vocabulary for the backward pass.
    chosen = logits.gather(dim=-1, index=tokens.long()[..., None]).squeeze(-1)
    return chosen - logits.logsumexp(dim=-1)


def response_only(values: Float[Tensor, "B L"], mask: Mask) -> Float[Tensor, "B L"]:
    """``values`` on response tokens, 0 elsewhere."""
    return values.masked_fill(~mask.bool(), 0.0)


def sequence_sum(values: Float[Tensor, "B L"], mask: Mask) -> Float[Tensor, " B"]:
    """Sum over the response tokens of each row; for log-probs, the log-probability of the response."""
    return response_only(values, mask).sum(dim=-1)


def masked_mean(values: Float[Tensor, "B L"], mask: Mask) -> Float[Tensor, ""]:
    """Mean over all response tokens of the batch; 0 where there is none."""
    return response_only(values, mask).sum() / mask.bool().sum().clamp(min=1)


def ratio_excess(log_ratio: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """exp(log_ratio) - 1, exact near 0; above `MAX_LOG_RATIO` it follows its tangent.

    A ratio of two probabilities then never overflows float32, and its gradient keeps its sign.
    """
    bounded = log_ratio.clamp(max=MAX_LOG_RATIO)
    return bounded.expm1() + bounded.exp() * (log_ratio - bounded)
