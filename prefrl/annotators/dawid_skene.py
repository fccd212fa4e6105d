"""Error rates of annotators from their answers to the same questions (Dawid & Skene 1979, symmetrical errors).

Q binary questions, A annotators, V votes. Annotator a answers a question wrongly with probability e_a, whichever answer
is right and independently of the others. Both answers are right equally often, as the side a segment is shown on is
drawn at random. An annotator who is asked the same question twice then contradicts the first answer with probability
2 e (1 - e), so repeated questions and shared questions are the same kind of evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = [
    "MAX_ERROR",
    "PRIOR_ERROR",
    "Votes",
    "dawid_skene",
    "error_interval",
    "fit_errors",
    "majority_vote",
]

PRIOR_ERROR = 0.05
"""error assumed of an annotator without evidence"""
PRIOR_VOTES = 5.0
"""weight of that assumption, in votes; the prior density is proportional to e^.25 (1 - e)^4.75"""
MIN_ERROR = 1e-6
"""lower limit of the error: at 0 a contradiction would be impossible, and its odds infinite"""
MAX_ERROR = 0.5
"""error of pure chance, the upper limit: beyond it the two answers could swap their meaning"""
INTERVAL_MASS = 0.95
MISSING = -1

_MAX_SWEEPS = 2000
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Votes:
    """Answers 0 or 1 to numbered questions by numbered annotators, in any order and number."""

    question: np.ndarray
    """shape (V,) int"""
    annotator: np.ndarray
    """shape (V,) int"""
    answer: np.ndarray
    """shape (V,) int, 0 or 1"""
    annotators: int
    """A; an annotator may be without votes"""

    def shared(self) -> Votes:
        """The votes on questions with several votes; only these are evidence of errors."""
        _, question, counts = np.unique(self.question, return_inverse=True, return_counts=True)
        kept = counts[question] > 1
        _, question = np.unique(self.question[kept], return_inverse=True)
        return Votes(question, self.annotator[kept], self.answer[kept], self.annotators)


def majority_vote(answers: np.ndarray) -> np.ndarray:
    """The answer that most annotators gave.

    Args:
        answers: shape (Q, A) int: 0, 1, or -1 where an annotator gave none.

    Returns:
        shape (Q,) float64: 0, 1, or 0.5 where they are split evenly or nobody answered.

    Raises:
        ValueError: when an answer is none of the three.
    """
    _check_answers(answers)
    lead = (answers == 1).sum(axis=1) - (answers == 0).sum(axis=1)
    return (np.sign(lead) + 1) / 2


def dawid_skene(answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate which answers are right and how often each annotator errs, by expectation-maximisation.

    Args:
        answers: shape (Q, A) int: 0, 1, or -1 where an annotator gave none.

    Returns:
        posterior (Q,) float64, the probability that 1 is right, 0.5 where nobody answered; and error (A,)
        float64, in [0, 0.5], the mode under the prior.

    Raises:
        ValueError: when an answer is none of the three.
    """
    _check_answers(answers)
    question, annotator = np.nonzero(answers != MISSING)
    votes = Votes(question, annotator, answers[question, annotator], answers.shape[1])
    error = fit_errors(votes)
    return _posterior(votes, error, len(answers)), error


def fit_errors(votes: Votes, prior_error: float = PRIOR_ERROR) -> np.ndarray:
    """Each annotator's error (A,) float64 in [0, 0.5]: the mode of the posterior, from shared questions.

    Args:
        votes: any; those on questions with a single vote are no evidence.
        prior_error: assumed without evidence, in [0, 0.5], with the weight of `PRIOR_VOTES` votes.
    """
    votes = votes.shared()
    questions = int(votes.question.max(initial=-1)) + 1
    given = np.bincount(votes.annotator, minlength=votes.annotators)
    error = np.full(votes.annotators, max(prior_error, MIN_ERROR))
    for _ in range(_MAX_SWEEPS):
        one_is_right = _posterior(votes, error, questions)[votes.question]
        wrong = np.where(votes.answer == 1, 1 - one_is_right, one_is_right)
        expected = np.bincount(votes.annotator, weights=wrong, minlength=votes.annotators)
        before = error
        mode = (expected + prior_error * PRIOR_VOTES) / (given + PRIOR_VOTES)
        error = mode.clip(MIN_ERROR, MAX_ERROR)
        if np.abs(error - before).max(initial=0.0) < _TOLERANCE:
            break
    return error


def error_interval(votes: Votes, error: np.ndarray, annotator: int) -> tuple[float, float]:
    """The narrowest range with 95% of an annotator's posterior, where the others' errors are taken as known.

    Args:
        error: shape (A,), from `fit_errors` on the same votes.
    """
    votes = votes.shared()
    questions = int(votes.question.max(initial=-1)) + 1
    own = votes.annotator == annotator
    others = Votes(votes.question[~own], votes.annotator[~own], votes.answer[~own], votes.annotators)
    ones = np.bincount(votes.question[own], weights=votes.answer[own], minlength=questions)
    zeros = np.bincount(votes.question[own], minlength=questions) - ones
    log_odds = _log_odds(others, error, questions)
    # Questions with equal votes are computed once and weighted by their number, which keeps the grid small.
    kinds, times = np.unique(np.stack([zeros, ones, log_odds]), axis=1, return_counts=True)
    zeros, ones, log_odds = kinds[:, :, None]
    grid = np.linspace(0, MAX_ERROR, 502)[1:]
    log_wrong, log_right = np.log(grid), np.log1p(-grid)
    log_likelihood = np.logaddexp(
        ones * log_right + zeros * log_wrong - np.logaddexp(0, -log_odds),
        zeros * log_right + ones * log_wrong - np.logaddexp(0, log_odds),
    )
    log_prior = PRIOR_VOTES * (PRIOR_ERROR * log_wrong + (1 - PRIOR_ERROR) * log_right)
    return _densest(grid, log_prior + times @ log_likelihood, float(error[annotator]))


def _log_odds(votes: Votes, error: np.ndarray, questions: int) -> np.ndarray:
    """Log odds (Q,) that the answer 1 is right."""
    weight = np.log1p(-error) - np.log(error)
    signed = np.where(votes.answer == 1, 1.0, -1.0) * weight[votes.annotator]
    return np.bincount(votes.question, weights=signed, minlength=questions)


def _posterior(votes: Votes, error: np.ndarray, questions: int) -> np.ndarray:
    """Probability (Q,) that the answer 1 is right: the logistic of the log odds, without overflow."""
    return 0.5 * (1 + np.tanh(_log_odds(votes, error, questions) / 2))


def _densest(grid: np.ndarray, log_density: np.ndarray, mode: float) -> tuple[float, float]:
    density = np.exp(log_density - log_density.max())
    by_density = np.argsort(-density, kind="stable")
    held = np.cumsum(density[by_density]) / density.sum()
    inside = grid[by_density[: int(np.searchsorted(held, INTERVAL_MASS)) + 1]]
    # The mode may lie between two points of the grid.
    return min(float(inside.min()), mode), max(float(inside.max()), mode)


def _check_answers(answers: np.ndarray) -> None:
    if answers.ndim != 2 or not np.isin(answers, (MISSING, 0, 1)).all():
        raise ValueError(
            f"answers of shape {answers.shape} hold {np.unique(answers)[:10].tolist()}; "
            "(questions, annotators) of 0, 1 or -1 (none) is needed"
        )
