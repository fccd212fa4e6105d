"""Repeated queries with their segments in another order."""

from __future__ import annotations

import numpy as np
import pytest

from prefrl.data.types import Provenance, Query, Segment
from prefrl.queries import swap_repeat


def segment(seed: int) -> Segment:
    ends = np.zeros(1, bool)
    return Segment(
        np.zeros((1, 1)), np.zeros(1), np.zeros(1, np.float32), ends, ends, Provenance("E-v0", seed, 0, 0)
    )


def query(items: int, query_id: int | None = 7) -> Query:
    segments = tuple(segment(seed) for seed in range(items))
    return Query(segments, sampler="entropy", score=0.5, policy_step=3, id=query_id)


def test_a_repeated_pair_is_reversed_and_refers_to_the_original() -> None:
    original = query(2)
    repeat = swap_repeat(original, np.random.default_rng(0), policy_step=9)
    assert repeat.segments == original.segments[::-1]
    assert (repeat.repeat_of, repeat.id) == (7, None)
    assert (repeat.sampler, repeat.score, repeat.policy_step) == ("entropy", 0.5, 9)


def test_more_segments_take_any_order_but_the_original() -> None:
    original = query(3)
    rng = np.random.default_rng(0)
    orders = {swap_repeat(original, rng, 9).segments for _ in range(200)}
    assert len(orders) == 5
    assert original.segments not in orders


def test_a_query_without_id_cannot_be_repeated() -> None:
    with pytest.raises(ValueError, match="store it first"):
        swap_repeat(query(2, None), np.random.default_rng(0), 9)
