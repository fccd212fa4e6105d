"""Episodes, counters and heartbeats."""

from __future__ import annotations

import math
import time

import pytest

from prefrl.storage import Episode, Store, StoreError, WorkerStatus, worker_tables


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


def test_a_jump_of_the_wall_clock_makes_no_worker_silent(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.beat("policy", 1, "acting", now_s=100)
    monkeypatch.setattr(time, "time", lambda: 1.0)
    (worker,) = store.workers(now_s=103)
    assert worker.beat_s == 100


@pytest.mark.parametrize("boots", [("first", "second"), ("", "")])
def test_a_beat_of_an_earlier_boot_is_dated_by_the_wall_clock(
    store: Store, monkeypatch: pytest.MonkeyPatch, boots: tuple[str, str]
) -> None:
    monkeypatch.setattr(worker_tables, "boot_id", lambda: boots[0])
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    store.beat("policy", 1, "acting", now_s=500)
    monkeypatch.setattr(worker_tables, "boot_id", lambda: boots[1])
    monkeypatch.setattr(time, "time", lambda: 1060.0)
    (worker,) = store.workers(now_s=20)
    assert worker.beat_s == -40, "a minute ago, which was before this boot"
