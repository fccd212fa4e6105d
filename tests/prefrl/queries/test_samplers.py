from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prefrl.queries.samplers import (
    SAMPLERS,
    disagreement,
    draw_candidates,
    entropy,
    information_gain,
    k_center,
    select,
)

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
    assert entropy(returns)[0] == pytest.approx(math.log(2))
    gain = math.log(2) - (2 * binary_entropy(0.9) + math.log(2)) / 3
    assert information_gain(returns)[0] == pytest.approx(gain)


def test_scores_of_three_items_by_hand() -> None:
    # Member 0 spreads (1/2, 1/4, 1/4), member 1 (1/4, 1/2, 1/4): mean (3/8, 3/8, 1/4).
    returns = np.log([[[0.5, 0.25, 0.25]], [[0.25, 0.5, 0.25]]])
    mean_entropy = -(2 * 0.375 * math.log(0.375) + 0.25 * math.log(0.25))
    assert entropy(returns)[0] == pytest.approx(mean_entropy)
    assert information_gain(returns)[0] == pytest.approx(mean_entropy - 1.5 * math.log(2))
    assert disagreement(returns)[0] == pytest.approx(math.sqrt(2 * 0.125**2 / 3))


def test_certain_members_that_contradict_each_other_give_one_bit_without_overflow() -> None:
    returns = np.array([[[1e5, -1e5]], [[-1e5, 1e5]]])
    assert information_gain(returns)[0] == pytest.approx(math.log(2))
    assert disagreement(returns)[0] == pytest.approx(0.5)


def test_information_gain_tells_contradiction_from_shared_doubt_where_entropy_does_not() -> None:
    contradiction, doubt = returns_of(0.99, 0.01), returns_of(0.5, 0.5)
    assert entropy(contradiction)[0] == pytest.approx(entropy(doubt)[0])
    assert information_gain(contradiction)[0] > 0.6
    assert information_gain(doubt)[0] == pytest.approx(0, abs=1e-12)


@given(RETURNS)
def test_information_gain_is_between_zero_and_the_entropy(returns: np.ndarray) -> None:
    gain, total = information_gain(returns), entropy(returns)
    assert (gain >= 0).all()
    assert (gain <= total + 1e-9).all()
    assert (total <= math.log(returns.shape[2]) + 1e-9).all()
    assert (disagreement(returns) <= 0.5 + 1e-9).all()


@given(RETURNS, st.randoms(use_true_random=False))
@pytest.mark.parametrize("score", [disagreement, entropy, information_gain])
def test_the_order_of_items_leaves_the_score(
    score: Callable[[np.ndarray], np.ndarray], returns: np.ndarray, random: Random
) -> None:
    order = list(range(returns.shape[2]))
    random.shuffle(order)
    np.testing.assert_allclose(score(returns[:, :, order]), score(returns), atol=1e-9)


@given(RETURNS)
def test_identical_members_neither_disagree_nor_inform(returns: np.ndarray) -> None:
    same = np.repeat(returns[:1], 3, axis=0)
    np.testing.assert_allclose(disagreement(same), 0, atol=1e-9)
    np.testing.assert_allclose(information_gain(same), 0, atol=1e-9)


def test_a_diverged_reward_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        disagreement(np.array([[[np.nan, 0.0]]]))


