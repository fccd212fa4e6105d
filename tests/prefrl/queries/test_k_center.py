"""The greedy k-centre rule."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from prefrl.queries.k_center import k_center


def test_k_center_takes_the_farthest_first() -> None:
    line = np.array([[0.0], [1.0], [10.0], [4.0]])
    assert k_center(line, 4)[0].tolist() == [2, 0, 3, 1]
    assert k_center(line, 2, existing=np.array([[10.0]]))[0].tolist() == [0, 3]


def test_k_center_breaks_ties_by_the_lowest_index_and_never_repeats() -> None:
    assert k_center(np.zeros((4, 2)), 4)[0].tolist() == [0, 1, 2, 3]
    assert k_center(np.array([[0.0], [10.0], [5.0]]), 2)[0].tolist() == [0, 1]
    assert k_center(np.zeros((0, 2)), 0)[0].tolist() == []


def test_k_center_reads_bytes_without_overflow() -> None:
    pixels = np.array([[250], [5], [245]], np.uint8)
    assert k_center(pixels, 2, existing=pixels[:1])[0].tolist() == [1, 2]


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
    assert gaps[:, k_center(points, count)[0]].min(axis=1).max() <= 2 * best + 1e-9


def test_distances_are_those_to_the_nearest_centre_at_the_time() -> None:
    line = np.array([[0.0], [1.0], [10.0], [4.0]])
    assert k_center(line, 3, existing=np.array([[3.0]]))[1].tolist() == [7, 3, 1]


@pytest.mark.parametrize("count", [-1, 3])
def test_a_count_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"cannot take {count} of 2"):
        k_center(np.zeros((2, 1)), count)
