"""The words of reviews: their sentiment, the grammar, and how ordinary reviews are drawn."""

from __future__ import annotations

import numpy as np

__all__ = [
    "ASPECTS",
    "END",
    "FOLLOWERS",
    "FREE",
    "INTENSIFIERS",
    "MAX_WORDS",
    "NEGATION",
    "NOT",
    "PRODUCTS",
    "START",
    "VALUES",
    "VALUES_OF_ASPECTS",
    "WORDS",
    "draw_response",
    "kind_of",
    "prompt_words",
]

MAX_WORDS = 16
"""of a response"""

PRODUCTS = ("camera", "phone", "laptop", "radio", "lamp", "watch", "printer", "kettle")
ASPECTS = ("design", "price", "weight", "sound", "screen", "handle", "finish", "cable")

_BY_VALUE = {
    2.0: ("superb", "wonderful", "excellent", "brilliant"),
    1.0: ("good", "nice", "solid", "pleasant", "neat"),
    0.0: ("plain", "average", "ordinary", "cheap", "light", "bright", "loud"),
    -1.0: ("bad", "poor", "weak", "dull", "flimsy"),
    -2.0: ("awful", "terrible", "dreadful", "horrible"),
}
_ADJECTIVES = {word: value for value, words in _BY_VALUE.items() for word in words}
_VERBS = {"love": 2.0, "like": 1.0, "want": 1.0, "regret": -1.0, "dislike": -1.0, "hate": -2.0}
VALUES = {**_ADJECTIVES, **_VERBS}
"""sentiment of each adjective and verb"""
VALUES_OF_ASPECTS = {
    ("price", "cheap"): 1.5,
    ("finish", "cheap"): -1.5,
    ("weight", "light"): 1.5,
    ("handle", "light"): -1.5,
    ("screen", "bright"): 1.5,
    ("sound", "bright"): -1.5,
    ("sound", "loud"): 1.5,
    ("design", "loud"): -1.5,
}
"""sentiment of (aspect, word), which replaces the word's value when the prompt names the aspect"""
INTENSIFIERS = {"slightly": 0.5, "rather": 0.75, "quite": 1.0, "really": 1.5, "very": 1.5, "extremely": 2.0}
"""factor of the sentiment of the next word"""
NOT = "not"
NEGATION = -0.5
FREE = ("and", "but", "i", "it")
"""words whose repetition costs nothing"""

WORDS = ("the", *PRODUCTS, *ASPECTS, "is", *VALUES, *INTENSIFIERS, NOT, *FREE)

START, END = "start", "end"
_OTHER = "other"
_JUDGEMENT = frozenset({"not", "intensifier", "adjective", "i"})
FOLLOWERS = {
    START: _JUDGEMENT,
    "conjunction": _JUDGEMENT,
    "not": frozenset({"intensifier", "adjective"}),
    "intensifier": frozenset({"adjective"}),
    "adjective": frozenset({"conjunction", END}),
    "i": frozenset({"verb"}),
    "verb": frozenset({"it"}),
    "it": frozenset({"conjunction", END}),
    _OTHER: frozenset({END}),
}
"""kinds of words that may follow each kind; a response runs from `START` to `END`"""

_KINDS = {
    **dict.fromkeys(_ADJECTIVES, "adjective"),
    **dict.fromkeys(_VERBS, "verb"),
    **dict.fromkeys(INTENSIFIERS, "intensifier"),
    **dict.fromkeys(("and", "but"), "conjunction"),
    NOT: "not",
    "i": "i",
    "it": "it",
}

JUDGEMENTS = (1, 2, 3)
"""possible numbers of judgements in a review, drawn uniformly"""
VERB_SHARE, NOT_SHARE, INTENSIFIER_SHARE = 0.25, 0.2, 0.4


def kind_of(word: str) -> str:
    """The word's kind, a key of `FOLLOWERS`; defined for any string."""
    return _KINDS.get(word, _OTHER)


def prompt_words(product: str, aspect: str) -> list[str]:
    """The first words of a review."""
    return ["the", product, aspect, "is"]


def draw_response(rng: np.random.Generator) -> list[str]:
    """The words of an ordinary review: one to three judgements, 2 to 11 words, no repetition but of `FREE` words."""
    words = _draw_judgement(rng)
    for _ in range(int(rng.choice(JUDGEMENTS)) - 1):
        judgement = _draw_judgement(rng)
        if not set(judgement) & set(words) - set(FREE):
            words = [*words, _any(rng, ("and", "but")), *judgement]
    return words if len(words) > 1 else [_any(rng, tuple(INTENSIFIERS)), *words]


def _draw_judgement(rng: np.random.Generator) -> list[str]:
    if rng.random() < VERB_SHARE:
        return ["i", _any(rng, tuple(_VERBS)), "it"]
    return [
        *([NOT] if rng.random() < NOT_SHARE else []),
        *([_any(rng, tuple(INTENSIFIERS))] if rng.random() < INTENSIFIER_SHARE else []),
        _any(rng, tuple(_ADJECTIVES)),
    ]


def _any(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[rng.integers(len(words))]
