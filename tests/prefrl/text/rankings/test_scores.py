from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.text.rankings import ranks_of_scores
from prefrl.text.rankings.scores import check_items, draw_groups


@pytest.mark.parametrize(
    ("scores", "tie_below", "higher_is_better", "ranks"),
    [
        ((0.2, 0.9, 0.2, 0.5), 0.0, True, (3, 1, 3, 2)),
        ((0.2, 0.9, 0.2, 0.5), 0.0, False, (1, 3, 1, 2)),
        # gaps 10, 9, 11 from the best down: only the second is below 10
        ((100.0, 90.0, 81.0, 70.0), 10.0, True, (1, 2, 2, 3)),
        # a chain: 100 and 84 differ by more than 9, but neither gap is 9 or more
        ((100.0, 84.0, 92.0), 9.0, True, (1, 1, 1)),
        ((1e308, -1e308), 0.0, True, (1, 2)),
        ((0.0, -0.0, 5e-324), 0.0, True, (2, 2, 1)),
        ((3.0,), 0.0, True, (1,)),
    ],
)
def test_ranks_by_hand(
    scores: tuple[float, ...], tie_below: float, higher_is_better: bool, ranks: tuple[int, ...]
) -> None:
    assert ranks_of_scores(scores, tie_below, higher_is_better) == ranks


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8),
    st.floats(0, 1e3),
)
def test_ranks_follow_the_scores_and_unequal_ones_are_apart(scores: list[float], tie_below: float) -> None:
    ranks = ranks_of_scores(scores, tie_below)
    assert sorted(set(ranks)) == list(range(1, max(ranks) + 1))
    for (a, rank_a), (b, rank_b) in itertools.permutations(zip(scores, ranks, strict=True), 2):
        if rank_a < rank_b:
            assert a > b
            assert a - b >= tie_below
        if a == b:
            assert rank_a == rank_b


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8), st.floats(0, 10))
def test_the_other_direction_ranks_the_negated_scores(scores: list[float], tie_below: float) -> None:
    negated = [-score for score in scores]
    assert ranks_of_scores(scores, tie_below, False) == ranks_of_scores(negated, tie_below, True)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not all finite; leave out"):
        ranks_of_scores((1.0, bad))
    with pytest.raises(ValueError, match=f"tie_below is {bad}"):
        ranks_of_scores((1.0, 2.0), tie_below=bad)


def test_a_negative_difference_and_a_single_item_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        ranks_of_scores((1.0, 2.0), tie_below=-1.0)
    with pytest.raises(ValueError, match="items is 1; a ranking has at least 2"):
        check_items(1)
    check_items(None)


@given(st.integers(2, 40), st.integers(2, 9), st.integers(0, 5))
def test_groups_are_disjoint_full_and_as_many_as_fit(count: int, items: int, seed: int) -> None:
    groups = draw_groups(count, items, np.random.default_rng(seed))
    positions = [position for group in groups for position in group]
    assert len(groups) == count // items
    assert all(len(group) == items for group in groups)
    assert len(set(positions)) == len(positions)
    assert set(positions) <= set(range(count))
    assert groups == draw_groups(count, items, np.random.default_rng(seed))


def test_all_is_one_group_in_order() -> None:
    assert draw_groups(4, None, np.random.default_rng(0)) == [[0, 1, 2, 3]]
