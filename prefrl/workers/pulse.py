"""Signs of life: what a worker tells the others about itself."""

from __future__ import annotations

import os
import time

from prefrl.store import Store

__all__ = ["Pulse", "StopFlag"]

_SHORTEST_S = 0.5


class StopFlag:
    """Set by a signal handler; asked by loops. A plain attribute, so that setting it in a handler cannot deadlock."""

    def __init__(self) -> None:
        self.is_set = False

    def set(self, *_: object) -> None:
        """Ask for a stop; takes and ignores a signal handler's arguments."""
        self.is_set = True

    def sleep(self, seconds: float) -> None:
        """Sleep unless a stop was asked for."""
        if not self.is_set:
            time.sleep(seconds)


class Pulse:
    """Writes a worker's heartbeat into the store, at most twice a second unless its state changes."""

    def __init__(self, store: Store, worker: str) -> None:
        self._store, self._worker = store, worker
        self._last_s, self._state = 0.0, ""

    def beat(self, state: str, detail: str = "") -> None:
        """Say what the worker does ("acting", "waiting", ...) and, in a few words, on what."""
        now_s = time.monotonic()
        if state != self._state or now_s - self._last_s >= _SHORTEST_S:
            self._store.beat(self._worker, os.getpid(), state, detail)
            self._last_s, self._state = now_s, state