@given(
    num_segments=st.integers(2, 30),
    items=st.integers(2, 5),
    count=st.integers(0, 20),
    seed=st.integers(0, 99),
)
def test_drawn_queries_hold_distinct_segments(num_segments: int, items: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    if num_segments < items:
        with pytest.raises(ValueError, match=f"needs at least {items} segments, the pool has {num_segments}"):
            draw_candidates(num_segments, count, items, rng)
        return
    drawn = draw_candidates(num_segments, count, items, rng)
    assert drawn.shape == (count, items)
    assert ((drawn >= 0) & (drawn < num_segments)).all()
    assert all(len(set(row)) == items for row in drawn.tolist())


def test_every_ordered_choice_is_equally_likely() -> None:
    drawn = draw_candidates(4, 24_000, 3, np.random.default_rng(0))
    choices, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(choices) == 24
    assert np.abs(counts - 1000).max() < 150  # nearly 5 standard deviations


def test_items_come_from_one_group_chosen_by_its_share_of_the_segments() -> None:
    groups = np.array([1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2])  # group 2 is too small for a pair
    drawn = draw_candidates(len(groups), 10_000, 2, np.random.default_rng(0), groups=groups)
    sides = groups[drawn]
    assert (sides[:, 0] == sides[:, 1]).all()
    assert 2 not in sides
    assert (sides[:, 0] == 1).mean() == pytest.approx(2 / 10, abs=0.02)


def test_groups_too_small_for_a_query_are_an_error() -> None:
    with pytest.raises(ValueError, match="needs at least 3 segments in one group, the pool has 2"):
        draw_candidates(4, 1, 3, np.random.default_rng(0), groups=np.array([0, 0, 1, 1]))
    with pytest.raises(ValueError, match="one each"):
        draw_candidates(4, 1, 2, np.random.default_rng(0), groups=np.array([0, 0]))
    with pytest.raises(ValueError, match="the pool has 0"):
        draw_candidates(0, 1, 2, np.random.default_rng(0))


def test_k_center_takes_the_farthest_first() -> None:
    line = np.array([[0.0], [1.0], [10.0], [4.0]])
    assert k_center(line, 4).tolist() == [2, 0, 3, 1]
    assert k_center(line, 2, existing=np.array([[10.0]])).tolist() == [0, 3]


def test_k_center_breaks_ties_by_the_lowest_index_and_never_repeats() -> None:
    assert k_center(np.zeros((4, 2)), 4).tolist() == [0, 1, 2, 3]
    assert k_center(np.array([[0.0], [10.0], [5.0]]), 2).tolist() == [0, 1]
    assert k_center(np.zeros((0, 2)), 0).tolist() == []


def test_k_center_reads_bytes_without_overflow() -> None:
    pixels = np.array([[250], [5], [245]], np.uint8)
    assert k_center(pixels, 2, existing=pixels[:1]).tolist() == [1, 2]


@settings(max_examples=50)
@given(
    hnp.arrays(np.float64, (7, 2), elements=st.integers(-5, 5).map(float)),
    st.integers(1, 7),
)
def test_k_center_covers_within_twice_the_optimum(points: np.ndarray, count: int) -> None:
    """Gonzalez 1985: the greedy radius is at most twice the best, whichever point it starts from."""
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)
    best = min(
        gaps[:, list(centres)].min(axis=1).max() for centres in itertools.combinations(range(7), count)
    )
    assert gaps[:, k_center(points, count)].min(axis=1).max() <= 2 * best + 1e-9


def test_select_takes_the_best_scores_in_order() -> None:
    candidates = np.array([[0, 1], [2, 3], [4, 5]])
    returns = np.concatenate([returns_of(0.6, 0.4), returns_of(0.9, 0.1), returns_of(0.5, 0.5)], axis=1)
    indices, scores = select("disagreement", 2, candidates, member_returns=returns)
    assert indices.tolist() == [1, 0]
    np.testing.assert_allclose(scores, [0.4, 0.1])


def test_select_puts_off_shared_segments_and_takes_a_query_twice_only_at_the_end() -> None:
    candidates = np.array([[0, 1], [1, 0], [0, 2], [3, 4], [0, 5]])
    spread = [0.9, 0.9, 0.8, 0.7, 0.6]
    returns = np.concatenate([returns_of(p, 1 - p) for p in spread], axis=1)
    indices, _ = select("disagreement", 5, candidates, member_returns=returns)
    assert indices.tolist() == [0, 3, 2, 4, 1]


def test_uniform_keeps_the_order_drawn_and_needs_no_reward() -> None:
    indices, scores = select("uniform", 2, np.array([[0, 1], [2, 3], [4, 5]]))
    assert indices.tolist() == [0, 1]
    assert scores.tolist() == [0, 0]


def test_select_by_k_center_scores_by_distance_and_leaves_repeats_for_last() -> None:
    candidates = np.array([[0, 1], [1, 0], [2, 3]])
    features = np.array([[0.0, 3.0], [3.0, 0.0], [3.0, 3.0]])
    indices, scores = select("k_center", 3, candidates, features=features, existing=np.array([[3.0, 3.0]]))
    assert indices.tolist() == [0, 2, 1]
    np.testing.assert_allclose(scores, [3, 0, 0])


@given(st.sampled_from(SAMPLERS), st.integers(0, 12), st.integers(0, 99))
def test_select_returns_as_many_different_candidates_as_asked(sampler: str, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    candidates = draw_candidates(5, 12, 2, rng)
    returns, features = rng.normal(size=(3, 12, 2)), rng.normal(size=(12, 4))
    indices, scores = select(sampler, count, candidates, member_returns=returns, features=features)
    assert len(set(indices.tolist())) == count == len(scores)
    assert np.isfinite(scores).all()
    chosen = [frozenset(candidates[index].tolist()) for index in indices]
    distinct = len({frozenset(row) for row in candidates.tolist()})
    assert len(set(chosen)) == min(count, distinct)


@pytest.mark.parametrize(
    ("sampler", "count", "message"),
    [
        ("entropie", 1, "'entropie' is unknown.*k_center"),
        ("entropy", 1, "needs member_returns"),
        ("k_center", 1, "needs features"),
        ("uniform", 3, "3 of 2 candidate queries"),
        ("uniform", -1, "-1 of 2"),
    ],
)
def test_select_names_what_is_wrong(sampler: str, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        select(sampler, count, np.array([[0, 1], [2, 3]]))


def test_select_refuses_returns_of_other_candidates() -> None:
    with pytest.raises(ValueError, match="axis 1 must be the 1 candidates"):
        select("entropy", 1, np.array([[0, 1]]), member_returns=np.zeros((3, 2, 2)))
