"""What the store keeps, hands out and refuses."""

from __future__ import annotations

import dataclasses
import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefrl.data.clips import Clip, encode_clip
from prefrl.data.types import Comparison, Query, Segment
from prefrl.storage import Counts, Episode, Lease, PoolEntry, QueryRecord, Store, StoreError, WorkerStatus

MakeSegment = Callable[..., Segment]
Ask = Callable[..., int]


# Segments


def test_segments_come_back_in_the_order_asked(store: Store, make_segment: MakeSegment) -> None:
    segments = [make_segment(number, stacks=number == 2) for number in range(4)]
    store.add_segments(segments, keep_unqueried=10)

    assert store.segments([segments[2].id, segments[0].id, segments[2].id]) == [
        segments[2],
        segments[0],
        segments[2],
    ]
    with pytest.raises(StoreError, match="segment abc is not in the store"):
        store.segments([segments[0].id, "abc"])


def test_the_pool_gives_the_newest_oldest_first(store: Store, make_segment: MakeSegment) -> None:
    segments = [make_segment(number) for number in range(4)]
    store.add_segments(segments, keep_unqueried=10)

    assert store.pool(2) == [PoolEntry(segments[2].id, 200), PoolEntry(segments[3].id, 300)]
    assert len(store.pool(100)) == 4


def test_the_oldest_unqueried_are_dropped_and_counted(store: Store, make_segment: MakeSegment) -> None:
    segments = [make_segment(number) for number in range(8)]
    assert store.add_segments(segments[:4], keep_unqueried=4) == 0
    store.add_queries([Query((segments[0], segments[2]))])

    assert store.add_segments(segments[4:], keep_unqueried=3) == 3

    # 1, 3 and 4 went; 0 and 2 are the oldest but queried
    assert [entry.policy_step for entry in store.pool(10)] == [0, 200, 500, 600, 700]
    assert store.add_segments([], keep_unqueried=0) == 3
    counts = store.counts()
    assert (counts.segments, counts.unqueried, counts.dropped_segments) == (2, 0, 6)
    with pytest.raises(StoreError, match="-1"):
        store.add_segments([], keep_unqueried=-1)


def test_a_segment_added_twice_is_there_once(store: Store, make_segment: MakeSegment) -> None:
    store.add_segments([make_segment(1), make_segment(1)], keep_unqueried=10)
    store.add_segments([make_segment(1), make_segment(2)], keep_unqueried=10)

    assert store.counts().segments == 2


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.booleans()), max_size=12))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_the_pool_is_bounded_and_queried_segments_stay(
    tmp_path_factory: pytest.TempPathFactory, make_segment: MakeSegment, rounds: list[tuple[int, int, bool]]
) -> None:
    queried: set[str] = set()
    added = 0
    with Store.open(tmp_path_factory.mktemp("pool") / "store.sqlite", create=True) as store:
        for new, keep, asks in rounds:
            store.add_segments([make_segment(added + i, steps=1) for i in range(new)], keep)
            added += new
            counts = store.counts()
            assert counts.unqueried <= keep
            assert counts.segments + counts.dropped_segments == added
            assert queried <= {entry.id for entry in store.pool(added)}
            newest = [entry.id for entry in store.pool(2)]
            if asks and len(newest) == 2:
                store.add_query_records([QueryRecord(tuple(newest))])
                queried |= set(newest)
        counts = store.counts()
        assert counts.segments - counts.unqueried == len(queried)


# Queries


def test_a_query_comes_back_whole(store: Store, make_segment: MakeSegment) -> None:
    segments = [make_segment(number) for number in range(3)]
    store.add_segments(segments, keep_unqueried=10)
    first = Query((segments[2], segments[0], segments[1]), "entropy", 0.25, 1234)
    second = Query((segments[0], segments[0]), score=float(np.float32(0.1)), repeat_of=1)

    assert store.add_queries([first, second]) == [1, 2]

    assert store.query(1) == dataclasses.replace(first, id=1)
    assert store.query(2) == dataclasses.replace(second, id=2)
    assert store.query_record(1).segment_ids == tuple(segments[number].id for number in (2, 0, 1))


