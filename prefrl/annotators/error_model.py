"""How often each annotator errs, estimated from the answers alone.

An answer about K segments counts as its K (K - 1) / 2 pairs. The evidence is pairs that were answered more than once,
by one person on a repeated query or by several people: see `prefrl.annotators.dawid_skene`. A repeat is recognised by
its segments, in whichever query they were and on whichever side each was shown.

Ties and "can't tell" do not count as errors. They say that a difference is hard to see, not that an answer was flipped,
and the loss has nothing to correct in them: noise does not move a target of one half. Their shares are reported
separately.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prefrl.annotators.dawid_skene import PRIOR_ERROR, Votes, error_interval, fit_errors
from prefrl.data.types import LabelledQuery
from prefrl.reward.metrics import wilson_interval

__all__ = [
    "DOUBTFUL_ERROR",
    "AnnotatorReport",
    "Answer",
    "annotator_diagnostics",
    "annotator_reports",
    "estimate_errors",
]

DOUBTFUL_ERROR = 0.25
"""estimated error above which answers look random"""
FEWEST_ANSWERS = 20
"""answers needed before a preference for one side is reported"""


@dataclass(frozen=True)
class Answer:
    """An answer with the ids of its segments, without the segments themselves, which are large."""

    segment_ids: tuple[str, ...]
    """in the order shown"""
    ranks: tuple[int, ...] | None
    """as in `Comparison`"""
    annotator: str

    @classmethod
    def of(cls, label: LabelledQuery) -> Answer:
        """The answer to a labelled query."""
        ids = tuple(segment.id for segment in label.query.segments)
        return cls(ids, label.comparison.ranks, label.comparison.annotator)


@dataclass(frozen=True)
class AnnotatorReport:
    """One annotator's record. Intervals are at 95 %; shares are in [0, 1]."""

    annotator: str
    answers: int
    """queries answered, "can't tell" included"""
    repeats: int
    """strict answers to a pair that this annotator had answered strictly before"""
    agreements: int
    """repeats that preferred the same segment as the time before"""
    error: float
    """estimated probability that an answer is flipped, in [0, 0.5]; 0.05 before there is evidence"""
    error_interval: tuple[float, float]
    side_bias: float
    """share of strict answers that preferred the segment shown first; 0.5 without any"""
    side_bias_interval: tuple[float, float]
    cant_tell_share: float
    tie_share: float
    """share of answers that ranked every segment equal"""

    @property
    def is_side_biased(self) -> bool:
        """True when the interval of the preference for one side excludes chance, 0.5."""
        low, high = self.side_bias_interval
        return not low <= 0.5 <= high


def annotator_diagnostics(report: AnnotatorReport) -> list[str]:
    """What makes an annotator's answers doubtful, one sentence each; empty when nothing does."""
    found = []
    low, high = report.error_interval
    if report.repeats and low > DOUBTFUL_ERROR:
        found.append(
            f"the answers look random: {report.error:.0%} of them are wrong ({low:.0%} to {high:.0%})"
        )
    if report.is_side_biased and report.answers >= FEWEST_ANSWERS:
        side = "first" if report.side_bias > 0.5 else "last"
        share = max(report.side_bias, 1 - report.side_bias)
        found.append(f"{share:.0%} of the answers go to the clip shown {side}, whichever it is")
    return found


def estimate_errors(answers: Sequence[Answer], assumed_error: float = PRIOR_ERROR) -> dict[str, float]:
    """Probability of a flipped answer by annotator, in [0, 0.5], for the noise term of the loss.

    Combines repeats and questions that several people answered; annotators with neither are left out.

    Args:
        answers: one for each annotator and query.
        assumed_error: the error before there is evidence, in [0, 0.5]. It has the weight of five answers, so that
            the first few repeats change it little.
    """
    choices = _choices(answers)
    shared = choices.votes.shared()
    errors = fit_errors(shared, assumed_error)
    return {choices.annotators[index]: float(errors[index]) for index in np.unique(shared.annotator)}


def annotator_reports(answers: Sequence[Answer]) -> dict[str, AnnotatorReport]:
    """A report on every annotator, by name; ``answers`` in the order they were given."""
    choices = _choices(answers)
    errors = fit_errors(choices.votes)
    return {name: _report(name, answers, choices, errors) for name in choices.annotators}


@dataclass(frozen=True)
class _Choices:
    """Strict choices between two segments, V of them."""

    annotators: list[str]
    votes: Votes
    is_first_chosen: np.ndarray
    """shape (V,) bool, True where the segment shown first was chosen"""


def _choices(answers: Sequence[Answer]) -> _Choices:
    annotators = sorted({answer.annotator for answer in answers})
    number = {name: index for index, name in enumerate(annotators)}
    questions: dict[tuple[str, str], int] = {}
    rows = [
        (questions.setdefault(pair, len(questions)), number[answer.annotator], chosen, is_first)
        for answer in answers
        for pair, chosen, is_first in _pairs(answer)
    ]
    question, annotator, chosen, is_first = np.array(rows, np.int64).reshape(-1, 4).T
    return _Choices(annotators, Votes(question, annotator, chosen, len(annotators)), is_first.astype(bool))


def _pairs(answer: Answer) -> list[tuple[tuple[str, str], int, bool]]:
    """For each strict pair: its ids sorted, which of them was chosen, whether that one was shown first."""
    found = []
    ids, ranks = answer.segment_ids, answer.ranks
    for first, second in itertools.combinations(range(len(ids)), 2):
        if ranks is None or ranks[first] == ranks[second] or ids[first] == ids[second]:
            continue
        is_first_chosen = ranks[first] < ranks[second]
        is_in_order = ids[first] < ids[second]
        pair = (ids[first], ids[second]) if is_in_order else (ids[second], ids[first])
        found.append((pair, int(is_first_chosen != is_in_order), is_first_chosen))
    return found


def _report(name: str, answers: Sequence[Answer], choices: _Choices, errors: np.ndarray) -> AnnotatorReport:
    index = choices.annotators.index(name)
    own = choices.votes.annotator == index
    ranked = [answer.ranks for answer in answers if answer.annotator == name]
    repeats, agreements = _repeats(choices.votes.question[own], choices.votes.answer[own])
    first_chosen, strict = int(choices.is_first_chosen[own].sum()), int(own.sum())
    return AnnotatorReport(
        annotator=name,
        answers=len(ranked),
        repeats=repeats,
        agreements=agreements,
        error=float(errors[index]),
        error_interval=error_interval(choices.votes, errors, index),
        side_bias=first_chosen / strict if strict else 0.5,
        side_bias_interval=wilson_interval(first_chosen, strict),
        cant_tell_share=sum(ranks is None for ranks in ranked) / len(ranked),
        tie_share=sum(ranks is not None and len(set(ranks)) == 1 for ranks in ranked) / len(ranked),
    )


def _repeats(questions: np.ndarray, answers: np.ndarray) -> tuple[int, int]:
    """How many of one annotator's answers repeat an earlier question, and how many agree with the time before."""
    last: dict[int, int] = {}
    repeats = agreements = 0
    for question, answer in zip(questions.tolist(), answers.tolist(), strict=True):
        if question in last:
            repeats += 1
            agreements += last[question] == answer
        last[question] = answer
    return repeats, agreements
