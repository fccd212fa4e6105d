"""Signs of life: what a worker tells the others about itself."""

from __future__ import annotations

import os
import time

from prefrl.storage import Store
from prefrl.storage.clock import clock_s

__all__ = ["Heartbeat", "StopFlag", "annotator_heartbeat", "is_anybody_labelling"]

_SHORTEST_S = 0.5
_ANNOTATOR = "annotator "
_PRESENT_S = 5.0


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


def annotator_heartbeat(store: Store, name: str, pid: int, is_at_work: bool) -> None:
    """Say that a person sits at a viewer, and whether they are answering."""
    store.beat(_ANNOTATOR + name, pid, "labelling" if is_at_work else "away")


def is_anybody_labelling(store: Store) -> bool:
    """Whether a person was answering queries a few seconds ago."""
    now_s = clock_s()
    return any(
        worker.name.startswith(_ANNOTATOR)
        and worker.state == "labelling"
        and now_s - worker.beat_s < _PRESENT_S
        for worker in store.workers()
    )


class Heartbeat:
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