def test_a_query_over_what_is_not_there_adds_nothing(store: Store, make_segment: MakeSegment) -> None:
    segments = [make_segment(number) for number in range(3)]
    store.add_segments(segments[:2], keep_unqueried=10)
    sound = Query((segments[0], segments[1]))

    with pytest.raises(StoreError, match=f"segment {segments[2].id}.*add it first"):
        store.add_queries([sound, Query((segments[0], segments[2]))])
    with pytest.raises(StoreError, match="query 9 is not in the store"):
        store.add_queries([sound, dataclasses.replace(sound, repeat_of=9)])
    with pytest.raises(StoreError, match="score is nan"):
        store.add_queries([sound, dataclasses.replace(sound, score=math.nan)])
    assert store.counts().queries == 0
    with pytest.raises(StoreError, match="query 1 is not in the store"):
        store.query(1)


def test_queries_to_ask_again_are_answered_and_no_repeats(store: Store, ask: Ask) -> None:
    answered, cant_tell, _, repeat = ask(1, 2), ask(3, 4), ask(5, 6), ask(2, 1)
    record = dataclasses.replace(store.query_record(repeat), repeat_of=answered)
    (repeat,) = store.add_query_records([record])
    store.add_comparisons(
        [Comparison(repeat, (1, 2)), Comparison(answered, (2, 1)), Comparison(cant_tell, None)]
    )

    assert store.answered_queries() == [answered]


# Leases


def test_the_oldest_open_query_goes_to_one_annotator_at_a_time(store: Store, ask: Ask) -> None:
    first, second = ask(1, 2), ask(3, 4)

    assert leased(store, "ann", now_s=100) == first
    assert leased(store, "bob", now_s=101) == second
    assert leased(store, "cem", now_s=102) is None
    assert leased(store, "bob", now_s=105) == second
    assert store.leases(now_s=109) == [Lease(first, "ann", 110), Lease(second, "bob", 115)]


def test_a_lapsed_lease_returns_to_the_others(store: Store, ask: Ask) -> None:
    query = ask(1, 2)
    assert leased(store, "ann", now_s=100) == query
    assert leased(store, "bob", now_s=109.9) is None

    assert store.leases(now_s=110) == []
    assert leased(store, "bob", now_s=110) == query
    assert leased(store, "ann", now_s=111) is None


def test_a_released_query_is_free_but_only_its_holder_can_release_it(store: Store, ask: Ask) -> None:
    query = ask(1, 2)
    assert leased(store, "ann", now_s=100) == query
    store.release(query, "bob")
    assert leased(store, "bob", now_s=101) is None

    store.release(query, "ann")
    store.release(query, "ann")
    assert leased(store, "bob", now_s=102) == query


def test_an_answer_ends_the_lease_and_closes_the_query(store: Store, ask: Ask) -> None:
    first, second = ask(1, 2), ask(3, 4)
    assert leased(store, "ann", now_s=100) == first

    store.add_comparisons([Comparison(first, None, "bob")])

    assert store.leases(now_s=101) == []
    assert leased(store, "ann", now_s=102) == second


def test_a_batch_is_leased_at_once_those_held_first(store: Store, ask: Ask) -> None:
    first, second, third, fourth = (ask(1, 2 + extra) for extra in range(4))
    assert leased(store, "bob", now_s=100) == first
    assert store.lease_batch("ann", lease_s=10, count=2, now_s=100) == [second, third]
    assert store.lease_batch("ann", lease_s=10, count=9, now_s=101) == [second, third, fourth]
    assert store.lease_batch("bob", lease_s=10, count=9, now_s=102) == [first]
    assert store.lease_batch("eve", lease_s=10, count=9, now_s=102) == []


def leased(store: Store, annotator: str, now_s: float) -> int | None:
    query = store.lease(annotator, lease_s=10, now_s=now_s)
    return None if query is None else query.id


