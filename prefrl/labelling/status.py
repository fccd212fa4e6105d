"""How a run stands, for the person who labels it, and a word to the run that they are there."""

from __future__ import annotations

import os
import threading
import time
from collections import deque

from prefrl.loop import annotator_heartbeat
from prefrl.runtime.snapshot import RunSnapshot, SnapshotReader
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir
from prefrl.viewer.labelling import LabellingStatus
from prefrl.viewer.panel import LabellingStats

__all__ = ["StatusReader"]

_READ_EVERY_S = 1.0
_RATE_OVER_S = 120.0


class StatusReader:
    """Reads how the run stands, and tells it that somebody is there, in a thread of its own."""

    def __init__(self, run: RunDir, annotator: str) -> None:
        self._run, self._annotator = run, annotator
        self.is_at_work = False
        """whether the person is answering"""
        self._rates: deque[tuple[float, int]] = deque()
        self._start = self._labels_of_mine()
        self._learned: tuple[float, float] | None = None
        with SnapshotReader(run) as reader:
            self._newest = self._situation(reader.read(), 0)
        self._error: BaseException | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="situations", daemon=True)
        self._thread.start()

    def newest(self) -> LabellingStatus:
        """How the run stood a moment ago."""
        if self._error is not None:
            raise self._error
        return self._newest

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join()

    def _follow(self) -> None:
        try:
            with SnapshotReader(self._run) as reader, Store.open(self._run.store) as store:
                while not self._closing.wait(_READ_EVERY_S):
                    annotator_heartbeat(store, self._annotator, os.getpid(), self.is_at_work)
                    self._newest = self._situation(reader.read(), self.labels_given())
                annotator_heartbeat(store, self._annotator, os.getpid(), False)
        except BaseException as error:
            # Raised again where the window is.
            self._error = error

    def labels_given(self) -> int:
        """Labels given since the window was opened; an older one may have become a "can't tell"."""
        return max(0, self._labels_of_mine() - self._start)

    def _labels_of_mine(self) -> int:
        with Store.open(self._run.store) as store:
            return store.label_counts().get(self._annotator, 0)

    def _leases_of_others(self) -> int:
        with Store.open(self._run.store) as store:
            return sum(lease.annotator != self._annotator for lease in store.leases())

    def _situation(self, snapshot: RunSnapshot, mine: int) -> LabellingStatus:
        now_s = time.monotonic()
        self._rates.append((now_s, mine))
        while now_s - self._rates[0][0] > _RATE_OVER_S:
            self._rates.popleft()
        elapsed_s = now_s - self._rates[0][0]
        rate = (mine - self._rates[0][1]) / elapsed_s * 60 if elapsed_s > 5 else None
        policy = snapshot.worker("policy")
        figures = LabellingStats(
            mine=mine,
            given=snapshot.counts.labels,
            due=snapshot.due_labels,
            budget=snapshot.config.labels,
            minute_rate=rate,
            learned_s=self._learned_s(snapshot),
            accuracies=snapshot.history.accuracies,
            policy="acting"
            if policy.state == "acting"
            else f"{policy.state or policy.life} {policy.detail}".strip(),
            step=snapshot.policy_step,
            steps=snapshot.config.steps,
        )
        is_over = snapshot.is_finished or snapshot.counts.labels >= snapshot.config.labels
        return LabellingStatus(figures, _waits_for(snapshot, self._leases_of_others()), is_over)

    def _learned_s(self, snapshot: RunSnapshot) -> float | None:
        """Seconds since the reward last learned from new labels, seen from here."""
        now_s, version = time.monotonic(), float(snapshot.reward_version)
        if not version:
            return None
        if self._learned is None or self._learned[0] != version:
            self._learned = version, now_s
        return round(now_s - self._learned[1])


def _waits_for(snapshot: RunSnapshot, leases_of_others: int) -> str:
    """Why there may be nothing to answer, in plain words."""
    counts, needed = snapshot.counts, snapshot.initial_segments
    if snapshot.state in ("not started", "stopped"):
        return f"Nobody works on this run. Start it with: prefrl resume {snapshot.path}"
    if counts.queries == 0 and counts.segments < needed:
        return f"Collecting the first clips: {counts.segments} of {needed}."
    if counts.open_queries > leases_of_others:
        return "Your next clips are being drawn."
    if counts.open_queries:
        return "Other people are answering the queries there are."
    if snapshot.due_labels <= counts.labels:
        return "All labels due by now are given. The agent goes on, and will have something new to show soon."
    return "The next queries are being chosen."
