"""Hidden states of many texts: a prompt that responses share is computed once, and little padding is computed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from prefrl.text.models.adapter import hidden_states

__all__ = ["deduplicate_prefixes", "response_hidden"]

_MIN_SAVED_SHARE = 0.25
"""of all tokens; below it, two passes cost more than one"""
_MAX_PADDING_TOKENS = 1024
"""in a batch; to compute more costs more than another pass"""


def deduplicate_prefixes(ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The distinct prefixes among the first ``lengths`` (B,) tokens of each text (B, L), such as its prompt.

    Returns:
        ids (G, P) of the prefixes, 0 past their ends, their lengths (G,), and the index of each text's prefix (B,).
    """
    longest = int(lengths.max())
    past = torch.arange(longest, device=ids.device) >= lengths[:, None]
    rows = torch.cat([lengths[:, None], ids[:, :longest].masked_fill(past, 0)], dim=1)
    distinct, indices = rows.unique(dim=0, return_inverse=True)
    return distinct[:, 1:], distinct[:, 0], indices


def response_hidden(backbone: Any, ids: Tensor, prompt_lengths: Tensor, lengths: Tensor) -> Tensor:
    """The last layer's hidden states at the last token of each prompt and at all of its response.

    Args:
        backbone: `LanguageModel.backbone`, a causal model without the layer that computes logits.
        ids: shape (B, L) int64, prompt and response, padded on the right.
        prompt_lengths: shape (B,) int64, at least 1.
        lengths: shape (B,) int64, of prompt and response together.

    Returns:
        Shape (B, R + 1, D), R the longest response. States past a response's end are arbitrary.
    """
    prompts, distinct_lengths, indices = deduplicate_prefixes(ids, prompt_lengths)
    saved = (len(ids) - len(prompts)) * prompts.shape[1]
    count = int((lengths - prompt_lengths).max())
    if count == 0 or saved < _MIN_SAVED_SHARE * ids.numel():
        return _without_sharing(backbone, ids, prompt_lengths, lengths, count)
    cache = _PromptCache()
    hidden = hidden_states(backbone, prompts, cache=cache)
    last = hidden[torch.arange(len(prompts), device=ids.device), distinct_lengths - 1]
    cache.select(indices)
    positions = prompt_lengths[:, None] + torch.arange(count, device=ids.device)
    positions = positions.clamp(max=ids.shape[1] - 1)
    responses = hidden_states(
        backbone,
        ids.gather(1, positions),
        cache=cache,
        visible=_visible(prompt_lengths, prompts.shape[1], count),
        positions=positions,
    )
    return torch.cat([last[indices][:, None], responses], dim=1)


class _PromptCache:
    """Keys and values of distinct prompts, and then of the responses to them."""

    def __init__(self) -> None:
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}
        """keys and values (B, H, K, d) of each layer"""

    def update(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """See `KeyValueCache`."""
        if layer in self._layers:
            held_keys, held_values = self._layers[layer]
            keys, values = torch.cat([held_keys, keys], dim=2), torch.cat([held_values, values], dim=2)
        self._layers[layer] = keys, values
        return keys, values

    def num_visible(self, num_new: int) -> int:
        """See `KeyValueCache`."""
        return num_new + (self._layers[0][0].shape[2] if self._layers else 0)

    def select(self, rows: Tensor) -> None:
        """Keep these rows (R,) in this order; a row may appear many times."""
        self._layers = {index: (keys[rows], values[rows]) for index, (keys, values) in self._layers.items()}


def _without_sharing(
    backbone: Any, ids: Tensor, prompt_lengths: Tensor, lengths: Tensor, count: int
) -> Tensor:
    """`response_hidden` of whole texts; ``count`` is R."""
    groups, parts = _group_by_length(lengths), list[Tensor]()
    for rows in groups:
        width = int(lengths[rows].max())
        hidden = hidden_states(backbone, ids[rows, :width])
        positions = prompt_lengths[rows, None] - 1 + torch.arange(count + 1, device=ids.device)
        parts.append(_take(hidden, positions.clamp(max=width - 1)))
    return parts[0] if len(parts) == 1 else torch.cat(parts)[torch.cat(groups).argsort()]


def _group_by_length(lengths: Tensor) -> list[Tensor]:
    """All rows of (B,) in groups of similar length: padding takes as long to compute as text."""
    order = lengths.argsort(stable=True)
    groups, start, tokens = list[Tensor](), 0, 0
    for end, length in enumerate(lengths[order].tolist()):
        if length * (end - start) - tokens > _MAX_PADDING_TOKENS:
            groups.append(order[start:end])
            start, tokens = end, 0
        tokens += length
    # A single group keeps the order of the rows.
    return [*groups, order[start:]] if groups else [torch.arange(len(lengths), device=lengths.device)]


def _take(hidden: Tensor, positions: Tensor) -> Tensor:
    """The hidden states (B, R, D) at positions (B, R) of (B, L, D)."""
    return hidden[torch.arange(len(hidden), device=hidden.device)[:, None], positions]


def _visible(prompt_lengths: Tensor, width: int, count: int) -> Tensor:
    """The places that each token of a response attends to, shape (B, count, width + count) bool.

    Its prompt, which is stored in the first ``width`` places, and the response up to itself.
    """
    device = prompt_lengths.device
    of_prompt = torch.arange(width, device=device) < prompt_lengths[:, None]
    causal = torch.ones(count, count, dtype=torch.bool, device=device).tril()
    return torch.cat(
        [
            of_prompt[:, None].expand(-1, count, -1),
            causal.expand(len(prompt_lengths), -1, -1),
        ],
        dim=2,
    )
