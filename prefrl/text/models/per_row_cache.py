"""Keys and values of texts that grow side by side, each at its own length."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["PerRowKVCache"]


class PerRowKVCache:
    """Keys and values of N texts: those of the token at position p of row r are stored at [r, p].

    A row that starts another text overwrites its places from position 0. Places past a row's length hold remains of
    longer texts, and are masked. `RowDecoder` sets ``rows``, ``origins``, ``positions`` and ``width`` before each
    forward pass.

    Args:
        num_rows: N.
        max_tokens: longest text.
    """

    def __init__(self, num_rows: int, max_tokens: int) -> None:
        self.num_rows, self.max_tokens = num_rows, max_tokens
        self.rows: Tensor | None = None
        """shape (R,) int64, the rows that start another text; None where every row grows by one token"""
        self.origins = torch.zeros(0, dtype=torch.int64)
        """shape (R,) int64, which of the new keys and values (G, H, Q, d) each of these rows takes"""
        self.positions = torch.zeros(num_rows, dtype=torch.int64)
        """shape (N,) int64, position of each row's new token"""
        self.width = 0
        """places that are attended to: one past the last position in use"""
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}
        """keys and values of each layer, shape (N, H, max_tokens, d)"""

    def selected(self, rows: Tensor) -> PerRowKVCache:
        """A cache of these rows (R,) only."""
        cache = PerRowKVCache(len(rows), self.max_tokens)
        cache._layers = {index: (keys[rows], values[rows]) for index, (keys, values) in self._layers.items()}
        return cache

    def visible(self) -> Tensor:
        """The places that the new token of each row attends to, shape (N, 1, width) bool."""
        places = torch.arange(self.width, device=self.positions.device)
        return (places <= self.positions[:, None])[:, None]

    def num_visible(self, num_new: int) -> int:
        """See `KeyValueCache`; rows that start another text attend to that text only."""
        return num_new if self.rows is not None else self.width

    def update(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """See `KeyValueCache`; new keys and values are of shape (G, H, Q, d) or (N, H, 1, d)."""
        if layer not in self._layers:
            self._layers[layer] = (self._empty(keys), self._empty(values))
        held_keys, held_values = self._layers[layer]
        if self.rows is not None:
            # They start at position 0, so all they attend to is new.
            count = keys.shape[2]
            held_keys[self.rows, :, :count] = keys[self.origins]
            held_values[self.rows, :, :count] = values[self.origins]
            return keys, values
        every = torch.arange(self.num_rows, device=keys.device)
        held_keys[every, :, self.positions] = keys[:, :, 0]
        held_values[every, :, self.positions] = values[:, :, 0]
        return held_keys[:, :, : self.width], held_values[:, :, : self.width]

    def _empty(self, new: Tensor) -> Tensor:
        """Memory for all places, once the model has shown its number of heads and their width."""
        return new.new_zeros((self.num_rows, new.shape[1], self.max_tokens, new.shape[3]))
