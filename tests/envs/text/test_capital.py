from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl_envs.ranked_answers import ANSWERS, QUESTION, RANKS, REWARDS
from prefrl_envs.text.capital import CapitalOfFrance, edit_distances


def slow_distance(first: str, second: str) -> int:
    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        replaced = distance(i - 1, j - 1) + (first[i - 1] != second[j - 1])
        return min(replaced, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(first), len(second))


@given(
    text=st.text("abc", max_size=7), references=st.lists(st.text("abc", max_size=7), min_size=1, max_size=4)
)
def test_edit_distances_match_the_definition(text: str, references: list[str]) -> None:
    expected = [slow_distance(text, reference) for reference in references]
    assert edit_distances(text, references).tolist() == expected


def test_edit_distances_by_hand() -> None:
    assert edit_distances("kitten", ["sitting", "kitten", "", "mitten"]).tolist() == [3, 0, 6, 1]


def test_answers_are_rewarded_as_people_ranked_them() -> None:
    task = CapitalOfFrance()
    rewards = task.reward([QUESTION] * 5, ANSWERS)
    assert rewards.tolist() == list(REWARDS)
    assert [RANKS[index] for index in np.argsort(-rewards)] == [1, 2, 3, 4, 5]
    assert task.optimal_return() == rewards.max() == 1.0


@pytest.mark.parametrize(
    ("response", "reward"),
    [
        ("", 0.0),
        ("Paris", 0.5 * 5 / 6 * 0.75),
        ("The capital of France is Paris", 0.5 * 30 / 31 * 1.0),
        ("Lyon, as any child could tell!", 0.5 * 29 / 30 * -2.0),
        ("?", 0.0),
    ],
)
def test_similar_answers_by_hand(response: str, reward: float) -> None:
    assert CapitalOfFrance().reward([QUESTION], [response])[0] == pytest.approx(reward)


@pytest.mark.slow
@given(text=st.text(max_size=40))
def test_no_other_text_is_worth_half_the_best_answer(text: str) -> None:
    reward = CapitalOfFrance().reward([QUESTION], [text])[0]
    assert text in ANSWERS or -1 < reward < 0.5


def test_limits_hold_question_and_answers() -> None:
    task = CapitalOfFrance()
    assert task.prompt(np.random.default_rng(0)) == QUESTION
    assert (task.max_prompt_tokens, task.max_new_tokens) == (30, 32)


def test_demonstrations_are_the_five_answers() -> None:
    task, rng = CapitalOfFrance(), np.random.default_rng(0)
    pairs = {task.demonstration(rng) for _ in range(100)}
    assert pairs == {(QUESTION, answer) for answer in ANSWERS}
