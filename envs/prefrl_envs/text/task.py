"""The task of a text environment: prompts, and the true reward of responses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from prefrl_envs.text.tokenizers import Tokenizer

__all__ = ["RewardFunction", "TextTask"]

RewardFunction = Callable[[Sequence[str], Sequence[str]], Sequence[float] | np.ndarray]
"""(prompts, responses), B of each -> B finite numbers; called once for all texts that end in a step"""


class TextTask(Protocol):
    """Prompts, and the true reward of responses. Tasks with a known best expected reward also have `optimal_return`.

    All randomness comes from the generators passed in, so that several environments can share a task.
    """

    @property
    def tokenizer(self) -> Tokenizer:
        """Of prompts and of responses."""

    @property
    def max_prompt_tokens(self) -> int:
        """Longest prompt."""

    @property
    def max_new_tokens(self) -> int:
        """Longest response, its end token included."""

    def prompt(self, rng: np.random.Generator) -> str:
        """Draw a prompt."""

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """The true reward of any B responses to prompts of this task, shape (B,) float64."""

    def demonstration(self, rng: np.random.Generator) -> tuple[str, str]:
        """Draw a prompt and an ordinary, not optimal, response for fine-tuning."""
