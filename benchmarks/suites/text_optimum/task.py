"""Texts of a few words, all of them enumerated, with exact objective and optimum.

The objective is the expected reward minus beta times the KL to the reference. Its optimum is attained by the
reference's distribution times exp(reward / beta), normalised.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from prefrl.text.models import LanguageModel
from prefrl_agents.text import Sequences, response_log_probs
from prefrl_envs.text import WordTokenizer

__all__ = ["BETA", "PROMPT", "Enumerable"]

BETA = 0.5
PROMPT = "a"
_CHUNK = 4096


@dataclass(frozen=True)
class Enumerable:
    """Texts of a few words; the reward of a text is the sum over its words and pairs of neighbours, drawn at random.

    Args:
        words: in the vocabulary, besides the token that ends a text.
        steps: maximum length of a text, including that token.
        seed: of the rewards of words and pairs.
    """

    words: int = 7
    steps: int = 5
    seed: int = 0

    @cached_property
    def tokenizer(self) -> WordTokenizer:
        """One letter a word."""
        return WordTokenizer([chr(ord("a") + number) for number in range(self.words)])

    max_prompt_tokens = 1

    @property
    def max_new_tokens(self) -> int:
        """The number of steps."""
        return self.steps

    @cached_property
    def _worth(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(self.seed)
        return rng.normal(0, 0.5, self.words), rng.normal(0, 0.5, (self.words, self.words))

    def prompt(self, rng: np.random.Generator) -> str:
        """The only prompt."""
        return PROMPT

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """Rewards of the responses, shape (B,)."""
        return np.array([self.worth(self.tokenizer.encode(response)) for response in responses])

    def worth(self, ids: Sequence[int]) -> float:
        """Reward of token ids, without the token that ends a text."""
        single, pair = self._worth
        return float(sum(single[i] for i in ids) + sum(pair[i, j] for i, j in itertools.pairwise(ids)))

    @cached_property
    def texts(self) -> list[list[int]]:
        """All responses, with the token that ends a text unless the limit cut it off."""
        ended = [
            [*text, self.tokenizer.eos_id]
            for length in range(self.steps)
            for text in itertools.product(range(self.words), repeat=length)
        ]
        return ended + [list(text) for text in itertools.product(range(self.words), repeat=self.steps)]

    @cached_property
    def rewards(self) -> np.ndarray:
        """Rewards of `texts`, shape (S,)."""
        return np.array([self.worth([i for i in text if i < self.words]) for text in self.texts])

    @torch.no_grad()
    def log_probs(self, model: LanguageModel) -> np.ndarray:
        """Log-probabilities of `texts`, shape (S,); the probabilities sum to 1."""
        prompt = self.tokenizer.encode(PROMPT)
        everything = Sequences.of([prompt] * len(self.texts), self.texts, self.tokenizer.pad_id)
        parts = [
            response_log_probs(model, everything[rows]).sum(dim=-1)
            for rows in torch.arange(len(everything)).split(_CHUNK)
        ]
        return torch.cat(parts).double().numpy()

    def score(self, model: LanguageModel, reference: np.ndarray) -> dict[str, float]:
        """Objective of the model and of the reference with these log-probabilities, shape (S,), and the optimum."""
        log_probs = self.log_probs(model)
        probabilities = np.exp(log_probs)
        objective = float((probabilities * (self.rewards - BETA * (log_probs - reference))).sum())
        start = float((np.exp(reference) * self.rewards).sum())
        best = BETA * _log_sum_exp(reference + self.rewards / BETA)
        return {
            "objective": objective,
            "reference": start,
            "optimum": best,
            "share_of_gain": (objective - start) / (best - start),
            "probability": float(probabilities.sum()),
            "reward": float((probabilities * self.rewards).sum()),
            "kl": float((probabilities * (log_probs - reference)).sum()),
        }


def _log_sum_exp(values: np.ndarray) -> float:
    largest = values.max()
    return float(largest + math.log(np.exp(values - largest).sum()))
