"""The capital of France once more: the question of `prefrl_envs.ranked_answers`, answered letter by letter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prefrl_envs.ranked_answers import ANSWERS, QUESTION, REWARDS
from prefrl_envs.text.tokenizers import ByteTokenizer

__all__ = ["CapitalOfFrance", "edit_distances"]

LIKENESS_WORTH = 0.5


class CapitalOfFrance:
    """One prompt, the question, of bytes; people have ranked five answers to it, 3 > 1 > 2 > 5 >> 4.

    A response that is one of them earns its true reward. Any other earns half that of the answer it is most like,
    times the likeness: 1 less the edit distance as a share of the longer of the two. So an empty text earns 0, and
    a likeness of the wrong and rude answer less. Where two are as like, the worse counts.
    """

    def __init__(self) -> None:
        self.tokenizer = ByteTokenizer()
        self.max_prompt_tokens = len(self.tokenizer.encode(QUESTION))
        self.max_new_tokens = max(len(self.tokenizer.encode(answer)) for answer in ANSWERS) + 1
        """the longest answer, and the token that ends it"""

    def prompt(self, rng: np.random.Generator) -> str:
        """The question."""
        return QUESTION

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """That of the answers as people ranked them, or of a likeness of one, shape (B,); prompts are not looked at."""
        return np.array([_reward(response) for response in responses])

    def demonstration(self, rng: np.random.Generator) -> tuple[str, str]:
        """The question and any of the five answers."""
        return QUESTION, ANSWERS[rng.integers(len(ANSWERS))]

    def optimal_return(self) -> float:
        """Of the best answer."""
        return max(REWARDS)


def edit_distances(text: str, references: Sequence[str]) -> np.ndarray:
    """The fewest characters to insert, delete or replace that make the text each of the references, shape (K,) int.

    Source: Wagner and Fischer 1974, The string-to-string correction problem, a row at a time.
    """
    lengths = np.array([len(reference) for reference in references])
    codes = np.full((len(references), lengths.max()), -1)
    for index, reference in enumerate(references):
        codes[index, : lengths[index]] = [ord(character) for character in reference]
    columns = np.arange(codes.shape[1] + 1)
    row = np.tile(columns, (len(references), 1))
    for character in text:
        above = np.minimum(row[:, 1:] + 1, row[:, :-1] + (codes != ord(character)))
        row = np.concatenate([row[:, :1] + 1, above], axis=1) - columns
        # Insertions run along a row: the least of what lies to the left, each column away costing 1.
        row = np.minimum.accumulate(row, axis=1) + columns
    return row[np.arange(len(references)), lengths]


def _reward(response: str) -> float:
    if response in ANSWERS:
        return REWARDS[ANSWERS.index(response)]
    longer = np.array([max(len(response), len(answer)) for answer in ANSWERS])
    likeness = 1 - edit_distances(response, ANSWERS) / longer
    nearest, reward = max(zip(likeness, REWARDS, strict=True), key=lambda pair: (pair[0], -pair[1]))
    return float(LIKENESS_WORTH * nearest * reward)
