"""Which files are opened, and what is said of the others."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from prefrl.data.clips import Clip, encode_clip
from prefrl.data.types import Comparison, Segment
from prefrl.storage import Counts, Episode, Lease, Store, StoreError, WorkerStatus
from prefrl.storage.schema import SCHEMA_VERSION


def run_sql(path: Path, *statements: str) -> None:
    """As another program would, with a connection of its own."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "it's a #store?.sqlite"
    Store.open(path, create=True).close()
    return path


def test_a_store_is_there_again_with_or_without_create(
    path: Path, make_segment: Callable[..., Segment]
) -> None:
    with Store.open(path) as store:
        store.add_segments([make_segment(1)], keep_unqueried=10)
    with Store.open(path, create=True) as store:
        assert store.counts().segments == 1


def test_a_missing_file_is_not_made_unasked(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        Store.open(tmp_path / "none.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder"):
        Store.open(tmp_path, create=True)


def test_a_folder_that_cannot_hold_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere.*check that the folder exists"):
        Store.open(tmp_path / "nowhere" / "store.sqlite", create=True)


def test_what_a_creator_killed_early_leaves_is_filled_only_with_create(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.touch()
    with pytest.raises(StoreError, match="is empty"):
        Store.open(path)
    run_sql(path, "PRAGMA journal_mode = WAL")
    with Store.open(path, create=True) as store:
        assert store.counts().segments == 0


def test_an_unknown_schema_version_is_refused(path: Path) -> None:
    run_sql(path, "UPDATE meta SET value = 99 WHERE key = 'schema_version'")
    with pytest.raises(
        StoreError, match=rf"schema version 99.*knows 1 to {SCHEMA_VERSION}.*export"
    ) as caught:
        Store.open(path)
    assert str(path) in str(caught.value)


def test_another_program_s_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "photos.sqlite"
    run_sql(path, "CREATE TABLE photos (name)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        Store.open(path, create=True)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 1000)
    with pytest.raises(StoreError, match="no SQLite file"):
        Store.open(path, create=True)
    assert path.read_text().startswith("dear diary")


def test_a_damaged_file_is_told(path: Path, make_segment: Callable[..., Segment]) -> None:
    with Store.open(path) as store:
        store.add_segments([make_segment(number, steps=200) for number in range(20)], keep_unqueried=100)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"damaged; restore it"), Store.open(path) as store:
        store.pool(20)


def test_a_full_disk_is_told_and_nothing_is_half_done(
    store: Store, make_segment: Callable[..., Segment]
) -> None:
    store._db.value("PRAGMA max_page_count = 60")
    with pytest.raises(StoreError, match="disk is full; free some space"):
        store.add_segments([make_segment(number, steps=3000) for number in range(20)], keep_unqueried=100)
    assert store.counts().segments == 0
    store.beat("policy", 1, "alive")


def test_a_file_that_may_not_be_written_is_told(store: Store) -> None:
    store._db.value("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="may not be written"):
        store.set_counters({"policy_step": 1})


def test_a_lock_held_for_ever_is_told(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("prefrl.storage.connection.BUSY_TIMEOUT_S", 0.0)
    monkeypatch.setattr("prefrl.storage.connection.GIVE_UP_S", 0.02)
    with Store.open(tmp_path / "store.sqlite") as other, store.transaction():
        assert other.counters() == {}  # readers do not wait
        with pytest.raises(StoreError, match="another process held the lock"):
            other.set_counters({"policy_step": 1})


def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="open it again"):
        store.counts()


def test_a_transaction_is_undone_whole(store: Store, make_segment: Callable[..., Segment]) -> None:
    def add_both() -> None:
        with store.transaction():
            store.add_segments([make_segment(1)], keep_unqueried=10)
            store.add_comparisons([Comparison(5, (1, 2))])

    with pytest.raises(StoreError, match="query 5"):
        add_both()
    assert store.counts().segments == 0


def test_answers_wait_for_the_disk_and_heartbeats_do_not(store: Store, ask: Callable[..., int]) -> None:
    full, normal = 2, 1
    store.add_comparisons([Comparison(ask(1, 2), (1, 2))])
    assert store._db.value("PRAGMA synchronous") == full
    store.beat("policy", 1, "alive")
    assert store._db.value("PRAGMA synchronous") == normal


# Stores of earlier releases


@pytest.fixture
def first_release(tmp_path: Path) -> Path:
    """A store made by the first release (schema version 2): see what the next test expects of it."""
    path = tmp_path / "first_release.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(Path(__file__).with_name("store_of_first_release.sql").read_text())
    return path


def test_a_store_of_the_first_release_opens_with_all_it_holds(
    first_release: Path, make_segment: Callable[..., Segment]
) -> None:
    segments = [make_segment(number, steps=2) for number in range(5)]
    for _ in range(2):  # the second time it is up to date
        with Store.open(first_release) as store:
            assert store.segments([segment.id for segment in segments]) == segments
            assert store.query(2).segments == (segments[1], segments[2])
            answers = [(c.query_id, c.annotator, c.ranks, c.time_s) for c in store.comparisons()]
            assert answers == [
                (1, "ann", (1, 2), 1000.0),
                (1, "bob", (2, 1), 1001.0),
                (2, "ann", (1, 1), 1002.0),
                (2, "ann", None, 1003.0),
            ]
            assert store.counts() == Counts(5, 1, 0, 3, 1, 4, 1, 1)
            assert store.clip(segments[0].id) is not None
            assert store.counters() == {"policy_step": 400}
            assert store.recent_episodes(9) == [Episode(100, 1.5, 20)]
            (worker,) = store.workers(now_s=50.0)
            assert (worker.name, worker.pid, worker.state, worker.detail) == (
                "policy",
                1,
                "acting",
                "step 400",
            )
            assert worker.beat_s < 0, "of an earlier boot"
            assert store._db.rows("PRAGMA foreign_key_check") == []


def test_a_store_of_the_first_release_can_be_worked_on(first_release: Path) -> None:
    with Store.open(first_release) as store:
        assert store.leases() == [], "those timed by the wall clock have lapsed"
        assert store.lease_batch("bob", 10, 5, now_s=100) == [3]
        assert store.leases(now_s=101) == [Lease(3, "bob", 110)]
        assert store.add_comparisons([Comparison(3, (1, 2), "bob")]) == [5]
        assert store.leases(now_s=102) == []
        store.beat("policy", 2, "stopped", now_s=103)
        assert store.workers(now_s=104) == [WorkerStatus("policy", 2, "stopped", "", 103)]
        assert store.counts().labels == 2
        with pytest.raises(StoreError, match="append-only"), store.transaction():
            store._db.run_many("DELETE FROM comparisons WHERE id = ?", [(1,)])


def test_the_tables_of_an_updated_store_are_those_of_a_new_one(first_release: Path, path: Path) -> None:
    def columns(store: Store) -> dict[str, list[object]]:
        tables = [name for (name,) in store._db.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: [row[1:3] for row in store._db.rows(f"PRAGMA table_info({name})")] for name in tables}

    with Store.open(first_release) as old, Store.open(path) as new:
        assert columns(old) == columns(new)


def test_a_store_without_clips_is_brought_up_to_date(
    first_release: Path, make_segment: Callable[..., Segment]
) -> None:
    run_sql(first_release, "DROP TABLE clips", "UPDATE meta SET value = 1 WHERE key = 'schema_version'")
    segment = make_segment(0, steps=2)
    with Store.open(first_release) as store:
        assert store.clip(segment.id) is None
        clip = Clip(states=np.zeros((3, 2)))
        store.add_segments([segment], keep_unqueried=10, clips={segment.id: encode_clip(clip)})
        assert store.clip(segment.id) is not None
