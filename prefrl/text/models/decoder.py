"""Hidden states of texts that grow by one token at a time, without recomputing their earlier tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from prefrl.text.models.model import LanguageModel
from prefrl.text.models.per_row_cache import PerRowKVCache
from prefrl.text.models.shared_prompts import deduplicate_prefixes

__all__ = ["RowDecoder"]


class RowDecoder:
    """N rows of unfinished text. Each row grows by one token or starts another text, independently of the others.

    Discard it, or call `clear`, whenever the model's weights change. For use without gradients.

    Args:
        model: the language model.
        num_rows: N.
        max_tokens: longest text, prompt and response together.
    """

    def __init__(self, model: LanguageModel, num_rows: int, max_tokens: int) -> None:
        self._model, self.num_rows, self.max_tokens = model, num_rows, max_tokens
        self._ids = torch.zeros(num_rows, max_tokens, dtype=torch.int64, device=model.device)
        self._lengths = torch.zeros(num_rows, dtype=torch.int64, device=model.device)
        self._cache = PerRowKVCache(num_rows, max_tokens)

    def clear(self) -> None:
        """Forget all texts; their memory stays allocated."""
        self._lengths.zero_()

    @torch.no_grad()
    def hidden(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Hidden state of each text's last token, shape (N, D).

        Args:
            ids: shape (N, L) int64, padded on the right.
            lengths: shape (N,) int64, at least 1.
        """
        # A finished text does not grow: its last token is computed again, at the place that it has already.
        growth = lengths - self._lengths
        continues = (growth >= 0) & (growth <= 1) & (self._lengths > 0)
        width = min(int(self._lengths.max()), ids.shape[1])
        if width:
            is_held = torch.arange(width, device=ids.device) < self._lengths[:, None]
            continues &= ((ids[:, :width] == self._ids[:, :width]) | ~is_held).all(dim=1)
        restarted = (~continues).nonzero()[:, 0]
        if len(restarted):
            self._prefill(restarted, ids[restarted], lengths[restarted] - 1)
        self._ids[:, : ids.shape[1]] = ids
        self._lengths = lengths.clone()
        last = ids.gather(1, (lengths - 1)[:, None])
        return self._step(last, lengths - 1)

    def selected(self, kept: Tensor) -> RowDecoder:
        """Another decoder with the rows where ``kept``, shape (N,) bool, is True."""
        rows = kept.nonzero()[:, 0]
        decoder = RowDecoder(self._model, len(rows), self.max_tokens)
        decoder._ids, decoder._lengths = self._ids[rows], self._lengths[rows]
        decoder._cache = self._cache.selected(rows)
        return decoder

    def _prefill(self, rows: Tensor, ids: Tensor, lengths: Tensor) -> None:
        """Compute the first ``lengths`` tokens of texts that start in these rows; equal prefixes are computed once."""
        longest = int(lengths.max())
        if longest == 0:
            return
        prefixes, _, origins = deduplicate_prefixes(ids, lengths)
        self._cache.rows, self._cache.origins = rows, origins
        positions = torch.arange(longest, device=ids.device).expand(len(prefixes), -1)
        causal = torch.ones(longest, longest, dtype=torch.bool, device=ids.device).tril_()
        self._model.hidden(prefixes, cache=self._cache, visible=causal[None], positions=positions)

    def _step(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Hidden states (N, D) after one token (N, 1) of each row at its position (N,)."""
        cache = self._cache
        cache.rows, cache.positions, cache.width = None, positions, int(positions.max()) + 1
        hidden = self._model.hidden(
            tokens, cache=cache, visible=cache.visible(), positions=positions[:, None]
        )
        return hidden[:, 0]
