"""Sums of two numbers: a text task with one right answer per prompt."""

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
    """Prompts such as "12+7=", tokenised by bytes; the right response is the sum in digits and nothing else.

    The right answer earns 1. Another number earns 0.5 / distance: 0.5 when off by 1, 0.05 when off by 10. Text that is
    not a number, or has a leading 0, earns 0.

    Args:
        max_operand: largest operand; operands are drawn from 0 to this.

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
        """the digits of the largest sum, and the end token"""

    def prompt(self, rng: np.random.Generator) -> str:
        """A sum of two numbers, drawn uniformly."""
        first, second = rng.integers(0, self.max_operand + 1, size=2)
        return f"{first}+{second}="

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """1 for the right answer, else at most 0.5, shape (B,).

        Raises:
            ValueError: when a prompt is not a sum.
        """
        return np.array([_credit(*pair) for pair in zip(prompts, responses, strict=True)])

    def demonstration(self, rng: np.random.Generator) -> tuple[str, str]:
        """A sum and an answer, which is off by 1 to 10 with probability 0.3."""
        prompt = self.prompt(rng)
        answer = _answer(prompt)
        if rng.random() < WRONG_SHARE:
            error = int(rng.integers(1, LARGEST_ERROR + 1))
            # A negative answer would need a sign, which right answers never have.
            answer += error if answer < error or rng.random() < 0.5 else -error
        return prompt, str(answer)

    def optimal_return(self) -> float:
        """1, the reward of right answers."""
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
    # A float: Python refuses to parse integers of thousands of digits.
    distance = abs(float(response) - answer)
    return PARTIAL_CREDIT / distance if distance else 1.0
