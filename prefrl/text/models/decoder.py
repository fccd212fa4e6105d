"""Hidden states of texts that grow by a token at a time, without computing their beginnings anew."""

from __future__ import annotations

import torch
from torch import Tensor

from prefrl.text.models.model import LanguageModel
from prefrl.text.models.per_row_cache import PerRowKVCache
from prefrl.text.models.shared_prompts import deduplicate_prefixes

__all__ = ["RowDecoder"]


class RowDecoder:
    """N rows of text under way. A row goes on by one token, or begins another text, whatever the others do.

    Forget it, or `clear` it, whenever the model's weights change. For use without gradients.

    Args:
        model: the language model.
        num_rows: N.
        max_tokens: longest text, prompt and response together.
    """

    def __init__(self, model: LanguageModel, num_rows: int, max_tokens: int) -> None:
        self._model, self.num_rows, self.max_tokens = model, num_rows, max_tokens
        self._ids = torch.zeros(num_rows, max_tokens, dtype=torch.int64, device=model.device)
        self._lengths = torch.zeros(num_rows, dtype=torch.int64, device=model.device)
        self._cache: PerRowKVCache | None = None

    def clear(self) -> None:
        """Hold no text any more; the memory stays taken."""
        self._lengths.zero_()

    @torch.no_grad()
    def hidden(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Hidden state of each text's last token, shape (N, D).

        Args:
            ids: shape (N, L), padded on the right.
            lengths: shape (N,), at least 1.
        """
        # A text that has ended stays as it is: its last token is taken in again, where it lies already.
        more = lengths - self._lengths
        goes_on = (more >= 0) & (more <= 1) & (self._lengths > 0)
        width = min(int(self._lengths.max()), ids.shape[1])
        if width:
            is_held = torch.arange(width, device=ids.device) < self._lengths[:, None]
            goes_on &= ((ids[:, :width] == self._ids[:, :width]) | ~is_held).all(dim=1)
        anew = (~goes_on).nonzero()[:, 0]
        if len(anew):
            self._prefill(anew, ids[anew], lengths[anew] - 1)
        self._ids[:, : ids.shape[1]] = ids
        self._lengths = lengths.clone()
        last = ids.gather(1, (lengths - 1)[:, None])
        return self._step(last, lengths - 1)

    def selected(self, kept: Tensor) -> RowDecoder:
        """Another decoder with the rows that ``kept``, shape (N,) bool, names."""
        rows = kept.nonzero()[:, 0]
        decoder = RowDecoder(self._model, len(rows), self.max_tokens)
        decoder._ids, decoder._lengths = self._ids[rows], self._lengths[rows]
        decoder._cache = None if self._cache is None else self._cache.selected(rows)
        return decoder

    def _prefill(self, rows: Tensor, ids: Tensor, lengths: Tensor) -> None:
        """Take in all but the last token of texts that begin; those that begin alike are computed once."""
        longest = int(lengths.max())
        cache = self._opened()
        if longest == 0:
            return
        beginnings, _, origins = deduplicate_prefixes(ids, lengths)
        cache.rows, cache.origins = rows, origins
        positions = torch.arange(longest, device=ids.device).expand(len(beginnings), -1)
        causal = torch.full((longest, longest), torch.finfo(torch.float32).min, device=ids.device).triu_(1)
        mask = causal.expand(len(beginnings), 1, -1, -1)
        self._model.hidden(beginnings, past_key_values=cache, attention_mask=mask, position_ids=positions)

    def _step(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Take in one token (N, 1) of each row at its position (N,)."""
        cache = self._opened()
        cache.rows, cache.positions, cache.width = None, positions, int(positions.max()) + 1
        mask = cache.mask(torch.float32)
        hidden = self._model.hidden(
            tokens, past_key_values=cache, attention_mask=mask, position_ids=positions[:, None]
        )
        return hidden[:, 0]

    def _opened(self) -> PerRowKVCache:
        if self._cache is None:
            self._cache = PerRowKVCache(self._model.num_layers, self.num_rows, self.max_tokens)
        return self._cache
