"""Candidate queries are drawn uniformly, from one group each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.queries.candidates import Candidates, draw_candidates


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


def test_every_ordered_choice_of_segments_is_equally_likely() -> None:
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


def test_arrays_are_computed_when_first_read_and_once() -> None:
    calls = []

    def returns() -> np.ndarray:
        calls.append("returns")
        return np.zeros((3, 2, 2))

    candidates = Candidates(1, np.array([[0, 1], [1, 2]]), np.random.default_rng(0), compute_returns=returns)
    assert calls == []
    assert candidates.member_returns is candidates.member_returns
    assert calls == ["returns"]


@pytest.mark.parametrize(
    ("returns", "features", "asked", "read", "message"),
    [
        (None, None, None, "member_returns", "needs a learned reward"),
        (
            np.zeros((3, 1, 2)),
            None,
            None,
            "member_returns",
            r"\(3, 1, 2\); \(members, 2 candidates, 2 items\)",
        ),
        (None, None, None, "features", "no features"),
        (None, np.zeros((3, 4)), None, "features", r"\(3, 4\); \(2 candidates, F\)"),
        (None, np.zeros((2, 4)), np.zeros((1, 3)), "asked_features", r"\(1, 3\); \(M, 4\)"),
    ],
)
def test_arrays_of_other_candidates_are_refused(
    returns: np.ndarray | None, features: np.ndarray | None, asked: np.ndarray | None, read: str, message: str
) -> None:
    candidates = Candidates(
        1,
        np.array([[0, 1], [1, 2]]),
        np.random.default_rng(0),
        compute_returns=None if returns is None else lambda: returns,
        compute_features=None if features is None else lambda: features,
        compute_asked_features=None if asked is None else lambda: asked,
    )
    with pytest.raises(ValueError, match=message):
        getattr(candidates, read)