# Comparisons


def test_a_later_answer_of_the_same_annotator_supersedes(store: Store, ask: Ask) -> None:
    query = ask(1, 2)
    answers = [((1, 2), "ann"), ((2, 1), "bob"), ((1, 1), "ann"), (None, "ann")]
    comparisons = [Comparison(query, ranks, name, 1.5, 1000.25) for ranks, name in answers]
    assert store.add_comparisons(comparisons[:2]) == [1, 2]
    assert store.add_comparisons(comparisons[2:]) == [3, 4]

    expected = [
        dataclasses.replace(comparison, id=number, supersedes=supersedes)
        for number, (comparison, supersedes) in enumerate(
            zip(comparisons, [None, None, 1, 3], strict=True), start=1
        )
    ]
    assert store.comparisons() == expected
    assert [item.comparison for item in store.labelled()] == [expected[1], expected[3]]
    assert [item.comparison for item in store.labelled(after=2)] == [expected[3]]
    assert store.last_comparison_id() == 4


def test_supersedes_may_be_given_if_it_is_right(store: Store, ask: Ask) -> None:
    query = ask(1, 2)
    store.add_comparisons([Comparison(query, (1, 2), "ann"), Comparison(query, (1, 2), "bob")])
    store.add_comparisons([Comparison(query, (2, 1), "ann", supersedes=1)])

    for wrong, annotator in ((1, "ann"), (2, "ann"), (1, "cem"), (77, "bob")):
        with pytest.raises(StoreError, match=f"comparison {wrong} cannot be superseded"):
            store.add_comparisons([Comparison(query, (1, 1), annotator, supersedes=wrong)])
    assert store.last_comparison_id() == 3


def test_labelled_loads_the_query_and_can_be_read_in_pages(store: Store, ask: Ask) -> None:
    queries = [ask(1, 2), ask(2, 3, 4, stacks=True), ask(3, 4, stacks=True)]
    store.add_comparisons([Comparison(query, None, time_s=float(query)) for query in reversed(queries)])

    pages = [store.labelled(limit=2), store.labelled(after=2, limit=2)]

    assert [[item.query for item in page] for page in pages] == [
        [store.query(queries[2]), store.query(queries[1])],
        [store.query(queries[0])],
    ]
    shared = pages[0][0].query.segments[0]
    assert pages[0][1].query.segments[1] is shared, "a segment of two queries is loaded once"


def test_wrong_answers_are_refused_with_all_that_came_with_them(store: Store, ask: Ask) -> None:
    sound = Comparison(ask(1, 2, 3), (2, 1, 2))
    for wrong, reason in (
        (dataclasses.replace(sound, ranks=(1, 2)), "2 ranks answer query 1, which has 3 segments"),
        (dataclasses.replace(sound, query_id=9), "query 9 is not in the store"),
        (dataclasses.replace(sound, latency_s=math.nan), "latency_s is nan"),
        (dataclasses.replace(sound, time_s=math.inf), "time_s is inf"),
    ):
        with pytest.raises(StoreError, match=reason):
            store.add_comparisons([sound, wrong])
    assert store.comparisons() == []
    assert store.counts().open_queries == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE comparisons SET ranks = '2,1'",
        "DELETE FROM comparisons",
        "INSERT OR REPLACE INTO comparisons VALUES (1, 1, '2,1', 'ann', 0, 0, NULL)",
        "INSERT OR REPLACE INTO comparisons VALUES (9, 1, '2,1', 'ann', 0, 0, 1)",
    ],
)
def test_comparisons_are_append_only_for_other_programs_too(
    store: Store, ask: Ask, tmp_path: Path, statement: str
) -> None:
    query = ask(1, 2)
    store.add_comparisons([Comparison(query, (1, 2), "ann"), Comparison(query, None, "ann")])
    before = store.comparisons()

    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as other:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute(statement)
        other.rollback()
    assert store.comparisons() == before


