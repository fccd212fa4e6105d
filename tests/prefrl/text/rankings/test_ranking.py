from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.text.rankings import Demonstration, Pair, Ranking


def test_pairs_are_all_unequal_ones_better_first() -> None:
    ranking = Ranking("Capital?", ("Rome", "Paris", "Berlin"), (2, 1, 2))
    assert list(ranking.pairs()) == [Pair("Paris", "Rome"), Pair("Paris", "Berlin")]
    assert not ranking.is_tie


def test_a_tie_has_no_pairs() -> None:
    ranking = Ranking("Capital?", ("Paris", "Paris", "paris"), (1, 1, 1))
    assert ranking.is_tie
    assert list(ranking.pairs()) == []


@given(st.lists(st.integers(1, 4), min_size=2, max_size=7))
def test_pairs_order_as_the_ranks_do(drawn: list[int]) -> None:
    ranks = tuple(rank - min(drawn) + 1 for rank in drawn)
    responses = tuple(f"response {index}" for index in range(len(ranks)))
    rank_of = dict(zip(responses, ranks, strict=True))
    pairs = list(Ranking("prompt", responses, ranks).pairs())

    assert all(rank_of[chosen] < rank_of[rejected] for chosen, rejected in pairs)
    assert len(set(pairs)) == sum(a != b for a, b in itertools.combinations(ranks, 2))


@pytest.mark.parametrize(
    ("prompt", "responses", "ranks", "message"),
    [
        (" \n", ("a", "b"), (1, 2), r"the prompt ' \\n' is empty; give"),
        ("p", ("a",), (1,), "at least 2 responses, got 1"),
        ("p", ("a", "b"), (1, 2, 3), "3 ranks for 2 responses"),
        ("p", ("a", "b"), (0, 1), r"ranks \(0, 1\) must be .* of which the best is 1"),
        ("p", ("a", "b"), (2, 3), "the best is 1"),
        ("p", ("a", "b", "a"), (1, 2, 3), "the same response has ranks 1 and 3"),
        ("p\ud800", ("a", "b"), (1, 2), r"the prompt has half a surrogate pair, '\\ud800', at character 1"),
        ("p", ("a", "\udc00"), (1, 2), "a response has half a surrogate pair"),
    ],
)
def test_what_ranks_nothing_is_refused(
    prompt: str, responses: tuple[str, ...], ranks: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Ranking(prompt, responses, ranks)


def test_a_response_may_be_empty_and_a_tie_of_one_text_is_allowed() -> None:
    assert list(Ranking("p", ("", "a"), (2, 1)).pairs()) == [Pair("a", "")]
    assert Ranking("p", ("a", "a", "b"), (2, 2, 1)).ranks == (2, 2, 1)


def test_a_demonstration_needs_a_prompt() -> None:
    assert Demonstration("2+2=", "4").response == "4"
    with pytest.raises(ValueError, match="is empty"):
        Demonstration("", "4")
    with pytest.raises(ValueError, match="the response has half a surrogate pair"):
        Demonstration("2+2=", "\ud83d")


def test_importing_rankings_does_not_load_torch() -> None:
    code = "import sys, prefrl.text.rankings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
