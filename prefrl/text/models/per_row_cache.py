"""Keys and values of texts that grow side by side, each at a length of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

__all__ = ["PerRowKVCache"]


class PerRowKVCache(Cache):
    """A token at position p of row r lies at place (r, p), whatever the other rows do.

    A row that begins anew overwrites its own places, from position 0; places past a row's length hold what is left of
    longer texts, and are masked.
    """

    def __init__(self, num_layers: int, num_rows: int, max_tokens: int) -> None:
        self.num_rows, self.max_tokens = num_rows, max_tokens
        self.rows: Tensor | None = None
        """shape (R,) int64, the rows that begin anew; None where all rows go on by a token"""
        self.origins = torch.zeros(0, dtype=torch.int64)
        """shape (R,), which of the new keys and values (G, H, q, d) each of these rows takes"""
        self.positions = torch.zeros(num_rows, dtype=torch.int64)
        """shape (N,), where each row's next token goes"""
        self.width = 0
        """places that are looked at: one past the last position in use"""
        super().__init__(layers=[_RowLayer(self) for _ in range(num_layers)])

    def selected(self, rows: Tensor) -> PerRowKVCache:
        """A cache of these rows (R,) alone."""
        cache = PerRowKVCache(len(self.layers), len(rows), self.max_tokens)
        for ours, theirs in zip(self.layers, cache.layers, strict=True):
            if ours.is_initialized:
                theirs.keys, theirs.values, theirs.is_initialized = ours.keys[rows], ours.values[rows], True
        return cache

    def mask(self, dtype: torch.dtype) -> Tensor:
        """What the next token of each row may look at, additive, shape (N, 1, 1, width)."""
        places = torch.arange(self.width, device=self.positions.device)
        hidden = places > self.positions[:, None]
        mask = torch.zeros(hidden.shape, dtype=dtype, device=self.positions.device)
        return mask.masked_fill_(hidden, torch.finfo(dtype).min)[:, None, None]


class _RowLayer(CacheLayerMixin):
    """One layer's part: keys and values of shape (N, H, max_tokens, d)."""

    def __init__(self, cache: PerRowKVCache) -> None:
        super().__init__()
        self._cache = cache

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Take the memory, once the model has shown its number of heads and their width."""
        cache = self._cache
        shape = (cache.num_rows, key_states.shape[1], cache.max_tokens)
        self.keys = key_states.new_zeros((*shape, key_states.shape[-1]))
        self.values = value_states.new_zeros((*shape, value_states.shape[-1]))
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Store new keys and values (G, H, q, d) or (N, H, 1, d); give all that the new tokens may look at."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None
        assert self.values is not None
        cache = self._cache
        if cache.rows is not None:
            # They begin at position 0, so all they look at is here already.
            count = key_states.shape[2]
            self.keys[cache.rows, :, :count] = key_states[cache.origins]
            self.values[cache.rows, :, :count] = value_states[cache.origins]
            return key_states, value_states
        every = torch.arange(cache.num_rows, device=key_states.device)
        self.keys[every, :, cache.positions] = key_states[:, :, 0]
        self.values[every, :, cache.positions] = value_states[:, :, 0]
        return self.keys[:, :, : cache.width], self.values[:, :, : cache.width]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset of what is looked at; rows that begin anew see themselves alone."""
        return (query_length if self._cache.rows is not None else self._cache.width), 0

    def get_seq_length(self) -> int:
        """Tokens before the new ones, as far as the model is to know: positions are always given."""
        return 0

    def get_max_length(self) -> int:
        """Longest text."""
        return self._cache.max_tokens

    # What the same was called before.
    get_max_cache_shape = get_max_length
