"""Conflict resolution: one answer for each pair that was answered more than once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from prefrl.annotators.dawid_skene import MISSING, dawid_skene, majority_vote
from prefrl.annotators.error_model import Answer

__all__ = ["Rule", "resolve"]

Rule = Literal["majority", "dawid_skene"]


def resolve(answers: Sequence[Answer], rule: Rule) -> list[tuple[int, tuple[int, ...]]]:
    """One answer for each pair: the majority's, or the most probable one given how often each annotator errs.

    Answers to one pair are recognised by its segments, on whichever side each was shown. A tie counts for neither
    segment; a pair with ties alone, or with an even vote, is a tie. Answers about more than two segments are kept.

    Args:
        answers: without "can't tell", oldest first.
        rule: "majority", or "dawid_skene" (1979), which weighs annotators by their estimated error.

    Returns:
        for each pair the index of its first answer and the ranks that replace it, in the order of the answers.
    """
    kept: dict[object, int] = {}
    votes: list[tuple[int, str, int]] = []
    for index, answer in enumerate(answers):
        pair = answer.segment_ids
        if len(pair) != 2 or answer.ranks is None:
            kept[index] = index
            continue
        question = tuple(sorted(pair))
        first = kept.setdefault(question, index)
        if answer.ranks[0] != answer.ranks[1]:
            is_first_better = answer.ranks[0] < answer.ranks[1]
            is_as_shown_first = pair == answers[first].segment_ids
            votes.append((first, answer.annotator, int(is_first_better == is_as_shown_first)))
    decided = _decide(votes, rule)
    return [(index, decided.get(index, _ranks(answers[index]))) for index in sorted(kept.values())]


def _decide(votes: Sequence[tuple[int, str, int]], rule: Rule) -> dict[int, tuple[int, ...]]:
    """Ranks by question, from (question, annotator, 1 where the item shown first is better)."""
    if not votes:
        return {}
    questions = {question: row for row, question in enumerate(dict.fromkeys(vote[0] for vote in votes))}
    # An annotator's second answer to a pair counts as another voter's, independent of the first.
    counted: dict[tuple[int, str], int] = {}
    voters: dict[tuple[str, int], int] = {}
    cells = []
    for question, annotator, better in votes:
        time = counted.get((question, annotator), 0)
        counted[question, annotator] = time + 1
        column = voters.setdefault((annotator, time), len(voters))
        cells.append((questions[question], column, better))
    answers = np.full((len(questions), len(voters)), MISSING)
    rows, columns, values = zip(*cells, strict=True)
    answers[rows, columns] = values
    shares = majority_vote(answers) if rule == "majority" else dawid_skene(answers)[0]
    return {
        question: (1, 1) if shares[row] == 0.5 else (1, 2) if shares[row] > 0.5 else (2, 1)
        for question, row in questions.items()
    }


def _ranks(answer: Answer) -> tuple[int, ...]:
    assert answer.ranks is not None, "can't tell is left out before"
    return answer.ranks
