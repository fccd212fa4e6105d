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
from prefrl.storage import Counts, PoolEntry, QueryRecord, Store, StoreError

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


def test_an_answer_taken_back_is_withdrawn_for_whoever_follows_the_answers(store: Store, ask: Ask) -> None:
    """By (query, annotator) the newest row says what counts; ranks None withdraws."""
    first, second = ask(1, 2), ask(3, 4)
    store.add_comparisons([Comparison(first, (1, 2), "ann"), Comparison(second, (1, 2), "ann")])
    follower, after = follow(store, {}, 0)
    assert follower == {(first, "ann"): (1, 2), (second, "ann"): (1, 2)}

    store.add_comparisons([Comparison(first, None, "ann"), Comparison(first, (2, 1), "bob")])
    (withdrawn, _) = store.labelled(after=after)
    assert (withdrawn.comparison.ranks, withdrawn.comparison.supersedes) == (None, 1)
    follower, after = follow(store, follower, after)
    assert follower == {(second, "ann"): (1, 2), (first, "bob"): (2, 1)}

    # Changed twice between two looks: the row that comes names one that was never delivered.
    store.add_comparisons([Comparison(second, (1, 1), "ann"), Comparison(second, (2, 1), "ann")])
    (changed,) = store.labelled(after=after)
    assert changed.comparison.supersedes == 5
    follower, after = follow(store, follower, after)
    assert follower == {(second, "ann"): (2, 1), (first, "bob"): (2, 1)}


Given = dict[tuple[int, str], tuple[int, ...]]


def follow(store: Store, given: Given, after: int, limit: int | None = None) -> tuple[Given, int]:
    """What a learner does that reads only what is new."""
    given = dict(given)
    for item in store.labelled(after, limit):
        comparison = item.comparison
        key = comparison.query_id, comparison.annotator
        given.pop(key, None)
        if comparison.ranks is not None:
            given[key] = comparison.ranks
        after = comparison.id or 0
    return given, after


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(["ann", "bob"]),
            st.sampled_from([(1, 2), (2, 1), (1, 1), None]),
            st.booleans(),
        ),
        max_size=12,
    ),
    st.sampled_from([None, 1, 2]),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_follower_ends_with_what_a_new_reader_finds(
    tmp_path_factory: pytest.TempPathFactory,
    make_segment: MakeSegment,
    answers: list[tuple[int, str, tuple[int, int] | None, bool]],
    limit: int | None,
) -> None:
    with Store.open(tmp_path_factory.mktemp("follow") / "store.sqlite", create=True) as store:
        segments = [make_segment(number, steps=1) for number in range(4)]
        store.add_segments(segments, keep_unqueried=10)
        queries = store.add_queries([Query((segments[0], segments[number])) for number in (1, 2, 3)])
        seen, after = Given(), 0
        for query, annotator, ranks, looks in answers:
            store.add_comparisons([Comparison(queries[query], ranks, annotator)])
            if looks:
                seen, after = follow(store, seen, after, limit)
        while after < store.last_comparison_id():
            seen, after = follow(store, seen, after, limit)
        assert seen == follow(store, {}, 0)[0]
        counts = store.counts()
        ranked, answered = {query for query, _ in seen}, {query for query, *_ in answers}
        assert (counts.labels, counts.cant_tell) == (len(ranked), len(answered) - len(ranked))


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
        labels=2,
        cant_tell=1,
    )
    # by annotator every answer that counts is one: query 1 has two
    assert store.label_counts() == {"ann": 2, "bob": 1}


def test_a_query_answered_by_two_people_after_a_lapsed_lease_is_one_label(store: Store, ask: Ask) -> None:
    query = ask(1, 2)
    assert store.lease_batch("ann", lease_s=10, count=1, now_s=100) == [query]
    assert store.lease_batch("bob", lease_s=10, count=1, now_s=111) == [query]
    store.add_comparisons([Comparison(query, (1, 2), "ann")])
    store.add_comparisons([Comparison(query, (2, 1), "bob")])

    assert [item.comparison.annotator for item in store.labelled()] == ["ann", "bob"], "neither is lost"
    assert (store.counts().labels, store.counts().comparisons) == (1, 2)
    store.add_comparisons([Comparison(query, None, "ann")])
    assert (store.counts().labels, store.counts().cant_tell) == (1, 0), "bob could tell"
    store.add_comparisons([Comparison(query, None, "bob")])
    assert (store.counts().labels, store.counts().cant_tell) == (0, 1)
    repeat = dataclasses.replace(store.query_record(query), repeat_of=query)
    for number in store.add_query_records([repeat, repeat]):
        store.add_comparisons([Comparison(number, (1, 2), "ann")])
    assert store.counts().labels == 2, "a query asked again on purpose is a label each time"


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