def test_counts_by_hand(store: Store, ask: Ask, make_segment: MakeSegment) -> None:
    assert store.counts() == Counts(0, 0, 0, 0, 0, 0, 0, 0)
    queries = [ask(1, 2), ask(2, 3), ask(3, 4), ask(4, 5)]
    store.add_segments([make_segment(number) for number in range(10, 13)], keep_unqueried=2)
    for query, ranks, annotator in (
        (queries[0], (1, 2), "ann"),
        (queries[0], (1, 1), "bob"),
        (queries[1], (1, 2), "ann"),
        (queries[1], None, "ann"),
        (queries[2], None, "ann"),
        (queries[2], (2, 1), "ann"),
        (queries[2], None, "bob"),
    ):
        store.add_comparisons([Comparison(query, ranks, annotator)])

    assert store.counts() == Counts(
        segments=7,
        unqueried=2,
        dropped_segments=1,
        queries=4,
        open_queries=1,
        comparisons=7,
        labels=3,
        cant_tell=2,
    )


# State of the workers


def test_the_newest_1000_episodes_are_kept_and_all_counted(store: Store) -> None:
    store.add_episodes([Episode(step, -step / 2, 200) for step in range(600)])
    store.add_episodes([Episode(step, -step / 2, 200) for step in range(600, 1200)])
    store.add_episodes([])

    assert store.recent_episodes(2) == [Episode(1198, -599.0, 200), Episode(1199, -599.5, 200)]
    kept = store.recent_episodes(5000)
    assert (len(kept), kept[0].policy_step) == (1000, 200)
    assert store.episode_count() == 1200
    with pytest.raises(StoreError, match="true_return is nan"):
        store.add_episodes([Episode(1, math.nan, 2)])


def test_the_latest_counter_wins(store: Store) -> None:
    store.set_counters({"policy_step": 10, "due_labels": 2.5})
    store.set_counters({"policy_step": 2**40 + 1})

    assert store.counters() == {"due_labels": 2.5, "policy_step": 2**40 + 1}
    with pytest.raises(StoreError, match="counter policy_step is nan"):
        store.set_counters({"policy_step": math.nan})


def test_the_last_heartbeat_of_each_worker_is_kept(store: Store) -> None:
    store.beat("reward", 11, "fitting", "epoch 3", now_s=100)
    store.beat("policy", 12, "acting", now_s=101)
    store.beat("reward", 13, "waiting", now_s=102)

    assert store.workers() == [
        WorkerStatus("policy", 12, "acting", "", 101),
        WorkerStatus("reward", 13, "waiting", "", 102),
    ]


def test_what_is_polled_never_scans_the_payloads(store: Store, ask: Ask) -> None:
    query = ask(1, 2)
    statements: list[str] = []
    store._db._raw.set_trace_callback(statements.append)
    store.counts()
    store.last_comparison_id()
    store.lease("ann", 10)
    store.release(query, "ann")
    store.add_segments([], keep_unqueried=0)
    store._db._raw.set_trace_callback(None)

    selects = [statement for statement in statements if statement.startswith("SELECT")]
    assert len(selects) >= 9
    for statement in selects:
        steps = [row[3] for row in store._db.rows(f"EXPLAIN QUERY PLAN {statement}")]
        assert "SCAN segments" not in steps, statement


def test_a_clip_stays_as_long_as_its_segment(store: Store, make_segment: Callable[..., Segment]) -> None:
    segments = [make_segment(number) for number in range(3)]
    clips = {
        segment.id: encode_clip(Clip(states=np.full((3, 2), float(number))))
        for number, segment in enumerate(segments[:2])
    }
    store.add_segments(segments, keep_unqueried=10, clips=clips)
    shown = store.clip(segments[1].id)
    assert shown is not None
    assert shown.states is not None
    assert (shown.states == 1.0).all()
    assert store.clip(segments[2].id) is None
    store.add_segments([], keep_unqueried=1)
    assert [store.clip(segment.id) for segment in segments] == [None] * 3
