"""The exact objective and optimum of the enumerable task, and every method close to the optimum."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from benchmarks.suites.text_optimum.job import METHODS, train
from benchmarks.suites.text_optimum.task import BETA, Enumerable
from prefrl.text.models import LanguageModel

pytestmark = pytest.mark.slow

SMALL = Enumerable(words=3, steps=3)


def model(seed: int = 0) -> LanguageModel:
    tokenizer = SMALL.tokenizer
    return LanguageModel.create("tiny", tokenizer.vocab_size, 4, tokenizer.pad_id, tokenizer.eos_id, seed)


def test_texts_are_distinct_and_probabilities_sum_to_one() -> None:
    # Ended after 0, 1 or 2 words, or 3 words cut off by the limit: 1 + 3 + 9 + 27.
    assert len({tuple(text) for text in SMALL.texts}) == len(SMALL.texts) == 40
    assert np.exp(SMALL.log_probs(model())).sum() == pytest.approx(1.0, abs=1e-5)


def test_reward_sums_over_words_and_neighbours() -> None:
    single, pair = SMALL._worth
    assert SMALL.worth([0, 2, 1]) == pytest.approx(single.sum() + pair[0, 2] + pair[2, 1])
    assert SMALL.reward(["a"], ["a c b"])[0] == pytest.approx(SMALL.worth([0, 2, 1]))


def test_optimum_is_reached_by_the_best_policy_and_exceeded_by_none() -> None:
    reference = SMALL.log_probs(model())
    found = SMALL.score(model(), reference)
    assert found["objective"] == pytest.approx(found["reference"], abs=1e-5)
    weights = np.exp(reference) * np.exp(SMALL.rewards / BETA)
    best = weights / weights.sum()
    value = float((best * (SMALL.rewards - BETA * (np.log(best) - reference))).sum())
    assert value == pytest.approx(found["optimum"])
    rng = np.random.default_rng(0)
    for _ in range(200):
        other = best * np.exp(rng.normal(0, 0.3, len(best)))
        other /= other.sum()
        assert (other * (SMALL.rewards - BETA * (np.log(other) - reference))).sum() <= value


@pytest.mark.parametrize("method", METHODS)
def test_each_method_comes_close_to_the_optimum(method: str) -> None:
    found = train(SMALL, method, seed=0, effort=0.25)
    assert found["share_of_gain"] > 0.9
    assert found["share_of_gain"] <= 1 + 1e-6
    assert math.isfinite(found["kl"])


def test_texts_are_ordered_as_documented() -> None:
    end = SMALL.tokenizer.eos_id
    assert SMALL.texts[0] == [end]
    assert SMALL.texts[1:4] == [[word, end] for word in range(3)]
    assert SMALL.texts[-1] == [2, 2, 2]
    assert list(itertools.islice(SMALL.texts, 4, 6)) == [[0, 0, end], [0, 1, end]]
