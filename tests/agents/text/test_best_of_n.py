from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl_agents.text.best_of_n import best_of_n, best_of_n_kl, best_of_n_scores


def test_the_highest_score_is_kept() -> None:
    assert best_of_n(torch.tensor([[1.0, 3.0, 2.0], [0.0, -1.0, -2.0]])).tolist() == [1, 0]


def test_kl_by_hand() -> None:
    assert best_of_n_kl(1) == 0.0
    assert best_of_n_kl(4) == pytest.approx(math.log(4) - 3 / 4)


@pytest.mark.parametrize("n", [2, 5])
def test_kl_equals_that_of_the_enumerated_distribution(n: int) -> None:
    outcomes = 100_000
    # The best of n is the i-th of equally likely outcomes with probability (i/M)^n - ((i-1)/M)^n.
    probabilities = np.diff((np.arange(outcomes + 1) / outcomes) ** n)
    kl = (probabilities * np.log(probabilities * outcomes)).sum()
    assert best_of_n_kl(n) == pytest.approx(kl, abs=1e-3)


def test_scores_by_hand() -> None:
    # By proxy the gold scores are 5, 1, 9. Of the 3 pairs, one has 1 as its best, two have 9.
    scores = best_of_n_scores(np.array([0.3, 0.1, 0.2]), np.array([9.0, 5.0, 1.0]), [1, 2, 3])
    np.testing.assert_allclose(scores, [5.0, (1 + 9 + 9) / 3, 9.0])


@given(
    proxy=st.lists(st.integers(0, 3), min_size=1, max_size=6),
    gold=st.lists(st.floats(-10, 10), min_size=6, max_size=6),
)
@settings(deadline=None)
def test_scores_are_means_over_all_subsets(proxy: list[int], gold: list[float]) -> None:
    samples = range(len(proxy))

    def kept(subset: tuple[int, ...]) -> float:
        best = max(proxy[i] for i in subset)
        return float(np.mean([gold[i] for i in subset if proxy[i] == best]))

    ns = [*samples[1:], len(proxy)]
    by_enumeration = [np.mean([kept(subset) for subset in itertools.combinations(samples, n)]) for n in ns]
    scores = best_of_n_scores(np.array(proxy), np.array(gold[: len(proxy)]), ns)
    np.testing.assert_allclose(scores, by_enumeration, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 100, 5000, 9999, 10_000])
def test_scores_are_exact_for_ten_thousand_samples(n: int) -> None:
    samples = 10_000
    rank = np.random.default_rng(0).permutation(samples) + 1.0
    # The largest of n ranks has mean n (N + 1) / (n + 1), and m (m + 1) has mean n (N + 1) (N + 2) / (n + 2).
    first = n * (samples + 1) / (n + 1)
    second = n * (samples + 1) * (samples + 2) / (n + 2)
    np.testing.assert_allclose(best_of_n_scores(rank, rank, [n]), [first], rtol=1e-11)
    np.testing.assert_allclose(best_of_n_scores(rank, rank * (rank + 1), [n]), [second], rtol=1e-11)


def test_invalid_input_is_refused() -> None:
    two = np.array([1.0, 2.0])
    with pytest.raises(ValueError, match="n is 0"):
        best_of_n_kl(0)
    with pytest.raises(ValueError, match=r"n is 3, but there are 2 samples; n must lie in 1\.\.2"):
        best_of_n_scores(two, two, [1, 3])
    with pytest.raises(ValueError, match=r"proxy has shape \(2,\) and gold \(1,\)"):
        best_of_n_scores(two, two[:1], [1])
    with pytest.raises(ValueError, match="NaN"):
        best_of_n_scores(np.array([1.0, math.nan]), two, [1])
