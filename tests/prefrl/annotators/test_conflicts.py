"""Conflicting answers to a pair become one answer."""

from __future__ import annotations

import numpy as np
import pytest

from prefrl.annotators import Answer, Rule, resolve

PAIR = ("a", "b")


def answers(*given: tuple[str, tuple[str, str], tuple[int, int]]) -> list[Answer]:
    return [Answer(pair, ranks, name) for name, pair, ranks in given]


@pytest.mark.parametrize("rule", ["majority", "dawid_skene"])
def test_the_majority_counts_whichever_side_a_segment_was_shown_on(rule: Rule) -> None:
    given = answers(
        ("ann", PAIR, (2, 1)), ("bob", ("b", "a"), (2, 1)), ("cyd", PAIR, (1, 2)), ("ann", ("c", "d"), (2, 1))
    )
    assert resolve(given, rule) == [(0, (1, 2)), (3, (2, 1))]


def test_an_even_vote_is_a_tie_and_so_are_ties_alone() -> None:
    even = answers(("ann", PAIR, (1, 2)), ("bob", PAIR, (2, 1)), ("ann", ("c", "d"), (1, 1)))
    assert resolve(even, "majority") == [(0, (1, 1)), (2, (1, 1))]
    # A tie does not count against a strict answer.
    assert resolve(answers(("ann", PAIR, (1, 1)), ("bob", PAIR, (2, 1))), "majority") == [(0, (2, 1))]


def test_rankings_of_more_than_two_segments_are_kept() -> None:
    three = [Answer(("a", "b", "c"), (3, 1, 2), "ann"), Answer(("a", "b", "c"), (1, 2, 3), "bob")]
    assert resolve(three, "majority") == [(0, (3, 1, 2)), (1, (1, 2, 3))]


def test_one_reliable_annotator_outweighs_two_who_err_often() -> None:
    rng = np.random.default_rng(0)
    given = []
    for number in range(300):
        pair = (f"{number}a", f"{number}b")
        given.append(Answer(pair, (1, 2), "knows"))
        given += [
            Answer(pair, (1, 2) if rng.random() < 0.65 else (2, 1), name) for name in ("errs", "errs too")
        ]

    def right(rule: Rule) -> float:
        return float(np.mean([ranks == (1, 2) for _, ranks in resolve(given, rule)]))

    assert right("majority") < 0.92
    assert right("dawid_skene") > 0.98
