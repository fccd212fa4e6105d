"""The table of leases: which annotator is being asked which open query now."""

from __future__ import annotations

from prefrl.storage.clock import boot_id, clock_s
from prefrl.storage.connection import Connection
from prefrl.storage.records import Lease

__all__ = ["LeaseTable"]

HOLDS = "l.boot = ? AND (l.boot != '' OR l.granted_s <= ?) AND l.expires_s > ?"
"""condition on a lease l, with the boot and the time twice: it has not lapsed. One granted later than now, where
boots have no name, is an earlier boot's"""


class LeaseTable:
    """The part of a `Store` that leases queries; all times are by `prefrl.storage.clock.clock_s`."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def lease_batch(
        self, annotator: str, lease_s: float, count: int, now_s: float | None = None
    ) -> list[int]:
        """Lease up to ``count`` open queries that no other annotator holds, and return their ids.

        Those that the annotator holds come first, renewed; then the oldest. A lapsed lease counts as none.
        """
        with self._db.write():
            # Only now: the wait for the lock may have been long.
            now_s = clock_s() if now_s is None else now_s
            rows = self._db.rows(
                f"SELECT q.id FROM queries q LEFT JOIN leases l ON l.query = q.id AND {HOLDS} "
                "WHERE q.is_open = 1 AND (l.query IS NULL OR l.annotator = ?) "
                "ORDER BY l.annotator IS NOT ?, q.id LIMIT ?",
                [boot_id(), now_s, now_s, annotator, annotator, count],
            )
            ids = [int(query_id) for (query_id,) in rows]
            self._db.run_many(
                "INSERT OR REPLACE INTO leases (query, annotator, boot, granted_s, expires_s) "
                "VALUES (?, ?, ?, ?, ?)",
                [(query_id, annotator, boot_id(), now_s, now_s + lease_s) for query_id in ids],
            )
        return ids

    def release(self, query_id: int, annotator: str) -> None:
        """Give the annotator's lease of this query back unanswered; harmless when there is none."""
        with self._db.write():
            self._db.run_many("DELETE FROM leases WHERE query = ? AND annotator = ?", [(query_id, annotator)])

    def leases(self, now_s: float | None = None) -> list[Lease]:
        """The leases that have not lapsed, by query."""
        with self._db.read():
            now_s = clock_s() if now_s is None else now_s
            rows = self._db.rows(
                f"SELECT query, annotator, expires_s FROM leases l WHERE {HOLDS} ORDER BY query",
                [boot_id(), now_s, now_s],
            )
        return [Lease(*row) for row in rows]
