"""The desk over a real store: leases, answers, undo, other people."""

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
from prefrl.labelling.rendering import Item, NothingToSeeError, SegmentRenderer
from prefrl.labelling.session import LabellingSession, PreparedQuery
from prefrl.storage import Store
from prefrl.viewer.layout import lay_out

SIZE = 640, 360
LEASE_S = 30.0


def segment(number: int) -> Segment:
    flags = np.zeros(3, bool)
    rewards = np.full(3, number, np.float32)
    return Segment(
        rewards[:, None], flags.astype(int), rewards, flags, flags, Provenance("Test-v0", 0, number, 0)
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Five open queries of two segments each, all filmed."""
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
def open_desk(tmp_path: Path, store: Store) -> Iterator[Callable[..., LabellingSession]]:
    desks: list[LabellingSession] = []

    def open_desk(annotator: str = "ann", lease_s: float = LEASE_S) -> LabellingSession:
        desks.append(
            LabellingSession(
                tmp_path / "store.sqlite",
                annotator,
                lease_s,
                lambda store: SegmentRenderer(store, no_env, 10.0),
                SIZE,
            )
        )
        desks[-1].is_away = False
        return desks[-1]

    yield open_desk
    for desk in desks:
        desk.close()


def no_env(_: str | None) -> gym.Env[Any, Any]:
    """Called for segments without a clip alone; of this environment there is no text either."""
    return gym.make("CartPole-v1")


def until(found: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 20
    while not found():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.005)


def now_shown(desk: LabellingSession, query_id: int) -> PreparedQuery:
    until(lambda: desk.current is not None and desk.current.query_id == query_id)
    assert desk.current is not None
    return desk.current


def counting(store: Store) -> list[tuple[int, object]]:
    superseded = {one.supersedes for one in store.comparisons()}
    return [(one.query_id, one.ranks) for one in store.comparisons() if one.id not in superseded]


def test_queries_come_one_after_another_with_their_clips_scaled(
    open_desk: Callable[..., LabellingSession],
) -> None:
    desk = open_desk()
    for number in range(1, 6):
        shown = now_shown(desk, number)
        assert [int(item[0, 0, 0, 0]) for item in shown.items] == [2 * number - 2, 2 * number - 1]
        box = lay_out(SIZE, 2).items[0]
        height, width = shown.fitted[0].shape[1:3]  # type: ignore[union-attr]
        assert height <= box[3] - box[1]
        assert width <= box[2] - box[0]
        assert (height, width) != (20, 10)
        desk.answer(shown, (1, 2), 1.0)
    until(lambda: desk.current is None)


def test_an_answer_is_in_the_store_when_it_returns(
    open_desk: Callable[..., LabellingSession], store: Store
) -> None:
    desk = open_desk()
    desk.answer(now_shown(desk, 1), (2, 1), 3.5)
    (comparison,) = store.comparisons()
    assert (comparison.query_id, comparison.ranks, comparison.annotator, comparison.latency_s) == (
        1,
        (2, 1),
        "ann",
        3.5,
    )


def test_undo_goes_back_step_by_step_and_the_new_answer_supersedes(
    open_desk: Callable[..., LabellingSession], store: Store
) -> None:
    desk = open_desk()
    assert not desk.can_undo
    for number in (1, 2, 3):
        desk.answer(now_shown(desk, number), (1, 2), 1.0)
    now_shown(desk, 4)
    desk.undo()
    assert now_shown(desk, 3).is_again
    desk.undo()
    back = now_shown(desk, 2)
    assert back.earlier == (1, 2)
    desk.answer(back, None, 1.0)
    # Query 3 keeps its answer, 4 is next.
    now_shown(desk, 4)
    assert counting(store) == [(1, (1, 2)), (3, (1, 2)), (2, None)]
    # What was answered last is what undo brings back first, in the order the queries came.
    desk.undo()
    now_shown(desk, 3)
    desk.go_on(now_shown(desk, 3))
    now_shown(desk, 4)


def test_who_comes_back_finds_their_query_and_can_undo_what_they_answered_before(
    open_desk: Callable[..., LabellingSession], store: Store, tmp_path: Path
) -> None:
    store.add_comparisons([Comparison(1, (1, 2), "ann"), Comparison(2, (1, 2), "bob")])
    assert store.lease("ann", LEASE_S) is not None  # a viewer killed while it showed query 3
    desk = open_desk()
    now_shown(desk, 3)
    desk.undo()
    assert now_shown(desk, 1).earlier == (1, 2)
    assert not desk.can_undo


def test_two_people_never_see_the_same_query(
    open_desk: Callable[..., LabellingSession], store: Store
) -> None:
    ann, bob = open_desk("ann"), open_desk("bob")
    until(lambda: ann.current and bob.current)
    while store.counts().open_queries:
        for desk in (ann, bob):
            if desk.current is not None:
                desk.answer(desk.current, (1, 2), 1.0)
    answered = [comparison.query_id for comparison in store.comparisons()]
    assert sorted(answered) == [1, 2, 3, 4, 5]


def test_leaving_gives_the_queries_back(open_desk: Callable[..., LabellingSession], store: Store) -> None:
    desk = open_desk()
    now_shown(desk, 1)
    desk.close()
    assert store.leases() == []
    assert store.counts().open_queries == 5


def test_leaving_gives_back_what_was_leased_and_not_made_ready(tmp_path: Path, store: Store) -> None:
    gate, slow = threading.Event(), store.query_record(2).segment_ids[0]

    class SlowArtist(SegmentRenderer):
        def item(self, segment_id: str) -> Item:
            if segment_id == slow:
                gate.wait()
            return super().item(segment_id)

    desk = LabellingSession(
        tmp_path / "store.sqlite", "ann", LEASE_S, lambda store: SlowArtist(store, no_env, 10.0), SIZE
    )
    desk.is_away = False
    now_shown(desk, 1)
    assert {lease.query_id for lease in store.leases()} == {1, 2, 3}
    threading.Timer(0.2, gate.set).start()
    desk.close()
    assert store.leases() == []


def test_leases_are_renewed_while_somebody_sits_there_and_lapse_while_nobody_does(
    open_desk: Callable[..., LabellingSession], store: Store
) -> None:
    desk = open_desk(lease_s=0.6)
    now_shown(desk, 1)
    first = max(lease.expires_s for lease in store.leases())
    until(lambda: store.leases() and max(lease.expires_s for lease in store.leases()) > first + 0.6)
    desk.is_away = True
    until(lambda: not store.leases())


def test_who_goes_away_gives_the_queries_back_at_once_and_is_shown_what_is_open_on_return(
    open_desk: Callable[..., LabellingSession], store: Store
) -> None:
    desk = open_desk()
    now_shown(desk, 1)
    desk.is_away = True
    until(lambda: not store.leases())
    until(lambda: desk.current is None)
    store.add_comparisons([Comparison(number, (1, 2), "bob") for number in (1, 2)])
    desk.is_away = False
    now_shown(desk, 3)


def test_a_query_that_others_answered_while_the_computer_slept_is_not_shown_any_more(
    open_desk: Callable[..., LabellingSession], store: Store
) -> None:
    desk = open_desk(lease_s=0.3)
    now_shown(desk, 1)
    store.add_comparisons([Comparison(1, (1, 2), "bob")])
    now_shown(desk, 2)


def test_an_answer_whose_clips_were_not_imported_cannot_be_taken_back_and_ends_nothing(
    open_desk: Callable[..., LabellingSession], store: Store
) -> None:
    bare = segment(100), segment(101)
    store.add_segments(bare, keep_unqueried=100)
    (query,) = store.add_queries([Query(bare)])
    store.add_comparisons([Comparison(query, (1, 2), "ann")])
    desk = open_desk()
    now_shown(desk, 1)
    desk.undo()
    until(lambda: not desk.is_bringing_back)
    assert desk.current is not None
    assert desk.current.query_id == 1


def test_a_resized_window_gets_larger_pictures(open_desk: Callable[..., LabellingSession]) -> None:
    desk = open_desk()
    small = now_shown(desk, 1)
    desk.size = 1600, 900
    until(lambda: desk.current is not None and desk.current.size == (1600, 900))
    assert desk.current is not None
    assert desk.current.fitted[0].shape[1] > small.fitted[0].shape[1]  # type: ignore[union-attr]


def test_what_cannot_be_shown_is_said_where_the_window_is(
    open_desk: Callable[..., LabellingSession], store: Store
) -> None:
    bare = segment(100), segment(101)
    store.add_segments(bare, keep_unqueried=100)
    for number in range(1, 6):
        store.add_comparisons([Comparison(number, None, "bob")])
    store.add_queries([Query(bare)])
    desk = open_desk()
    with pytest.raises(NothingToSeeError, match="no clip and Test-v0 no text"):
        until(lambda: desk.current)
