"""Short product reviews: the reward is their sentiment, minus penalties for repetition and bad style.

The true reward stands for people's taste. A reward learned from comparisons of ordinary reviews has not seen repetition
or word salad, so it can be over-optimised (Gao et al. 2022).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from prefrl_envs.text import review_grammar as grammar
from prefrl_envs.text.tokenizers import WordTokenizer

__all__ = ["Reviews"]

LARGEST_REWARD = 4.0
REPEAT_DECAY = 0.5
REPEAT_COST = 0.5
DISORDER_COST = 2.0
LENGTHY_FROM_WORDS = 12
LENGTHY_COST = 0.3
CURT_BELOW_WORDS = 2
CURT_COST = 1.0


class Reviews:
    """The prompt starts a review, "the camera weight is"; the response continues it, "not very light but i like it".

    The true reward is 4 tanh(x / 4), where x is the sentiment minus the cost of bad style:

    - each adjective or verb adds its value, from -2 to 2; for some it depends on the aspect: "cheap" only
      praises a price;
    - an intensifier right before it scales it, by 0.5 for "slightly" up to 2 for "extremely", and "not" before both
      multiplies it by -0.5;
    - each earlier use of the same word halves it, and the n-th use of any word but "and", "but", "i" and "it" costs
      0.5 (n - 1);
    - each word that the grammar does not allow after the previous one costs 2, and so does an end within a phrase;
    - each word after the twelfth costs 0.3, and fewer than two words cost 1.
    """

    def __init__(self) -> None:
        self.tokenizer = WordTokenizer(grammar.WORDS)
        self.max_prompt_tokens = len(grammar.prompt_words(grammar.PRODUCTS[0], grammar.ASPECTS[0]))
        self.max_new_tokens = grammar.MAX_WORDS + 1
        """the words, and the end token"""

    def prompt(self, rng: np.random.Generator) -> str:
        """A product and one of its aspects, drawn uniformly."""
        product, aspect = (words[rng.integers(len(words))] for words in (grammar.PRODUCTS, grammar.ASPECTS))
        return " ".join(grammar.prompt_words(product, aspect))

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        """The true reward of any texts, between -4 and 4, shape (B,)."""
        return np.array(
            [_squashed(prompt.split(), text.split()) for prompt, text in zip(prompts, responses, strict=True)]
        )

    def demonstration(self, rng: np.random.Generator) -> tuple[str, str]:
        """A prompt and a grammatical review, positive as often as negative."""
        return self.prompt(rng), " ".join(grammar.draw_response(rng))


def _squashed(prompt: list[str], words: list[str]) -> float:
    return LARGEST_REWARD * math.tanh((_sentiment(prompt, words) - _style_cost(words)) / LARGEST_REWARD)


def _sentiment(prompt: list[str], words: list[str]) -> float:
    total = 0.0
    for index, word in enumerate(words):
        value = _value(prompt, word) * REPEAT_DECAY ** words[:index].count(word)
        before = index - 1
        if before >= 0 and words[before] in grammar.INTENSIFIERS:
            value *= grammar.INTENSIFIERS[words[before]]
            before -= 1
        if before >= 0 and words[before] == grammar.NOT:
            value *= grammar.NEGATION
        total += value
    return total


def _value(prompt: list[str], word: str) -> float:
    for aspect in prompt:
        if (aspect, word) in grammar.VALUES_OF_ASPECTS:
            return grammar.VALUES_OF_ASPECTS[aspect, word]
    return grammar.VALUES.get(word, 0.0)


def _style_cost(words: list[str]) -> float:
    kinds = [grammar.START, *map(grammar.kind_of, words), grammar.END]
    disorders = sum(after not in grammar.FOLLOWERS[kind] for kind, after in itertools.pairwise(kinds))
    repeats = sum(words[:index].count(word) for index, word in enumerate(words) if word not in grammar.FREE)
    return (
        DISORDER_COST * disorders
        + REPEAT_COST * repeats
        + LENGTHY_COST * max(len(words) - LENGTHY_FROM_WORDS, 0)
        + CURT_COST * (len(words) < CURT_BELOW_WORDS)
    )
