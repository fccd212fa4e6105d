from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from prefrl.data.validation_split import bootstrap_weights, is_validation_segment, validation_segments

IDS = [f"{number:064x}" for number in range(4000)]


def test_validation_has_its_share_of_the_segments() -> None:
    held_out = sum(is_validation_segment(segment_id, 0.1) for segment_id in IDS)
    # binomial: 400 +- 19; five standard deviations
    assert 305 < held_out < 495


def test_a_larger_fraction_holds_out_the_same_segments_and_more() -> None:
    small = {segment_id for segment_id in IDS if is_validation_segment(segment_id, 0.1)}
    large = {segment_id for segment_id in IDS if is_validation_segment(segment_id, 0.2)}
    assert small < large
    assert not any(is_validation_segment(segment_id, 0.0) for segment_id in IDS)
    assert all(is_validation_segment(segment_id, 1.0) for segment_id in IDS)


@given(st.lists(st.lists(st.sampled_from(IDS[:30]), min_size=2, max_size=4, unique=True), max_size=25))
def test_no_query_is_in_both_sets_in_any_order(queries: list[list[str]]) -> None:
    held_out = validation_segments(queries, 0.5)
    assert all(len({segment_id in held_out for segment_id in query}) == 1 for query in queries)
    shuffled = [query[::-1] for query in queries[::-1]]
    assert validation_segments(shuffled, 0.5) == held_out


def test_the_smallest_id_decides_for_its_component() -> None:
    inside = sorted(i for i in IDS if is_validation_segment(i, 0.5))
    outside = sorted(i for i in IDS if not is_validation_segment(i, 0.5))
    low, high, others = inside[0], inside[-1], [i for i in outside if inside[0] < i][:2]
    assert validation_segments([others, [others[0], low]], 0.5) == {*others, low}
    assert validation_segments([others, [others[0], high]], 0.5) == set()


def test_queries_from_one_set_keep_their_segments_in_it() -> None:
    inside = [i for i in IDS if is_validation_segment(i, 0.3)][:6]
    outside = [i for i in IDS if not is_validation_segment(i, 0.3)][:6]
    queries = [inside[:2], inside[1:4], inside[4:], outside[:3], outside[3:]]
    assert validation_segments(queries, 0.3) == set(inside)


def test_bootstrap_weights_are_poisson_and_independent() -> None:
    weights = np.stack([bootstrap_weights(0, query, 2) for query in range(4000)])
    # five standard deviations of the mean, of the variance and of the share of zeros
    assert abs(weights.mean() - 1.0) < 5 / np.sqrt(8000)
    assert abs(weights.var() - 1.0) < 5 * np.sqrt(3 / 8000)
    assert abs((weights == 0).mean() - np.exp(-1)) < 5 * np.sqrt(0.2325 / 8000)
    assert abs(np.corrcoef(weights.T)[0, 1]) < 5 / np.sqrt(4000)


def test_bootstrap_weights_depend_only_on_seed_and_query() -> None:
    draw = [bootstrap_weights(seed, query, 3).tolist() for seed in (0, 1) for query in range(20)]
    assert draw[:20] == [bootstrap_weights(0, query, 3).tolist() for query in range(20)]
    assert draw[:20] != draw[20:]
    assert bootstrap_weights(0, 5, 5)[:3].tolist() == draw[5]
