"""Prompts with responses as padded arrays, and the log-probability of each response token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from prefrl.text.models import Generation, LanguageModel, response_hidden
from prefrl_agents.text.log_probs import token_log_probs

__all__ = ["Sequences", "response_log_probs"]


@dataclass(frozen=True)
class Sequences:
    """B prompts with one response each.

    Raises:
        ValueError: from `of`, when a prompt or a response has no token.
    """

    ids: Tensor
    """shape (B, L) int64, padded on the right"""
    prompt_lengths: Tensor
    """shape (B,) int64"""
    lengths: Tensor
    """shape (B,) int64, of prompt and response together"""

    @classmethod
    def of(
        cls, prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]], pad_id: int
    ) -> Sequences:
        """From token ids; a response that ends includes its end token."""
        texts = [[*prompt, *response] for prompt, response in zip(prompts, responses, strict=True)]
        for prompt, response in zip(prompts, responses, strict=True):
            if not len(prompt) or not len(response):
                raise ValueError(
                    f"a prompt of {len(prompt)} tokens with a response of {len(response)}; each needs one at least"
                )
        lengths = torch.tensor([len(text) for text in texts])
        ids = torch.full((len(texts), int(lengths.max()) if texts else 0), pad_id)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = torch.tensor(text)
        return cls(ids, torch.tensor([len(prompt) for prompt in prompts]), lengths)

    @classmethod
    def generated(cls, generation: Generation) -> Sequences:
        """From sampled texts."""
        return cls(generation.ids, generation.prompt_lengths, generation.lengths)

    def __len__(self) -> int:
        """B."""
        return len(self.ids)

    @property
    def mask(self) -> Tensor:
        """Which tokens belong to responses, shape (B, L - 1) bool: the first token of each text is left out."""
        places = torch.arange(1, self.ids.shape[1], device=self.ids.device)
        return (places >= self.prompt_lengths[:, None]) & (places < self.lengths[:, None])

    @property
    def num_response_tokens(self) -> int:
        """Tokens of all responses together."""
        return int((self.lengths - self.prompt_lengths).sum())

    def __getitem__(self, rows: Tensor) -> Sequences:
        """The texts with indices ``rows`` (R,), padded to the longest of them."""
        lengths = self.lengths[rows]
        width = int(lengths.max()) if len(lengths) else 0
        return Sequences(self.ids[rows, :width], self.prompt_lengths[rows], lengths)

    def to(self, device: torch.device) -> Sequences:
        """The same on another device."""
        return Sequences(self.ids.to(device), self.prompt_lengths.to(device), self.lengths.to(device))

    def chunks(self, most_tokens: int) -> Iterator[Tensor]:
        """Split the texts, sorted by length, into chunks of at most ``most_tokens`` tokens, padding included.

        Yields the indices (R,) of each chunk. A longer text is a chunk alone.
        """
        order = self.lengths.argsort(stable=True)
        start = 0
        for end in range(1, len(order) + 1):
            is_full = end < len(order) and int(self.lengths[order[end]]) * (end + 1 - start) > most_tokens
            if is_full or end == len(order):
                yield order[start:end]
                start = end


def response_log_probs(model: LanguageModel, sequences: Sequences, temperature: float = 1.0) -> Tensor:
    """Log-probability of each token of the responses, shape (B, L - 1) as `Sequences.mask`, 0 elsewhere.

    Logits are computed for response tokens only: with a large vocabulary they take most memory and time. A prompt
    that several responses share is computed once.
    """
    mask = sequences.mask
    hidden = response_hidden(model.backbone, sequences.ids, sequences.prompt_lengths, sequences.lengths)
    counts = sequences.lengths - sequences.prompt_lengths
    hidden = hidden[torch.arange(hidden.shape[1], device=hidden.device) < counts[:, None]]
    found = token_log_probs(model.logits(hidden, temperature)[None], sequences.ids[:, 1:][mask][None])[0]
    return torch.zeros(mask.shape, device=found.device).masked_scatter(mask, found)
