"""Labelling sessions on a real store: leases, answers, undo, several people."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from prefrl.data.clips import Clip, encode_clip
from prefrl.data.types import Comparison, Provenance, Query, Segment
from prefrl.labelling.rendering import Item, NotRenderableError, SegmentRenderer
from prefrl.labelling.session import Fit, LabellingSession, PreparedQuery
from prefrl.storage import Lease, Store

LEASE_S = 30.0


def segment(number: int) -> Segment:
    flags = np.zeros(3, bool)
    rewards = np.full(3, number, np.float32)
    return Segment(
        rewards[:, None], flags.astype(int), rewards, flags, flags, Provenance("Test-v0", 0, number, 0)
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Five open queries of two segments each, all with clips."""
    with Store.open(tmp_path / "store.sqlite", create=True) as store:
        for number in range(5):
            pair = segment(2 * number), segment(2 * number + 1)
            clips = {
                one.id: encode_clip(
                    Clip(frames=np.full((3, 20, 10, 3), one.provenance.policy_step, np.uint8))
                )
                for one in pair
            }
            store.add_segments(pair, keep_unqueried=100, clips=clips)
            store.add_queries([Query(pair)])
        yield store


@pytest.fixture
def open_session(tmp_path: Path, store: Store) -> Iterator[Callable[..., LabellingSession]]:
    sessions: list[LabellingSession] = []

    def open_session(
        annotator: str = "ann", lease_s: float = LEASE_S, fit: Fit = enlarged
    ) -> LabellingSession:
        sessions.append(
            LabellingSession(
                tmp_path / "store.sqlite",
                annotator,
                lease_s,
                lambda store: SegmentRenderer(store, no_env, 10.0),
                fit,
            )
        )
        sessions[-1].is_away = False
        return sessions[-1]

    yield open_session
    for session in sessions:
        session.close()


def enlarged(items: tuple[Item, ...], factor: int = 3) -> tuple[Item, ...]:
    return tuple(item.repeat(factor, axis=1) for item in items if isinstance(item, np.ndarray))


def no_env(_: str | None) -> gym.Env[Any, Any]:
    """Only called for segments without a clip; this environment has no texts either."""
    return gym.make("CartPole-v1")


