from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from prefrl.reward.metrics import accuracy, brier_score, calibration, log_loss, pearson, spearman


def test_accuracy_leaves_ties_out() -> None:
    scores = np.array([[2.0, 1.0], [2.0, 1.0], [0.0, 1.0]])
    assert accuracy(scores, np.array([[1, 2], [1, 1], [1, 2]])) == (0.5, 2)


def test_accuracy_counts_an_undecided_prediction_half() -> None:
    assert accuracy(np.array([[1.0, 1.0]]), np.array([[1, 2]])) == (0.5, 1)


def test_accuracy_of_a_ranking_counts_its_pairs() -> None:
    # right order of (0,1) and (0,2), wrong of (1,2)
    share, pairs = accuracy(np.array([[3.0, 1.0, 2.0]]), np.array([[1, 2, 3]]))
    assert share == pytest.approx(2 / 3)
    assert pairs == 3


def test_accuracy_of_ties_alone_is_nan() -> None:
    share, pairs = accuracy(np.array([[1.0, 2.0]]), np.array([[1, 1]]))
    assert math.isnan(share)
    assert pairs == 0


def test_calibration_by_hand() -> None:
    result = calibration(np.array([0.1, 0.15, 0.9, 1.0]), np.array([0.0, 1.0, 1.0, 0.5]), bins=2)
    np.testing.assert_allclose(result.predicted, [0.125, 0.95])
    np.testing.assert_allclose(result.observed, [0.5, 0.75])
    assert result.counts.tolist() == [2, 2]
    assert result.expected_error == pytest.approx((0.375 + 0.2) / 2)


def test_calibration_leaves_empty_bins_out() -> None:
    assert calibration(np.array([0.05, 0.95]), np.array([0.0, 1.0])).counts.tolist() == [1, 1]


def test_calibration_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one prediction"):
        calibration(np.array([]), np.array([]))


def test_scores_by_hand() -> None:
    probabilities, outcomes = np.array([0.8, 0.4]), np.array([1.0, 0.0])
    assert brier_score(probabilities, outcomes) == pytest.approx((0.04 + 0.16) / 2)
    assert log_loss(probabilities, outcomes) == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
    assert math.isfinite(log_loss(np.array([0.0]), np.array([1.0])))


def test_pearson_by_hand() -> None:
    assert pearson(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])) == pytest.approx(0.5)


@pytest.mark.parametrize("values", [[], [0.1], [0.1, 0.1, 0.1], [0.1, math.nan, 0.3]])
def test_nothing_is_correlated_with_what_does_not_vary(values: list[float]) -> None:
    # Three times 0.1 have a mean that is not 0.1.
    assert math.isnan(pearson(np.array(values), np.arange(len(values))))


def test_spearman_gives_equal_values_their_mean_rank() -> None:
    # ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: covariance 4.5 / sqrt(4.5 * 5)
    assert spearman(np.array([0.0, 7.0, 7.0, 9.0]), np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(
        4.5 / math.sqrt(4.5 * 5)
    )


@given(arrays(np.float64, 8, elements=st.integers(-50, 50), unique=True))
def test_correlations_ignore_what_they_should(values: np.ndarray) -> None:
    other = np.arange(8.0)
    assert pearson(3 * values + 1, other) == pytest.approx(pearson(values, other))
    assert spearman(np.exp(values / 10), other) == pytest.approx(spearman(values, other))
