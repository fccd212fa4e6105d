"""Annotators' errors, estimated from repeated and shared questions."""

from __future__ import annotations

import numpy as np
import pytest

from prefrl.annotators import Answer, annotator_reports, estimate_errors
from prefrl.data.types import Comparison, LabelledQuery, Provenance, Query, Segment
from prefrl.queries import swap_repeat
from prefrl.reward.metrics import wilson_interval

Ranks = tuple[int, ...] | None


def segment(true_return: float, seed: int = 0) -> Segment:
    ends = np.zeros(1, bool)
    rewards = np.full(1, true_return, np.float32)
    return Segment(np.zeros((1, 1)), np.zeros(1), rewards, ends, ends, Provenance("E-v0", seed, 0, 0))


def pair(number: int, rng: np.random.Generator) -> Query:
    """A pair whose better segment is on a random side."""
    returns = rng.permutation([0.0, 1.0])
    return Query(tuple(segment(value, number) for value in returns), id=number)


def answer_to(query: Query, ranks: Ranks, annotator: str = "ann") -> Answer:
    return Answer.of(LabelledQuery(query, Comparison(query.id or 0, ranks, annotator)))


def with_repeats(count: int, repeats: int, rng: np.random.Generator) -> list[Query]:
    """``count`` different pairs, then the first ``repeats`` of them with their sides swapped."""
    queries = [pair(number, rng) for number in range(count)]
    return queries + [swap_repeat(query, rng, policy_step=0) for query in queries[:repeats]]


def answers_of(
    error: float | None, queries: list[Query], annotator: str, rng: np.random.Generator
) -> list[Answer]:
    """Answers flipped with probability ``error``; with None, always the segment shown first."""
    answers = []
    for query in queries:
        is_first_better = query.segments[0].true_return > query.segments[1].true_return
        takes_first = error is None or is_first_better != (rng.random() < error)
        answers.append(answer_to(query, (1, 2) if takes_first else (2, 1), annotator))
    return answers


