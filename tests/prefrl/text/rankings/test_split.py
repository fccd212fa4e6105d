from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.text.rankings import Ranking, length_baseline, length_matched, split_by_prompt


def pair(chosen: str, rejected: str, prompt: str = "p") -> Ranking:
    return Ranking(prompt, (chosen, rejected), (1, 2), "7", "here")


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), max_size=20), st.floats(0, 1))
def test_a_prompt_keeps_its_side_whatever_else_there_is(numbers: list[int], fraction: float) -> None:
    rankings = [pair(f"a{index}", "b", f"prompt {number}") for index, number in enumerate(numbers)]
    train, validation = split_by_prompt(rankings, fraction)

    assert sorted(map(id, train + validation)) == sorted(map(id, rankings))
    assert not {ranking.prompt for ranking in train} & {ranking.prompt for ranking in validation}
    for ranking in rankings:
        assert (ranking in split_by_prompt([ranking], fraction)[1]) == (ranking in validation)


def test_the_share_held_out_is_the_share_asked_for() -> None:
    rankings = [pair("a", "b", f"prompt {number}") for number in range(2000)]
    _, validation = split_by_prompt(rankings, 0.2)
    # five standard deviations of a binomial of 2000 trials at .2
    assert abs(len(validation) - 400) < 5 * math.sqrt(2000 * 0.2 * 0.8)
    assert split_by_prompt(rankings, 0.0) == (rankings, [])
    assert split_by_prompt(rankings, 1.0) == ([], rankings)


@pytest.mark.parametrize("share", [-0.1, 1.5, math.nan])
def test_shares_outside_0_to_1_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match=f"the validation fraction is {share}"):
        split_by_prompt([], share)
    with pytest.raises(ValueError, match=f"the tolerance is {share}"):
        length_matched([], share)


def test_the_length_baseline_by_hand() -> None:
    rankings = [
        pair("long", "no"),  # right
        pair("yes", "three"),  # wrong
        pair("one", "two"),  # half
        # three of its six pairs are unequal, and right
        Ranking("p", ("a", "b", "cccc", "dd"), (2, 2, 1, 2)),
    ]
    accuracy, pairs = length_baseline(rankings)
    assert pairs == 6
    assert accuracy == pytest.approx((1 + 0 + 0.5 + 3) / 6)


def test_no_pair_has_no_baseline() -> None:
    accuracy, pairs = length_baseline([Ranking("p", ("a", "b"), (1, 1))])
    assert math.isnan(accuracy)
    assert pairs == 0


def test_length_matched_pairs_by_hand() -> None:
    rankings = [
        pair("a" * 10, "b" * 9),  # a tenth shorter
        pair("a" * 8, "b" * 10),  # a fifth shorter
        pair("", "b"),
        Ranking("q", ("x" * 5, "y" * 5, "z" * 50), (2, 1, 3)),
    ]
    assert length_matched(rankings, 0.1) == [
        rankings[0],
        Ranking("q", ("y" * 5, "x" * 5), (1, 2)),
    ]
    assert length_matched(rankings, 0.2)[1] == rankings[1]
    assert len(length_matched(rankings, 0.0)) == 1
    assert len(length_matched(rankings, 1.0)) == 6


def test_lengths_that_agree_leave_the_baseline_at_chance() -> None:
    matched = length_matched([pair("one", "two"), pair("long", "no"), pair("six", "ten")], 0.0)
    assert length_baseline(matched) == (0.5, 2)
