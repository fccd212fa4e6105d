"""The tables of the workers' state: finished episodes, named numbers, heartbeats."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from prefrl.storage.clock import boot_id, clock_s
from prefrl.storage.connection import Connection
from prefrl.storage.errors import check_finite
from prefrl.storage.records import Episode, WorkerStatus

__all__ = ["WorkerTables"]

EPISODES_KEPT = 1000


class WorkerTables:
    """The part of a `Store` that holds the workers' state."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add_episodes(self, episodes: Sequence[Episode]) -> None:
        """Add finished episodes, oldest first; the newest 1000 are kept, all are counted."""
        for episode in episodes:
            check_finite("an episode's true_return", episode.true_return)
        rows = [(int(e.policy_step), float(e.true_return), int(e.length_steps)) for e in episodes]
        with self._db.write():
            self._db.run_many(
                "INSERT INTO episodes (policy_step, true_return, length_steps) VALUES (?, ?, ?)", rows
            )
            newest = "SELECT max(sequence) FROM episodes"
            self._db.run_many(f"DELETE FROM episodes WHERE sequence <= ({newest}) - ?", [(EPISODES_KEPT,)])

    def recent_episodes(self, newest: int) -> list[Episode]:
        """The newest episodes, oldest first."""
        with self._db.read():
            rows = self._db.rows(
                "SELECT policy_step, true_return, length_steps FROM episodes ORDER BY sequence DESC LIMIT ?",
                [newest],
            )
        return [Episode(*row) for row in reversed(rows)]

    def episode_count(self) -> int:
        """Episodes ever added, those no longer kept included."""
        with self._db.read():
            return int(self._db.value("SELECT max(sequence) FROM episodes") or 0)

    def set_counters(self, counters: Mapping[str, float]) -> None:
        """Set named numbers such as policy_step; the latest value wins."""
        for name, value in counters.items():
            check_finite(f"counter {name}", value)
        rows = [(name, float(value)) for name, value in counters.items()]
        with self._db.write():
            self._db.run_many("INSERT OR REPLACE INTO counters VALUES (?, ?)", rows)

    def counters(self) -> dict[str, float]:
        """All named numbers."""
        with self._db.read():
            return dict(self._db.rows("SELECT name, value FROM counters ORDER BY name"))

    def beat(self, worker: str, pid: int, state: str, detail: str = "", now_s: float | None = None) -> None:
        """Record that a worker is alive and what it is doing.

        Args:
            now_s: by `prefrl.storage.clock.clock_s`, which is the default.
        """
        now_s = clock_s() if now_s is None else now_s
        with self._db.write():
            self._db.insert(
                "INSERT OR REPLACE INTO workers (name, pid, state, detail, beat_s, clock_s, boot) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (worker, pid, state, detail, time.time(), now_s, boot_id()),
            )

    def workers(self, now_s: float | None = None) -> list[WorkerStatus]:
        """The last heartbeat of every worker, by name.

        Args:
            now_s: by `prefrl.storage.clock.clock_s`, which is the default.
        """
        with self._db.read():
            now_s = clock_s() if now_s is None else now_s
            rows = self._db.rows(
                "SELECT name, pid, state, detail, beat_s, clock_s, boot FROM workers ORDER BY name"
            )
        return [
            WorkerStatus(name, pid, state, detail, _on_this_clock(wall_s, beat_s, boot, now_s))
            for name, pid, state, detail, wall_s, beat_s, boot in rows
        ]


def _on_this_clock(wall_s: float, beat_s: float, boot: str, now_s: float) -> float:
    """When a beat came by the clock of this boot; of an earlier boot only the wall clock tells."""
    if boot == boot_id() and (boot or beat_s <= now_s):
        return beat_s
    return now_s - max(0.0, time.time() - wall_s)
