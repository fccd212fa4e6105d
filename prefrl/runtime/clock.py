"""Measures the wall time of a run, over all launches."""

from __future__ import annotations

import time
from types import TracebackType

from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir

__all__ = ["WallClock"]


class WallClock:
    """Updates the counter ``wall_s`` in the store until the agent has taken its last step."""

    def __init__(self, run: RunDir) -> None:
        self._store = Store.open(run.store)
        self._last_s = time.monotonic()

    def tick(self) -> None:
        """Add the time since the last tick."""
        now_s = time.monotonic()
        counters = self._store.counters()
        if not counters.get("trained"):
            self._store.set_counters({"wall_s": counters.get("wall_s", 0.0) + now_s - self._last_s})
        self._last_s = now_s

    def __enter__(self) -> WallClock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.close()
