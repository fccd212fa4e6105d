from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl_envs.text import review_grammar as grammar
from prefrl_envs.text.reviews import Reviews

WEIGHT, PRICE, HANDLE = (f"the camera {aspect} is" for aspect in ("weight", "price", "handle"))


def gold(response: str, prompt: str = WEIGHT) -> float:
    return float(Reviews().reward([prompt], [response])[0])


@pytest.mark.parametrize(
    ("prompt", "response", "x"),
    [
        (WEIGHT, "very good", 1.5 * 1),
        (WEIGHT, "not very good", -0.5 * 1.5 * 1),
        (WEIGHT, "not awful", -0.5 * -2),
        (WEIGHT, "slightly superb and i love it", 0.5 * 2 + 2),
        (WEIGHT, "extremely flimsy but i want it", 2 * -1 + 1),
        (WEIGHT, "quite light and cheap", 1.5 + 0),
        (PRICE, "quite light and cheap", 0 + 1.5),
        (HANDLE, "rather light", 0.75 * -1.5),
        ("", "quite light", 0.0),
        # too short by a word
        (WEIGHT, "superb", 2 - 1),
        # nothing, so too short, and no end
        (WEIGHT, "", -1 - 2),
        # the second use is worth half; two adjectives in a row; a word used twice
        (WEIGHT, "good good", (1 + 0.5) - 2 - 0.5),
        # uses 2 and 3 cost 0.5 and 1, for each of the two words
        (WEIGHT, "very superb and very superb and very superb", 3 + 1.5 + 0.75 - 2 * (0.5 + 1)),
        # the intensifier comes too late, and nothing follows it
        (WEIGHT, "good very", 1 - 2 * 2),
        # "i" wants a verb, and no intensifier; the verb is scaled all the same
        (WEIGHT, "i really like it", 1.5 - 2 * 2),
        (WEIGHT, "the camera", -2 * 2),
        (WEIGHT, "fantastic , buy it", -4 * 2),
        # fourteen words
        (
            WEIGHT,
            "very good and rather bad but quite nice and slightly poor and extremely neat",
            1.5 - 0.75 + 1 - 0.5 + 2 - 2 * 0.3,
        ),
    ],
)
def test_rewards_by_hand(prompt: str, response: str, x: float) -> None:
    assert gold(response, prompt) == pytest.approx(4 * math.tanh(x / 4))


@pytest.mark.parametrize("word", grammar.WORDS)
def test_repeating_a_word_scores_badly(word: str) -> None:
    rewards = [gold(" ".join([word] * times)) for times in range(3, grammar.MAX_WORDS + 1)]
    assert rewards == sorted(rewards, reverse=True)
    assert max(rewards) < 0
    assert rewards[-1] < -3.5


def test_a_repeated_phrase_pays_less_and_then_costs() -> None:
    rewards = [gold(" and ".join(["very superb"] * times)) for times in (1, 2, 3, 4)]
    assert rewards[0] < rewards[1]
    assert rewards[1] > rewards[2] > rewards[3]
    assert rewards[3] < 0
    assert gold("very superb and extremely wonderful and i love it") > rewards[1]


def test_word_salad_scores_badly_even_with_positive_words() -> None:
    rng = np.random.default_rng(0)
    praise = [word for word, value in grammar.VALUES.items() if value > 0]
    salads = [" ".join(rng.permutation(praise)[:10]) for _ in range(100)]
    sentiment = np.mean([sum(grammar.VALUES[word] for word in salad.split()) for salad in salads])
    assert sentiment > 10
    assert max(map(gold, salads)) < 0
    assert max(gold(" ".join(rng.permutation(grammar.WORDS)[:12])) for _ in range(200)) < 0


@given(words=st.lists(st.sampled_from(grammar.WORDS), max_size=30))
def test_rewards_are_bounded(words: list[str]) -> None:
    assert -4 <= gold(" ".join(words)) <= 4


def test_there_are_about_sixty_words_each_once() -> None:
    assert 60 <= len(grammar.WORDS) <= 100
    assert len(set(grammar.WORDS)) == len(grammar.WORDS)
    assert {word for _, word in grammar.VALUES_OF_ASPECTS} <= set(grammar.VALUES)
    assert {aspect for aspect, _ in grammar.VALUES_OF_ASPECTS} <= set(grammar.ASPECTS)


def test_prompts_name_product_and_aspect() -> None:
    task, rng = Reviews(), np.random.default_rng(0)
    prompts = {task.prompt(rng) for _ in range(2000)}
    assert len(prompts) == len(grammar.PRODUCTS) * len(grammar.ASPECTS)
    assert WEIGHT in prompts
    assert (task.max_prompt_tokens, task.max_new_tokens) == (4, 17)


def test_demonstrations_are_grammatical_and_of_mixed_sentiment() -> None:
    task, rng = Reviews(), np.random.default_rng(0)
    pairs = [task.demonstration(rng) for _ in range(3000)]
    for _, response in pairs:
        words = response.split()
        assert 2 <= len(words) <= grammar.MAX_WORDS
        heavy = [word for word in words if word not in grammar.FREE]
        assert len(heavy) == len(set(heavy))
        kinds = [grammar.START, *map(grammar.kind_of, words), grammar.END]
        assert all(after in grammar.FOLLOWERS[kind] for kind, after in itertools.pairwise(kinds))
    rewards = task.reward(*zip(*pairs, strict=True))
    assert abs(rewards.mean()) < 0.15
    assert 0.35 < (rewards > 0).mean() < 0.6
    assert 0.35 < (rewards < 0).mean() < 0.6
    assert rewards.std() > 1
