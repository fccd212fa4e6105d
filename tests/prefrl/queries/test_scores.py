"""Scores of candidates by hand, and what holds of them for any predictions."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prefrl.queries.scores import entropy, information_gain
from prefrl.reward.disagreement import disagreement

RETURNS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(2, 4)),
    elements=st.floats(-1e6, 1e6),
)


def returns_of(*probabilities: float) -> np.ndarray:
    """(E, 1, 2) returns of members that prefer the first item with the given probabilities."""
    return np.array([[[math.log(p), math.log(1 - p)]] for p in probabilities])


def binary_entropy(p: float) -> float:
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


def test_scores_of_a_pair_by_hand() -> None:
    returns = returns_of(0.9, 0.5, 0.1)
    assert disagreement(returns)[0] == pytest.approx(math.sqrt(2 * 0.4**2 / 3))
    assert entropy(returns)[0] == pytest.approx((2 * binary_entropy(0.9) + math.log(2)) / 3)
    gain = math.log(2) - (2 * binary_entropy(0.9) + math.log(2)) / 3
    assert information_gain(returns)[0] == pytest.approx(gain)


def test_scores_of_three_items_by_hand() -> None:
    # Member 0 spreads (1/2, 1/4, 1/4), member 1 (1/4, 1/2, 1/4): mean (3/8, 3/8, 1/4).
    returns = np.log([[[0.5, 0.25, 0.25]], [[0.25, 0.5, 0.25]]])
    entropy_of_mean = -(2 * 0.375 * math.log(0.375) + 0.25 * math.log(0.25))
    assert entropy(returns)[0] == pytest.approx(1.5 * math.log(2))
    assert information_gain(returns)[0] == pytest.approx(entropy_of_mean - 1.5 * math.log(2))
    assert disagreement(returns)[0] == pytest.approx(math.sqrt(2 * 0.125**2 / 3))


def test_sure_members_that_contradict_each_other_give_one_bit_without_overflow() -> None:
    returns = np.array([[[1e5, -1e5]], [[-1e5, 1e5]]])
    assert information_gain(returns)[0] == pytest.approx(math.log(2))
    assert disagreement(returns)[0] == pytest.approx(0.5)


def test_information_gain_is_high_where_sure_members_contradict_and_entropy_where_all_are_unsure() -> None:
    contradiction, doubt = returns_of(0.99, 0.01), returns_of(0.5, 0.5)
    assert entropy(contradiction)[0] == pytest.approx(binary_entropy(0.99))
    assert entropy(doubt)[0] == pytest.approx(math.log(2))
    assert information_gain(contradiction)[0] > 0.6
    assert information_gain(doubt)[0] == pytest.approx(0, abs=1e-12)


@given(RETURNS)
def test_scores_stay_within_their_ranges(returns: np.ndarray) -> None:
    gain, mean_entropy = information_gain(returns), entropy(returns)
    assert (gain >= 0).all()
    assert (mean_entropy >= -1e-9).all()
    # The entropy of the mean preference, which is at most log K, is their sum.
    assert (gain + mean_entropy <= math.log(returns.shape[2]) + 1e-9).all()
    assert (disagreement(returns) <= 0.5 + 1e-9).all()


@given(RETURNS, st.randoms(use_true_random=False))
@pytest.mark.parametrize("score", [disagreement, entropy, information_gain])
def test_the_order_of_the_items_does_not_change_the_score(
    score: Callable[[np.ndarray], np.ndarray], returns: np.ndarray, random: Random
) -> None:
    order = list(range(returns.shape[2]))
    random.shuffle(order)
    np.testing.assert_allclose(score(returns[:, :, order]), score(returns), atol=1e-9)


@given(RETURNS)
def test_identical_members_give_no_disagreement_and_no_information_gain(returns: np.ndarray) -> None:
    same = np.repeat(returns[:1], 3, axis=0)
    np.testing.assert_allclose(disagreement(same), 0, atol=1e-9)
    np.testing.assert_allclose(information_gain(same), 0, atol=1e-9)


def test_a_diverged_reward_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        disagreement(np.array([[[np.nan, 0.0]]]))
