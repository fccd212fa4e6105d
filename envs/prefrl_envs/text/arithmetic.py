"""Sums of two numbers: a text task with one right answer to each prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from prefrl_envs.text.tokenizers import ByteTokenizer

__all__ = ["Arithmetic"]

_SUM = re.compile(r"([0-9]+)\+([0-9]+)=")
_NUMBER = re.compile(r"0|[1-9][0-9]*")
PARTIAL_CREDIT = 0.5
WRONG_SHARE = 0.3
LARGEST_ERROR = 10


class Arithmetic:
    """Prompts such as "12+7=", of bytes; the response is to be the sum in digits, and nothing else.

    The right answer earns 1. Another number earns 0.5 / distance, so that it pays to come nearer: 0.5 for one off by
    1, 0.05 for one off by 10. What is no number, or begins with a needless 0, earns 0.

    Args:
        max_operand: the two numbers are drawn from 0 to this.

    Raises:
        ValueError: when it is negative.
    """

    def __init__(self, max_operand: int = 99) -> None:
        if max_operand < 0:
            raise ValueError(f"max_operand is {max_operand}; at least 0 is needed")
        self.max_operand = max_operand
        self.tokenizer = ByteTokenizer()
        self.max_prompt_tokens = len(f"{max_operand}+{max_operand}=")
        self.max_new_tokens = len(str(2 * max_operand)) + 1
        """the digits of the largest sum, and the token that ends it"""

    def prompt(self, rng: np.random.Generator) -> str:
        """Two numbers, each alike."""
        first, second = rng.integers(0, self.max_operand + 1, size=2)
        return f"{first}+{second}="

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """1 for the right answer, else at most 0.5, shape (B,).

        Raises:
            ValueError: when a prompt is no sum.
        """
        return np.array([_credit(*pair) for pair in zip(prompts, responses, strict=True)])

    def demonstration(self, rng: np.random.Generator) -> tuple[str, str]:
        """A sum and its answer, which is wrong by 1 to 10 in three cases of ten."""
        prompt = self.prompt(rng)
        answer = _answer(prompt)
        if rng.random() < WRONG_SHARE:
            error = int(rng.integers(1, LARGEST_ERROR + 1))
            # A negative answer would need a sign, which right ones never have.
            answer += error if answer < error or rng.random() < 0.5 else -error
        return prompt, str(answer)

    def optimal_return(self) -> float:
        """Of right answers."""
        return 1.0


def _answer(prompt: str) -> int:
    match = _SUM.fullmatch(prompt)
    if match is None:
        raise ValueError(f"prompt {prompt!r} is no sum; write one such as '12+7='")
    return int(match[1]) + int(match[2])


def _credit(prompt: str, response: str) -> float:
    answer = _answer(prompt)
    if _NUMBER.fullmatch(response) is None:
        return 0.0
    # A float, since Python refuses to read integers of thousands of digits.
    distance = abs(float(response) - answer)
    return PARTIAL_CREDIT / distance if distance else 1.0
