"""The tables of a store, and which files are ours."""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "STATEMENTS", "UPDATES"]

APPLICATION_ID = int.from_bytes(b"PREF", "big")
"""in the header of every file of ours, so that other programs' databases are told apart"""

SCHEMA_VERSION = 3
"""raise it with every change of `STATEMENTS`, and add to `UPDATES`"""

CLIPS = """CREATE TABLE clips (
    segment INTEGER PRIMARY KEY REFERENCES segments (sequence) ON DELETE CASCADE,
    payload BLOB NOT NULL
)"""
"""what people see of segments, of those that can be shown; gone when its segment is"""

LEASES = """CREATE TABLE leases (
    query INTEGER PRIMARY KEY REFERENCES queries (id),
    annotator TEXT NOT NULL,
    boot TEXT NOT NULL,
    granted_s REAL NOT NULL,
    expires_s REAL NOT NULL
)"""
"""times are those of `prefrl.storage.clock` since that boot"""

STATEMENTS = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    f"INSERT INTO meta VALUES ('schema_version', {SCHEMA_VERSION}), ('dropped_segments', 0)",
    # The payload comes last, so that the other columns are read without its overflow pages.
    """CREATE TABLE segments (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        policy_step INTEGER NOT NULL,
        is_queried INTEGER NOT NULL DEFAULT 0,
        payload BLOB NOT NULL
    )""",
    "CREATE INDEX segments_unqueried ON segments (sequence) WHERE is_queried = 0",
    CLIPS,
    """CREATE TABLE queries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sampler TEXT NOT NULL,
        score REAL NOT NULL,
        policy_step INTEGER NOT NULL,
        repeat_of INTEGER REFERENCES queries (id),
        is_open INTEGER NOT NULL DEFAULT 1,
        asked_s REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0)
    )""",
    "CREATE INDEX queries_open ON queries (id) WHERE is_open = 1",
    """CREATE TABLE query_items (
        query INTEGER NOT NULL REFERENCES queries (id),
        position INTEGER NOT NULL,
        segment INTEGER NOT NULL REFERENCES segments (sequence),
        PRIMARY KEY (query, position)
    ) WITHOUT ROWID""",
    "CREATE INDEX query_items_segment ON query_items (segment)",
    """CREATE TRIGGER segment_is_queried AFTER INSERT ON query_items BEGIN
        UPDATE segments SET is_queried = 1 WHERE sequence = NEW.segment AND is_queried = 0;
    END""",
    LEASES,
    # Unique supersedes: an answer is replaced once, so the answers that count are those nobody supersedes.
    """CREATE TABLE comparisons (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        query INTEGER NOT NULL REFERENCES queries (id),
        ranks TEXT,
        annotator TEXT NOT NULL,
        latency_s REAL NOT NULL,
        time_s REAL NOT NULL,
        supersedes INTEGER UNIQUE REFERENCES comparisons (id)
    )""",
    "CREATE INDEX comparisons_query ON comparisons (query, annotator)",
    "CREATE INDEX comparisons_cant_tell ON comparisons (id) WHERE ranks IS NULL",
    """CREATE TRIGGER comparison_closes_query AFTER INSERT ON comparisons BEGIN
        UPDATE queries SET is_open = 0 WHERE id = NEW.query AND is_open = 1;
        DELETE FROM leases WHERE query = NEW.query;
    END""",
    """CREATE TRIGGER comparisons_never_change BEFORE UPDATE ON comparisons BEGIN
        SELECT RAISE(ABORT, 'comparisons are append-only');
    END""",
    """CREATE TRIGGER comparisons_never_go BEFORE DELETE ON comparisons BEGIN
        SELECT RAISE(ABORT, 'comparisons are append-only');
    END""",
    # INSERT OR REPLACE deletes the row in its way without firing the trigger above.
    """CREATE TRIGGER comparisons_are_never_replaced BEFORE INSERT ON comparisons
        WHEN EXISTS (SELECT 1 FROM comparisons WHERE id = NEW.id OR supersedes = NEW.supersedes) BEGIN
        SELECT RAISE(ABORT, 'comparisons are append-only');
    END""",
    """CREATE TABLE episodes (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        policy_step INTEGER NOT NULL,
        true_return REAL NOT NULL,
        length_steps INTEGER NOT NULL
    )""",
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID",
    # A beat's time by the wall clock, and by `prefrl.storage.clock` since the boot named.
    """CREATE TABLE workers (
        name TEXT PRIMARY KEY,
        pid INTEGER NOT NULL,
        state TEXT NOT NULL,
        detail TEXT NOT NULL,
        beat_s REAL NOT NULL,
        clock_s REAL NOT NULL,
        boot TEXT NOT NULL
    ) WITHOUT ROWID""",
)

UPDATES = {
    1: (CLIPS, "UPDATE meta SET value = 2 WHERE key = 'schema_version'"),
    # Leases were timed by the wall clock: those there lapse, and their queries are open to all.
    2: (
        "DROP TABLE leases",
        LEASES,
        "ALTER TABLE workers ADD COLUMN clock_s REAL NOT NULL DEFAULT 0",
        "ALTER TABLE workers ADD COLUMN boot TEXT NOT NULL DEFAULT 'not recorded'",
        "UPDATE meta SET value = 3 WHERE key = 'schema_version'",
    ),
}
"""statements by the version that they update; each brings a store to the next"""
