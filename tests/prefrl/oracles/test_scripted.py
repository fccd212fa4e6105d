"""Oracles that answer with a function or from a list."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from prefrl.data.types import CANT_TELL, Comparison, Provenance, Query, Segment
from prefrl.oracles import Oracle, ScriptedOracle


def query(query_id: int | None = 1) -> Query:
    ends = np.zeros(1, bool)
    segments = tuple(
        Segment(np.zeros((1, 1)), np.zeros(1), np.full(1, reward), ends, ends, Provenance("E-v0", 0, 0, 0))
        for reward in (1.0, 2.0)
    )
    return Query(segments, id=query_id)


def test_a_function_answers_from_the_query() -> None:
    oracle: Oracle = ScriptedOracle(lambda asked: (2, 1) if asked.segments[1].true_return > 1 else None, "s")
    comparison = oracle.answer(query(5))
    assert (comparison.query_id, comparison.ranks, comparison.annotator) == (5, (2, 1), "s")


def test_a_list_is_given_in_order_until_it_runs_out() -> None:
    oracle = ScriptedOracle.from_answers([(1, 2), CANT_TELL, [1, 1]])
    assert [oracle.answer(query()).ranks for _ in range(3)] == [(1, 2), None, (1, 1)]
    with pytest.raises(ValueError, match="3 answers and one more query"):
        oracle.answer(query())


def test_a_function_may_sign_its_comparison_itself() -> None:
    oracle = ScriptedOracle(lambda asked: Comparison(asked.id or 0, (1, 2), "ann", latency_s=2.0))
    comparison = oracle.answer(query(5))
    assert (comparison.query_id, comparison.annotator, comparison.latency_s) == (5, "ann", 2.0)


def test_numpy_numbers_are_ranks() -> None:
    comparison = ScriptedOracle(lambda _: np.argsort([2.0, 1.0]) + 1).answer(query())
    assert comparison.ranks == (2, 1)
    assert all(type(rank) is int for rank in comparison.ranks or ())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((1.5, 1.0), r"answered \(1.5, 1.0\); a whole number for each segment"),
        ("first", "answered 'first'; a whole number"),
        (7, "answered 7; a whole number"),
        (Comparison(9, (1, 2)), "answered query 9 when asked query 1"),
        (Comparison(1, (1, 2, 3)), "ranked 3 of a query's 2 segments"),
    ],
)
def test_what_is_no_answer_is_refused(answer: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"oracle 'mine' {message}"):
        ScriptedOracle(lambda _: answer, "mine").answer(query())


def test_an_answer_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="ranked 3 of a query's 2 segments"):
        ScriptedOracle.from_answers([(1, 2, 3)]).answer(query())


def test_a_query_without_id_can_be_answered() -> None:
    assert ScriptedOracle.from_answers([(1, 2)]).answer(query(None)).query_id == 0