def until(found: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 600
    while not found():
        assert time.monotonic() < deadline_s, "timed out"
        time.sleep(0.005)


def current_query(session: LabellingSession, query_id: int) -> PreparedQuery:
    until(lambda: session.current is not None and session.current.query_id == query_id)
    assert session.current is not None
    return session.current


def counted_answers(store: Store) -> list[tuple[int, object]]:
    superseded = {one.supersedes for one in store.comparisons()}
    return [(one.query_id, one.ranks) for one in store.comparisons() if one.id not in superseded]


def test_queries_come_one_after_another_with_their_clips_fitted(
    open_session: Callable[..., LabellingSession],
) -> None:
    session = open_session()
    for number in range(1, 6):
        shown = current_query(session, number)
        assert [int(item[0, 0, 0, 0]) for item in shown.items] == [2 * number - 2, 2 * number - 1]
        assert [item.shape for item in shown.fitted] == [(3, 60, 10, 3)] * 2  # type: ignore[union-attr]
        session.answer(shown, (1, 2), 1.0)
    until(lambda: session.current is None)


def test_an_answer_is_in_the_store_when_answer_returns(
    open_session: Callable[..., LabellingSession], store: Store
) -> None:
    session = open_session()
    session.answer(current_query(session, 1), (2, 1), 3.5)
    (comparison,) = store.comparisons()
    assert (comparison.query_id, comparison.ranks, comparison.annotator, comparison.latency_s) == (
        1,
        (2, 1),
        "ann",
        3.5,
    )


def test_undo_goes_back_step_by_step_and_a_new_answer_supersedes(
    open_session: Callable[..., LabellingSession], store: Store
) -> None:
    session = open_session()
    assert not session.can_undo
    for number in (1, 2, 3):
        session.answer(current_query(session, number), (1, 2), 1.0)
    current_query(session, 4)
    session.undo()
    assert current_query(session, 3).is_reopened
    session.undo()
    back = current_query(session, 2)
    assert back.earlier_ranks == (1, 2)
    session.answer(back, None, 1.0)
    # Query 3 keeps its answer, 4 is next.
    current_query(session, 4)
    assert counted_answers(store) == [(1, (1, 2)), (3, (1, 2)), (2, None)]
    # Undo reopens the newest answers first, in the order the queries were first answered.
    session.undo()
    current_query(session, 3)
    session.advance(current_query(session, 3))
    current_query(session, 4)


def test_a_returning_annotator_gets_their_leased_query_and_can_undo_earlier_answers(
    open_session: Callable[..., LabellingSession], store: Store, tmp_path: Path
) -> None:
    store.add_comparisons([Comparison(1, (1, 2), "ann"), Comparison(2, (1, 2), "bob")])
    assert store.lease("ann", LEASE_S) is not None  # as if the front end was killed while it showed query 3
    session = open_session()
    current_query(session, 3)
    session.undo()
    assert current_query(session, 1).earlier_ranks == (1, 2)
    assert not session.can_undo


def test_two_people_never_see_the_same_query(
    open_session: Callable[..., LabellingSession], store: Store
) -> None:
    ann, bob = open_session("ann"), open_session("bob")
    until(lambda: ann.current and bob.current)
    while store.counts().open_queries:
        for session in (ann, bob):
            if session.current is not None:
                session.answer(session.current, (1, 2), 1.0)
    answered = [comparison.query_id for comparison in store.comparisons()]
    assert sorted(answered) == [1, 2, 3, 4, 5]


def test_closing_releases_the_queries(open_session: Callable[..., LabellingSession], store: Store) -> None:
    session = open_session()
    current_query(session, 1)
    session.close()
    assert store.leases() == []
    assert store.counts().open_queries == 5


def test_closing_releases_queries_that_were_leased_but_not_prepared(tmp_path: Path, store: Store) -> None:
    gate, slow = threading.Event(), store.query_record(2).segment_ids[0]

    class SlowRenderer(SegmentRenderer):
        def item(self, segment_id: str) -> Item:
            if segment_id == slow:
                gate.wait()
            return super().item(segment_id)

    session = LabellingSession(
        tmp_path / "store.sqlite", "ann", LEASE_S, lambda store: SlowRenderer(store, no_env, 10.0)
    )
    session.is_away = False
    current_query(session, 1)
    assert {lease.query_id for lease in store.leases()} == {1, 2, 3}
    threading.Timer(0.2, gate.set).start()
    session.close()
    assert store.leases() == []


def test_leases_are_renewed_while_the_annotator_is_present_and_released_while_away(
    open_session: Callable[..., LabellingSession], store: Store
) -> None:
    session = open_session(lease_s=0.6)
    current_query(session, 1)
    seen: list[Lease] = []
    until(
        lambda: seen.extend(store.leases()) or seen
    )  # on a busy machine a lease may lapse between two looks
    first = max(lease.expires_s for lease in seen)
    until(lambda: any(lease.expires_s > first + 0.6 for lease in store.leases()))
    session.is_away = True
    until(lambda: not store.leases())


def test_going_away_releases_the_queries_and_returning_gets_open_ones(
    open_session: Callable[..., LabellingSession], store: Store
) -> None:
    session = open_session()
    current_query(session, 1)
    session.is_away = True
    until(lambda: not store.leases())
    until(lambda: session.current is None)
    store.add_comparisons([Comparison(number, (1, 2), "bob") for number in (1, 2)])
    session.is_away = False
    current_query(session, 3)


def test_a_query_answered_by_others_after_its_lease_lapsed_is_no_longer_current(
    open_session: Callable[..., LabellingSession], store: Store
) -> None:
    session = open_session(lease_s=0.3)
    current_query(session, 1)
    store.add_comparisons([Comparison(1, (1, 2), "bob")])
    current_query(session, 2)


def test_undo_of_an_answer_without_clips_does_nothing(
    open_session: Callable[..., LabellingSession], store: Store
) -> None:
    bare = segment(100), segment(101)
    store.add_segments(bare, keep_unqueried=100)
    (query,) = store.add_queries([Query(bare)])
    store.add_comparisons([Comparison(query, (1, 2), "ann")])
    session = open_session()
    current_query(session, 1)
    session.undo()
    until(lambda: not session.is_undoing)
    assert session.current is not None
    assert session.current.query_id == 1


def test_refit_fits_what_is_prepared_again(open_session: Callable[..., LabellingSession]) -> None:
    factor = 2
    session = open_session(fit=lambda items: enlarged(items, factor))
    small = current_query(session, 1)
    assert small.fitted[0].shape[1] == 40  # type: ignore[union-attr]
    factor = 5
    session.refit()
    until(lambda: session.current is not small)
    large = current_query(session, 1)
    assert large.fitted[0].shape[1] == 100  # type: ignore[union-attr]
    np.testing.assert_array_equal(large.items[0], small.items[0])  # type: ignore[arg-type]


def test_without_fit_items_keep_their_recorded_size(tmp_path: Path, store: Store) -> None:
    session = LabellingSession(
        tmp_path / "store.sqlite", "ann", LEASE_S, lambda store: SegmentRenderer(store, no_env, 10.0)
    )
    session.is_away = False
    try:
        shown = current_query(session, 1)
        assert [item.shape for item in shown.fitted] == [(3, 20, 10, 3)] * 2  # type: ignore[union-attr]
    finally:
        session.close()


def test_errors_of_the_background_thread_are_raised_by_current(
    open_session: Callable[..., LabellingSession], store: Store
) -> None:
    bare = segment(100), segment(101)
    store.add_segments(bare, keep_unqueried=100)
    for number in range(1, 6):
        store.add_comparisons([Comparison(number, None, "bob")])
    store.add_queries([Query(bare)])
    session = open_session()
    with pytest.raises(NotRenderableError, match="no clip and Test-v0 no text"):
        until(lambda: session.current)
