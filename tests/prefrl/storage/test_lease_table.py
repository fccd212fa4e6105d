"""Leases: who is asked what, when one lapses, and by which clock."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from prefrl.data.types import Comparison
from prefrl.storage import Lease, Store, lease_table

Ask = Callable[..., int]


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


# The clock


def test_a_jump_of_the_wall_clock_neither_ends_nor_extends_a_lease(
    store: Store, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = ask(1, 2)

    def set_clocks(wall_s: float, clock_s: float) -> None:
        monkeypatch.setattr(time, "time", lambda: wall_s)
        monkeypatch.setattr(time, "monotonic", lambda: clock_s)

    set_clocks(1e9, 500.0)
    assert store.lease_batch("ann", 10, 1) == [query]
    for wall_s in (2e9, 1.0):
        set_clocks(wall_s, 509.0)
        assert store.lease_batch("bob", 10, 1) == []
        assert store.leases() == [Lease(query, "ann", 510.0)]
    set_clocks(1e9, 510.0)
    assert store.leases() == []
    assert store.lease_batch("bob", 10, 1) == [query]


@pytest.mark.parametrize("now_s", [3.0, 505.0, 1000.0])
def test_a_lease_of_an_earlier_boot_has_lapsed(
    store: Store, ask: Ask, monkeypatch: pytest.MonkeyPatch, now_s: float
) -> None:
    query = ask(1, 2)
    monkeypatch.setattr(lease_table, "boot_id", lambda: "first")
    assert store.lease_batch("ann", lease_s=10, count=1, now_s=500) == [query]
    monkeypatch.setattr(lease_table, "boot_id", lambda: "second")
    assert store.leases(now_s=now_s) == []
    assert store.lease_batch("bob", lease_s=10, count=1, now_s=now_s) == [query]
    assert store.leases(now_s=now_s) == [Lease(query, "bob", now_s + 10)]


def test_a_look_at_the_clock_just_before_a_lease_was_granted_does_not_end_it(
    store: Store, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = ask(1, 2)
    monkeypatch.setattr(lease_table, "boot_id", lambda: "first")
    assert store.lease_batch("ann", lease_s=10, count=1, now_s=100.0) == [query]
    assert store.lease_batch("bob", lease_s=10, count=1, now_s=99.9) == []


def test_where_boots_have_no_name_a_lease_granted_later_than_now_is_an_earlier_boot_s(
    store: Store, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = ask(1, 2)
    monkeypatch.setattr(lease_table, "boot_id", lambda: "")
    assert store.lease_batch("ann", lease_s=10, count=1, now_s=500) == [query]
    assert store.lease_batch("bob", lease_s=10, count=1, now_s=3) == [query]
