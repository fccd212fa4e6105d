"""What a text environment asks for, and what an answer is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from prefrl_envs.text.tokenizers import Tokenizer

__all__ = ["RewardFunction", "TextTask"]

RewardFunction = Callable[[Sequence[str], Sequence[str]], Sequence[float] | np.ndarray]
"""(prompts, responses), B of each -> B finite numbers; called once for all texts that end in a step"""


class TextTask(Protocol):
    """Prompts, and the true reward of responses. Tasks whose best expected reward is known have `optimal_return` too.

    All randomness comes from the generators given, so one task may serve many environments.
    """

    @property
    def tokenizer(self) -> Tokenizer:
        """Of prompts and responses alike."""

    @property
    def max_prompt_tokens(self) -> int:
        """Longest prompt."""

    @property
    def max_new_tokens(self) -> int:
        """Longest response, the token that ends it included."""

    def prompt(self, rng: np.random.Generator) -> str:
        """Draw a prompt."""

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """The true reward of any B responses to prompts of this task, shape (B,) float64."""

    def demonstration(self, rng: np.random.Generator) -> tuple[str, str]:
        """Draw a prompt and an ordinary, not an optimal response, to fine-tune on."""
