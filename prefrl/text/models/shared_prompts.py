"""Hidden states of texts: a prompt that responses share is computed once, and little of what pads them at all."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

__all__ = ["deduplicate_prefixes", "response_hidden"]

_WORTHWHILE = 0.25
"""share of all tokens that has to be saved: two passes cost more than one"""
_MOST_PADDING = 1024
"""tokens that pad texts computed at once; more is worth another pass"""


def deduplicate_prefixes(ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The first ``lengths`` (B,) tokens of each text (B, L), such as its prompt or all of it, each beginning once.

    Returns:
        ids (G, P) of the beginnings, 0 past their ends, their lengths (G,), and which of them is each text's (B,).
    """
    longest = int(lengths.max())
    past = torch.arange(longest, device=ids.device) >= lengths[:, None]
    rows = torch.cat([lengths[:, None], ids[:, :longest].masked_fill(past, 0)], dim=1)
    distinct, places = rows.unique(dim=0, return_inverse=True)
    return distinct[:, 1:], distinct[:, 0], places


def response_hidden(backbone: Any, ids: Tensor, prompt_lengths: Tensor, lengths: Tensor) -> Tensor:
    """The last layer's hidden states at the last token of each prompt and at all of its response.

    Args:
        backbone: a causal model of `transformers` without the layer that gives logits.
        ids: shape (B, L) int64, prompt and response, padded on the right.
        prompt_lengths: shape (B,), at least 1.
        lengths: shape (B,), of prompt and response together.

    Returns:
        Shape (B, R + 1, D), R the longest response. What stands past a response's end means nothing.
    """
    prompts, distinct_lengths, places = deduplicate_prefixes(ids, prompt_lengths)
    saved = (len(ids) - len(prompts)) * prompts.shape[1]
    count = int((lengths - prompt_lengths).max())
    if count == 0 or saved < _WORTHWHILE * ids.numel():
        return _computed_apart(backbone, ids, prompt_lengths, lengths, count)
    cache = DynamicCache()
    hidden = backbone(input_ids=prompts, past_key_values=cache, use_cache=True).last_hidden_state
    last = hidden[torch.arange(len(prompts), device=ids.device), distinct_lengths - 1]
    cache.batch_select_indices(places)
    positions = prompt_lengths[:, None] + torch.arange(count, device=ids.device)
    positions = positions.clamp(max=ids.shape[1] - 1)
    responses = backbone(
        input_ids=ids.gather(1, positions),
        past_key_values=cache,
        attention_mask=_mask(prompt_lengths, prompts.shape[1], count),
        position_ids=positions,
        use_cache=True,
    ).last_hidden_state
    return torch.cat([last[places][:, None], responses], dim=1)


def _computed_apart(
    backbone: Any, ids: Tensor, prompt_lengths: Tensor, lengths: Tensor, count: int
) -> Tensor:
    """`response_hidden` without sharing; ``count`` is R."""
    groups, parts = _by_length(lengths), list[Tensor]()
    for rows in groups:
        width = int(lengths[rows].max())
        hidden = backbone(input_ids=ids[rows, :width], use_cache=False).last_hidden_state
        positions = prompt_lengths[rows, None] - 1 + torch.arange(count + 1, device=ids.device)
        parts.append(_taken(hidden, positions.clamp(max=width - 1)))
    return parts[0] if len(parts) == 1 else torch.cat(parts)[torch.cat(groups).argsort()]


def _by_length(lengths: Tensor) -> list[Tensor]:
    """Rows of texts of about one length together, all of (B,): to compute padding takes as long as text."""
    order = lengths.argsort(stable=True)
    groups, start, tokens = list[Tensor](), 0, 0
    for end, length in enumerate(lengths[order].tolist()):
        if length * (end - start) - tokens > _MOST_PADDING:
            groups.append(order[start:end])
            start, tokens = end, 0
        tokens += length
    # In the order that they are in, if they are few.
    return [*groups, order[start:]] if groups else [torch.arange(len(lengths), device=lengths.device)]


def _taken(hidden: Tensor, positions: Tensor) -> Tensor:
    """Of hidden states (B, L, D) those at positions (B, R)."""
    return hidden[torch.arange(len(hidden), device=hidden.device)[:, None], positions]


def _mask(prompt_lengths: Tensor, width: int, count: int) -> Tensor:
    """What each token of a response may look at, additive, shape (B, 1, count, width + count).

    Its prompt, which lies in the first ``width`` places, and what stands before it in the response.
    """
    device = prompt_lengths.device
    of_prompt = torch.arange(width, device=device) < prompt_lengths[:, None]
    causal = torch.ones(count, count, dtype=torch.bool, device=device).tril()
    seen = torch.cat(
        [
            of_prompt[:, None].expand(-1, count, -1),
            causal.expand(len(prompt_lengths), -1, -1),
        ],
        dim=2,
    )
    mask = torch.zeros(seen.shape, device=device)
    return mask.masked_fill_(~seen, torch.finfo(mask.dtype).min)[:, None]
