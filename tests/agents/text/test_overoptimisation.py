from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from prefrl_agents.text.overoptimisation import distinct_n, fit_best_of_n, fit_rl

Fit = Callable[[np.ndarray, np.ndarray], tuple[float, float]]


def test_best_of_n_fit_by_hand() -> None:
    # d = 1: a - b = 3; d = 2: 2 (a - 2 b) = 2; so b = 2, a = 5
    assert fit_best_of_n(np.array([1.0, 2.0]), np.array([3.0, 2.0])) == pytest.approx((5.0, 2.0))


def test_rl_fit_by_hand() -> None:
    # d = 1: a = 3; d = e: e (a - b) = e; so b = 2
    assert fit_rl(np.array([1.0, math.e]), np.array([3.0, math.e])) == pytest.approx((3.0, 2.0))


def test_fits_are_least_squares() -> None:
    rng = np.random.default_rng(0)
    d, reward = rng.uniform(0.1, 5, 50), rng.normal(size=50)
    for fit, decline in ((fit_best_of_n, d), (fit_rl, np.log(d))):
        alpha, beta = fit(d, reward)
        residual = reward - d * (alpha - beta * decline)
        assert [residual @ d, residual @ (d * decline)] == pytest.approx([0.0, 0.0], abs=1e-9)


@pytest.mark.parametrize("fit", [fit_best_of_n, fit_rl])
@pytest.mark.parametrize(
    ("d", "reward", "message"),
    [
        ([2.0, 2.0], [1.0, 1.0], "1 distinct distances cannot fix two coefficients"),
        ([], [], "0 distinct distances"),
        ([0.0, 1.0], [0.0, 1.0], r"a distance is 0\.0"),
        ([-1.0, 1.0], [0.0, 1.0], r"a distance is -1\.0"),
        ([1.0, math.inf], [0.0, 1.0], "not finite"),
        ([1.0, 2.0], [0.0, math.nan], "not finite"),
        ([1.0, 2.0], [1.0], r"d has shape \(2,\) and reward \(1,\)"),
    ],
)
def test_fits_refuse_invalid_data(fit: Fit, d: list[float], reward: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(np.array(d), np.array(reward))


def test_distinct_n_by_hand() -> None:
    # bigrams 12, 21, 12 and 12: two of four; unigrams 1, 2, 1, 2 and 1, 2: two of six
    tokens = [[1, 2, 1, 2], [1, 2], [3]]
    assert distinct_n(tokens, 2) == 2 / 4
    assert distinct_n(tokens[:2], 1) == 2 / 6
    assert math.isnan(distinct_n(tokens, 5))
    with pytest.raises(ValueError, match="n is 0"):
        distinct_n(tokens, 0)
