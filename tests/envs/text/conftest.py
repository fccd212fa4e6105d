"""A task small enough to follow by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from prefrl_envs.text import Tokenizer, WordTokenizer


class Letters:
    """Write a's: each earns 1, each b costs 1. Tokens 0..2 are a, b and c, 3 is padding, 4 the end."""

    def __init__(self) -> None:
        self.tokenizer: Tokenizer = WordTokenizer("abc")
        self.max_prompt_tokens, self.max_new_tokens = 2, 3
        self.batches: list[tuple[list[str], list[str]]] = []

    def prompt(self, rng: np.random.Generator) -> str:
        return " ".join(rng.choice(list("abc"), size=rng.integers(1, 3)))

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        self.batches.append((list(prompts), list(responses)))
        return np.array([response.count("a") - response.count("b") for response in responses], np.float64)

    def demonstration(self, rng: np.random.Generator) -> tuple[str, str]:
        return self.prompt(rng), "a c"


@pytest.fixture
def letters() -> Letters:
    return Letters()
