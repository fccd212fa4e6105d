"""Samples responses to prompts, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from prefrl.text.models.decoder import RowDecoder
from prefrl.text.models.model import LanguageModel

__all__ = ["Generation", "generate"]

_MAX_ROWS = 256
"""texts that are sampled at once: bounds the memory for keys and values"""


@dataclass(frozen=True)
class Generation:
    """B sampled texts of at most L tokens."""

    ids: Tensor
    """shape (B, L) int64, prompt and response, padded on the right"""
    prompt_lengths: Tensor
    """shape (B,) int64"""
    lengths: Tensor
    """shape (B,) int64, of prompt and response together, the token that ends a text included"""
    has_ended: Tensor
    """shape (B,) bool; False where the limit cut the response off"""

    def responses(self) -> list[list[int]]:
        """The sampled tokens of each text, without the one that ends it."""
        bounds = zip(
            self.ids.tolist(),
            self.prompt_lengths.tolist(),
            self.lengths.tolist(),
            self.has_ended.tolist(),
            strict=True,
        )
        return [ids[first : last - int(ended)] for ids, first, last, ended in bounds]


def generate(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Generation:
    """Sample one response to each prompt; a prompt may be repeated.

    A response ends with the model's ``eos_id``.

    Args:
        model: the language model.
        prompts: token ids of each prompt, at least one.
        max_new_tokens: longest response, the token that ends it included.
        temperature: logits are divided by it; 0 takes the most likely token.
        generator: the only source of randomness; by default torch's global one.

    Raises:
        ValueError: when there is no prompt, one is empty, or one is too long for the model together with its response.
    """
    _check(model, prompts, max_new_tokens, temperature)
    # Longest first, so that rows of a batch have similar lengths.
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    width = max(map(len, prompts)) + max_new_tokens
    ids = torch.full((len(prompts), width), model.pad_id or 0, dtype=torch.int64, device=model.device)
    for index, prompt in enumerate(prompts):
        ids[index, : len(prompt)] = torch.tensor(list(prompt))
    prompt_lengths = torch.tensor([len(prompt) for prompt in prompts], device=model.device)
    lengths = prompt_lengths.clone()
    has_ended = torch.zeros(len(prompts), dtype=torch.bool, device=model.device)
    for start in range(0, len(prompts), _MAX_ROWS):
        rows = torch.tensor(order[start : start + _MAX_ROWS], device=model.device)
        batch = _Batch(ids[rows], lengths[rows])
        batch.sample(model, max_new_tokens, temperature, generator)
        ids[rows], lengths[rows], has_ended[rows] = batch.ids, batch.lengths, batch.has_ended
    return Generation(ids, prompt_lengths, lengths, has_ended)


class _Batch:
    """Texts that are sampled side by side until all have ended."""

    def __init__(self, ids: Tensor, lengths: Tensor) -> None:
        self.ids, self.lengths = ids, lengths
        self.has_ended = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)

    @torch.no_grad()
    def sample(
        self,
        model: LanguageModel,
        max_new_tokens: int,
        temperature: float,
        generator: torch.Generator | None,
    ) -> None:
        """Sample until every text has ended or grown by ``max_new_tokens``."""
        active = torch.arange(len(self.ids), device=self.ids.device)
        decoder = RowDecoder(model, len(active), self.ids.shape[1])
        for _ in range(max_new_tokens):
            hidden = decoder.hidden(self.ids[active], self.lengths[active])
            tokens = _sample(model, hidden, temperature, generator)
            grows = ~self.has_ended[active]
            grown = active[grows]
            self.ids[grown, self.lengths[grown]] = tokens[grows]
            self.lengths[grown] += 1
            self.has_ended[grown] = tokens[grows] == model.eos_id
            left = active[~self.has_ended[active]]
            if len(left) == 0:
                return
            # Rows that have ended are computed until they are half of all: to drop rows copies the cache.
            if 2 * len(left) <= len(active):
                decoder, active = decoder.selected(torch.isin(active, left)), left


def _sample(
    model: LanguageModel, hidden: Tensor, temperature: float, generator: torch.Generator | None
) -> Tensor:
    """The next token (N,) after each hidden state (N, D)."""
    if temperature == 0:
        return model.logits(hidden).argmax(dim=-1)
    probabilities = model.logits(hidden, temperature).softmax(dim=-1)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]


def _check(
    model: LanguageModel, prompts: Sequence[Sequence[int]], max_new_tokens: int, temperature: float
) -> None:
    if not prompts or not all(len(prompt) for prompt in prompts):
        raise ValueError(
            f"{len(prompts)} prompts were given, or one of them is empty; every prompt needs a token"
        )
    longest = max(map(len, prompts))
    if max_new_tokens < 1 or longest + max_new_tokens > model.max_tokens:
        raise ValueError(
            f"a prompt of {longest} tokens and a response of up to {max_new_tokens} were asked for; the model takes "
            f"{model.max_tokens} in all, and a response has at least 1"
        )
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}; a finite number of at least 0 is needed")
