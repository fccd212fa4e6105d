"""The capital of France: the question of `prefrl_envs.ranked_answers`, answered byte by byte."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prefrl_envs.ranked_answers import ANSWERS, QUESTION, REWARDS
from prefrl_envs.text.tokenizers import ByteTokenizer

__all__ = ["CapitalOfFrance", "edit_distances"]

LIKENESS_WORTH = 0.5


class CapitalOfFrance:
    """One prompt, the question, tokenised by bytes; people ranked five answers to it, 3 > 1 > 2 > 5 >> 4.

    One of these answers earns its true reward. Any other response earns half the reward of the most similar answer
    times the similarity: 1 minus the edit distance over the length of the longer text. An empty text thus earns 0, and
    one similar to the wrong and rude answer less. Of equally similar answers, the worst counts.
    """

    def __init__(self) -> None:
        self.tokenizer = ByteTokenizer()
        self.max_prompt_tokens = len(self.tokenizer.encode(QUESTION))
        self.max_new_tokens = max(len(self.tokenizer.encode(answer)) for answer in ANSWERS) + 1
        """the longest answer, and the end token"""

    def prompt(self, rng: np.random.Generator) -> str:
        """The question."""
        return QUESTION

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """Rewards by similarity to the ranked answers, shape (B,); prompts are ignored."""
        return np.array([_reward(response) for response in responses])

    def demonstration(self, rng: np.random.Generator) -> tuple[str, str]:
        """The question and one of the five answers, uniformly."""
        return QUESTION, ANSWERS[rng.integers(len(ANSWERS))]

    def optimal_return(self) -> float:
        """The reward of the best answer."""
        return max(REWARDS)


def edit_distances(text: str, references: Sequence[str]) -> np.ndarray:
    """Edit distance (insertions, deletions, replacements) of the text to each reference, shape (K,) int.

    Source: Wagner and Fischer 1974, The string-to-string correction problem, row by row.
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
        # Insertions run along a row: the minimum over the columns to the left, plus 1 per column.
        row = np.minimum.accumulate(row, axis=1) + columns
    return row[np.arange(len(references)), lengths]


def _reward(response: str) -> float:
    if response in ANSWERS:
        return REWARDS[ANSWERS.index(response)]
    longer = np.array([max(len(response), len(answer)) for answer in ANSWERS])
    likeness = 1 - edit_distances(response, ANSWERS) / longer
    nearest, reward = max(zip(likeness, REWARDS, strict=True), key=lambda pair: (pair[0], -pair[1]))
    return float(LIKENESS_WORTH * nearest * reward)