@pytest.mark.parametrize(("error", "expected"), [(0.0, 0.0), (0.1, 0.1), (0.25, 0.25), (None, 0.5)])
def test_error_of_one_annotator_from_200_labels_with_100_repeats(
    error: float | None, expected: float
) -> None:
    rng = np.random.default_rng(2)
    answers = answers_of(error, with_repeats(100, 100, rng), "ann", rng)
    assert estimate_errors(answers)["ann"] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_errors_of_five_annotators_from_200_shared_labels_with_40_repeats(seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries = with_repeats(160, 40, rng)
    people: dict[str, float | None] = {"a": 0.0, "b": 0.1, "c": 0.25, "d": 0.5, "left": None}
    answers = [answer for name, error in people.items() for answer in answers_of(error, queries, name, rng)]
    expected = {name: 0.5 if error is None else error for name, error in people.items()}
    assert estimate_errors(answers) == pytest.approx(expected, abs=0.05)


def test_about_95_percent_of_the_intervals_contain_the_true_error() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(40):
        report = annotator_reports(answers_of(0.15, with_repeats(60, 60, rng), "ann", rng))["ann"]
        covered += report.error_interval[0] <= 0.15 <= report.error_interval[1]
    assert covered >= 35  # 38 expected


def test_a_report_by_hand() -> None:
    rng = np.random.default_rng(0)
    queries = [pair(number, rng) for number in range(5)]
    first: list[Ranks] = [(1, 2), (2, 1), (1, 1), None, (1, 2)]
    answers = [answer_to(query, ranks) for query, ranks in zip(queries, first, strict=True)]
    swapped = [swap_repeat(query, rng, policy_step=0) for query in queries]
    answers += [
        answer_to(swapped[0], (2, 1)),  # agrees
        answer_to(swapped[1], (2, 1)),  # contradicts
        answer_to(swapped[2], (1, 2)),  # after a tie: no evidence
        answer_to(swapped[3], (1, 2)),  # after a can't tell: no evidence
        answer_to(swapped[4], (1, 1)),  # a tie: no evidence
    ]
    report = annotator_reports(answers)["ann"]
    assert (report.answers, report.repeats, report.agreements) == (10, 2, 1)
    assert (report.tie_share, report.cant_tell_share) == (0.2, 0.1)
    assert report.side_bias == pytest.approx(4 / 7)
    assert not report.is_side_biased
    assert report.error == estimate_errors(answers)["ann"]
    assert report.error_interval[0] <= report.error <= report.error_interval[1]


def test_an_annotator_who_always_takes_the_first_is_at_chance_and_side_biased() -> None:
    rng = np.random.default_rng(0)
    report = annotator_reports(answers_of(None, with_repeats(50, 50, rng), "left", rng))["left"]
    assert (report.repeats, report.agreements, report.side_bias) == (50, 0, 1.0)
    assert report.is_side_biased
    assert report.error > 0.45


def test_without_repeated_or_shared_questions_no_error_is_estimated() -> None:
    rng = np.random.default_rng(0)
    queries = [pair(number, rng) for number in range(3)]
    answers = [
        answer_to(queries[0], (1, 2), "a"),
        answer_to(queries[1], (1, 2), "b"),
        answer_to(queries[2], None, "c"),
    ]
    assert estimate_errors(answers) == {}
    report = annotator_reports(answers)["c"]
    assert report.error == 0.05
    assert (report.side_bias, report.side_bias_interval, report.repeats) == (0.5, (0, 1), 0)
    assert estimate_errors([]) == {}


def test_answers_are_matched_by_segment_whichever_side_it_was_shown_on() -> None:
    rng = np.random.default_rng(0)
    original = pair(1, rng)
    swapped = Query(original.segments[::-1], id=2)
    agreeing = [answer_to(original, (1, 2), "a"), answer_to(swapped, (2, 1), "b")]
    contradicting = [answer_to(original, (1, 2), "a"), answer_to(swapped, (1, 2), "b")]
    assert max(estimate_errors(agreeing).values()) < 0.05 < min(estimate_errors(contradicting).values())


def test_a_ranking_counts_as_its_pairs() -> None:
    original = Query(tuple(segment(float(value)) for value in range(3)), id=1)
    order = (2, 0, 1)
    shuffled = Query(tuple(original.segments[index] for index in order), id=2, repeat_of=1)
    # 3 > 1 = 2, then 3 > 1 > 2: two strict pairs of the first are repeated, both agree.
    answers = [answer_to(original, (2, 2, 1)), answer_to(shuffled, (1, 2, 3))]
    report = annotator_reports(answers)["ann"]
    assert (report.answers, report.repeats, report.agreements) == (2, 2, 2)
    assert report.side_bias == pytest.approx(3 / 5)


def test_a_few_repeats_move_the_assumed_error_a_little_and_many_outweigh_it() -> None:
    rng = np.random.default_rng(0)
    for assumed in (0.0, 0.05, 0.3):
        few = answers_of(0.0, with_repeats(10, 1, rng), "ann", rng)
        # Two agreeing answers and five votes of the prior; that both are wrong is very unlikely.
        assert estimate_errors(few, assumed)["ann"] == pytest.approx(assumed * 5 / 7, abs=0.03)
        many = answers_of(0.2, with_repeats(400, 400, rng), "ann", rng)
        assert estimate_errors(many, assumed)["ann"] == pytest.approx(0.2, abs=0.05)


def test_annotators_without_shared_questions_are_left_out() -> None:
    rng = np.random.default_rng(0)
    answers = answers_of(0.0, with_repeats(5, 5, rng), "a", rng)
    answers.append(answer_to(pair(9, rng), (1, 2), "b"))
    assert list(estimate_errors(answers)) == ["a"]


def test_wilson_interval_by_hand() -> None:
    # Wilson's interval for 8 of 10, tabulated as (0.490, 0.943).
    assert wilson_interval(8, 10) == pytest.approx((0.490, 0.943), abs=5e-4)
    assert wilson_interval(0, 0) == (0, 1)
