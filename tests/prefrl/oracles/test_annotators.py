from __future__ import annotations

import numpy as np
import pytest

from prefrl.oracles import annotator_reports, estimate_errors
from prefrl.oracles.annotators import wilson_interval
from prefrl.queries import swap_repeat
from prefrl.types import Comparison, LabelledQuery, Provenance, Query, Segment

Ranks = tuple[int, ...] | None


def segment(true_return: float, seed: int = 0) -> Segment:
    ends = np.zeros(1, bool)
    rewards = np.full(1, true_return, np.float32)
    return Segment(np.zeros((1, 1)), np.zeros(1), rewards, ends, ends, Provenance("E-v0", seed, 0, 0))


def pair(number: int, rng: np.random.Generator) -> Query:
    """A pair whose better segment is on either side."""
    returns = rng.permutation([0.0, 1.0])
    return Query(tuple(segment(value, number) for value in returns), id=number)


def labelled(query: Query, ranks: Ranks, annotator: str = "ann") -> LabelledQuery:
    return LabelledQuery(query, Comparison(query.id or 0, ranks, annotator))


def with_repeats(count: int, repeats: int, rng: np.random.Generator) -> list[Query]:
    """``count`` different pairs, then the first ``repeats`` of them with their sides swapped."""
    queries = [pair(number, rng) for number in range(count)]
    return queries + [swap_repeat(query, rng, policy_step=0) for query in queries[:repeats]]


def answers_of(
    error: float | None, queries: list[Query], annotator: str, rng: np.random.Generator
) -> list[LabelledQuery]:
    """Answers flipped with probability ``error``; None always takes the segment shown first."""
    answers = []
    for query in queries:
        is_first_better = query.segments[0].true_return > query.segments[1].true_return
        takes_first = error is None or is_first_better != (rng.random() < error)
        answers.append(labelled(query, (1, 2) if takes_first else (2, 1), annotator))
    return answers


@pytest.mark.parametrize(("error", "expected"), [(0.0, 0.0), (0.1, 0.1), (0.25, 0.25), (None, 0.5)])
def test_error_of_one_annotator_from_200_labels_of_which_100_repeat(
    error: float | None, expected: float
) -> None:
    rng = np.random.default_rng(2)
    answers = answers_of(error, with_repeats(100, 100, rng), "ann", rng)
    assert estimate_errors(answers)["ann"] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_errors_of_five_annotators_of_the_same_200_labels_of_which_40_repeat(seed: int) -> None:
    rng = np.random.default_rng(seed)
    queries = with_repeats(160, 40, rng)
    people: dict[str, float | None] = {"a": 0.0, "b": 0.1, "c": 0.25, "d": 0.5, "left": None}
    answers = [answer for name, error in people.items() for answer in answers_of(error, queries, name, rng)]
    expected = {name: 0.5 if error is None else error for name, error in people.items()}
    assert estimate_errors(answers) == pytest.approx(expected, abs=0.05)


def test_the_truth_lies_in_nearly_all_intervals() -> None:
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
    answers = [labelled(query, ranks) for query, ranks in zip(queries, first, strict=True)]
    swapped = [swap_repeat(query, rng, policy_step=0) for query in queries]
    answers += [
        labelled(swapped[0], (2, 1)),  # agrees
        labelled(swapped[1], (2, 1)),  # contradicts
        labelled(swapped[2], (1, 2)),  # after a tie: no evidence
        labelled(swapped[3], (1, 2)),  # after a can't tell: no evidence
        labelled(swapped[4], (1, 1)),  # a tie: no evidence
    ]
    report = annotator_reports(answers)["ann"]
    assert (report.answers, report.repeats, report.agreements) == (10, 2, 1)
    assert (report.tie_share, report.cant_tell_share) == (0.2, 0.1)
    assert report.side_bias == pytest.approx(4 / 7)
    assert not report.is_side_biased
    assert report.error == estimate_errors(answers)["ann"]
    assert report.error_interval[0] <= report.error <= report.error_interval[1]


def test_one_who_always_takes_the_first_is_reported_as_chance_and_biased() -> None:
    rng = np.random.default_rng(0)
    report = annotator_reports(answers_of(None, with_repeats(50, 50, rng), "left", rng))["left"]
    assert (report.repeats, report.agreements, report.side_bias) == (50, 0, 1.0)
    assert report.is_side_biased
    assert report.error > 0.45


def test_people_who_never_met_a_question_twice_keep_the_prior() -> None:
    rng = np.random.default_rng(0)
    queries = [pair(number, rng) for number in range(3)]
    answers = [
        labelled(queries[0], (1, 2), "a"),
        labelled(queries[1], (1, 2), "b"),
        labelled(queries[2], None, "c"),
    ]
    assert estimate_errors(answers) == {"a": 0.05, "b": 0.05, "c": 0.05}
    report = annotator_reports(answers)["c"]
    assert (report.side_bias, report.side_bias_interval, report.repeats) == (0.5, (0, 1), 0)
    assert estimate_errors([]) == {}


def test_answers_are_matched_by_segment_whichever_side_it_was_on() -> None:
    rng = np.random.default_rng(0)
    original = pair(1, rng)
    swapped = Query(original.segments[::-1], id=2)
    agreeing = [labelled(original, (1, 2), "a"), labelled(swapped, (2, 1), "b")]
    contradicting = [labelled(original, (1, 2), "a"), labelled(swapped, (1, 2), "b")]
    assert max(estimate_errors(agreeing).values()) < 0.05 < min(estimate_errors(contradicting).values())


def test_a_ranking_counts_as_its_pairs() -> None:
    original = Query(tuple(segment(float(value)) for value in range(3)), id=1)
    order = (2, 0, 1)
    shuffled = Query(tuple(original.segments[index] for index in order), id=2, repeat_of=1)
    # 3 > 1 = 2, then 3 > 1 > 2: two strict pairs of the first are repeated, both agree.
    answers = [labelled(original, (2, 2, 1)), labelled(shuffled, (1, 2, 3))]
    report = annotator_reports(answers)["ann"]
    assert (report.answers, report.repeats, report.agreements) == (2, 2, 2)
    assert report.side_bias == pytest.approx(3 / 5)


def test_wilson_interval_by_hand() -> None:
    # Wilson's interval for 8 of 10, tabulated as (0.490, 0.943).
    assert wilson_interval(8, 10) == pytest.approx((0.490, 0.943), abs=5e-4)
    assert wilson_interval(0, 0) == (0, 1)
