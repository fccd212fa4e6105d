from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prefrl.annotators.dawid_skene import Votes, dawid_skene, error_interval, fit_errors, majority_vote

ANSWERS = hnp.arrays(np.int64, st.tuples(st.integers(0, 12), st.integers(1, 4)), elements=st.integers(-1, 1))


def repeats(agreeing: int, disagreeing: int) -> Votes:
    """One annotator who answered this many questions twice."""
    answer = np.array([[1, 1]] * agreeing + [[0, 1]] * disagreeing, np.int64).reshape(-1)
    question = np.repeat(np.arange(agreeing + disagreeing), 2)
    return Votes(question, np.zeros_like(question), answer, 1)


def log_posterior(error: np.ndarray, agreeing: int, disagreeing: int) -> np.ndarray:
    """Two answers of one annotator disagree with probability 2 e (1 - e); prior e^.25 (1 - e)^4.75."""
    apart = 2 * error * (1 - error)
    evidence = disagreeing * np.log(apart) + agreeing * np.log1p(-apart)
    return evidence + 0.25 * np.log(error) + 4.75 * np.log1p(-error)


def test_majority_vote_by_hand() -> None:
    answers = np.array([[1, 1, 0], [0, -1, 0], [1, 0, -1], [-1, -1, -1]])
    assert majority_vote(answers).tolist() == [1, 0, 0.5, 0.5]


@pytest.mark.parametrize(("agreeing", "disagreeing"), [(1, 0), (0, 1), (9, 1), (82, 18), (62, 38), (400, 5)])
def test_with_repeats_alone_the_error_is_the_mode_of_the_posterior(agreeing: int, disagreeing: int) -> None:
    error = fit_errors(repeats(agreeing, disagreeing))[0]
    grid = np.linspace(0, 0.5, 50_001)[1:]
    assert error == pytest.approx(grid[log_posterior(grid, agreeing, disagreeing).argmax()], abs=2e-4)


def test_with_many_repeats_the_error_follows_from_the_rate_of_contradictions() -> None:
    # 2 e (1 - e) = 0.18 at e = 0.1 and 0.375 at e = 0.25
    assert fit_errors(repeats(8200, 1800))[0] == pytest.approx(0.1, abs=0.002)
    assert fit_errors(repeats(6250, 3750))[0] == pytest.approx(0.25, abs=0.002)
    assert fit_errors(repeats(0, 10_000))[0] == pytest.approx(0.5, abs=0.002)


def test_without_evidence_the_error_is_the_prior() -> None:
    assert dawid_skene(np.array([[1], [0], [-1]]))[1].tolist() == [0.05]
    assert fit_errors(repeats(0, 0)).tolist() == [0.05]
    assert fit_errors(repeats(0, 0), prior_error=0.3).tolist() == [0.3]


@pytest.mark.parametrize(("agreeing", "disagreeing", "error"), [(0, 1, 1 / 7), (0, 10, 10 / 25), (20, 0, 0)])
def test_contradictions_outweigh_a_prior_of_no_error(agreeing: int, disagreeing: int, error: float) -> None:
    # One of the two answers to each contradicted question is wrong, beside five right votes of the prior.
    assert fit_errors(repeats(agreeing, disagreeing), prior_error=0)[0] == pytest.approx(error, abs=1e-5)


def test_posterior_of_known_errors_by_hand() -> None:
    posterior, error = dawid_skene(np.array([[1, 1, 1]] * 20 + [[0, 0, 0]] * 20 + [[1, 1, 0], [-1, -1, -1]]))
    odds = np.prod((1 - error[:2]) / error[:2]) * error[2] / (1 - error[2])
    assert posterior[40] == pytest.approx(odds / (1 + odds))
    assert posterior[41] == 0.5
    assert error[2] > error[0]


def test_votes_are_weighted_by_error_rate() -> None:
    """Careless annotators who happen to agree weigh less than one careful annotator."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    careful = [np.where(rng.random(400) < 0.05, 1 - truth, truth) for _ in range(3)]
    careless = [np.where(rng.random(400) < 0.4, 1 - truth, truth) for _ in range(4)]
    answers = np.stack([*careful, *careless], axis=1)
    posterior, error = dawid_skene(answers)
    np.testing.assert_allclose(error, (answers != truth[:, None]).mean(axis=0), atol=0.03)
    assert ((posterior > 0.5) == truth).mean() > (majority_vote(answers) == truth).mean()
    assert ((posterior > 0.5) == truth).mean() > 0.98


@given(ANSWERS)
def test_swapping_the_two_answers_mirrors_the_estimate(answers: np.ndarray) -> None:
    posterior, error = dawid_skene(answers)
    mirrored, same_error = dawid_skene(np.where(answers == -1, -1, 1 - answers))
    np.testing.assert_allclose(mirrored, 1 - posterior, atol=1e-4)
    np.testing.assert_allclose(same_error, error, atol=1e-4)
    assert ((error > 0) & (error <= 0.5)).all()


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_interval_holds_the_estimate_and_95_percent(agreeing: int, disagreeing: int) -> None:
    votes = repeats(agreeing, disagreeing)
    error = fit_errors(votes)
    low, high = error_interval(votes, error, 0)
    assert 0 <= low <= error[0] <= high <= 0.5
    grid = (np.arange(20_000) + 0.5) / 40_000
    density = np.exp(log_posterior(grid, agreeing, disagreeing))
    inside = density[(grid >= low - 5e-4) & (grid <= high + 5e-4)].sum() / density.sum()
    assert inside == pytest.approx(0.95, abs=0.02)


def test_the_interval_narrows_with_evidence_and_works_with_many_votes_on_one_question() -> None:
    few, many = repeats(9, 1), repeats(900, 100)
    width = [np.ptp(error_interval(votes, fit_errors(votes), 0)) for votes in (few, many)]
    assert width[1] < width[0] / 4
    split = Votes(np.zeros(2000, np.int64), np.zeros(2000, np.int64), np.arange(2000) % 2, 1)
    assert error_interval(split, fit_errors(split), 0)[0] > 0.4


def test_answers_other_than_0_1_and_none_are_refused() -> None:
    with pytest.raises(ValueError, match="0, 1 or -1"):
        dawid_skene(np.array([[2]]))
    with pytest.raises(ValueError, match=r"shape \(1,\)"):
        majority_vote(np.array([1]))
