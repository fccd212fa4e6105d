"""Progress of a run as shown to the person who labels it, and the annotator's heartbeat."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import dataclass

from prefrl.loop import annotator_heartbeat
from prefrl.runtime.diagnostics import how_to_continue
from prefrl.runtime.snapshot import RunSnapshot, SnapshotReader
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir

__all__ = ["LabellingStats", "LabellingStatus", "StatusReader"]

_READ_EVERY_S = 1.0
_RATE_WINDOW_S = 120.0
_MIN_RATE_WINDOW_S = 5.0


@dataclass(frozen=True)
class LabellingStats:
    """Figures shown beside a query; None if not known yet."""

    mine: int
    """labels given in this session"""
    given: int
    """labels given by everybody"""
    due: int
    """labels due by now"""
    budget: int
    """labels in all"""
    labels_per_minute: float | None
    """in this session"""
    reward_age_s: float | None
    """seconds since the reward model was last updated"""
    accuracies: tuple[float, ...]
    """validation accuracy of each reward version so far, in [0, 1]"""
    policy: str
    """what the policy process is doing"""
    step: int
    """environment steps so far"""
    total_steps: int
    """environment steps of the whole run"""
    true_return: float | None = None
    """mean of the newest episodes; only where the annotator may know it"""


@dataclass(frozen=True)
class LabellingStatus:
    """What a front end shows about the run."""

    stats: LabellingStats
    waiting_reason: str
    """why there may be no query to answer"""
    is_done: bool = False
    """whether no more labels are needed"""


class StatusReader:
    """Reads the status of a run, and writes the annotator's heartbeat, in a background thread.

    Args:
        run: its directory.
        annotator: name of the person who labels.
    """

    def __init__(self, run: RunDir, annotator: str) -> None:
        self._run, self._annotator = run, annotator
        self.is_at_work = False
        """whether the person is answering queries now; set by the front end, reported by the heartbeat"""
        self._label_history: deque[tuple[float, int]] = deque()
        self._reward_seen: tuple[float, float] | None = None
        """newest reward version, and when it was first seen"""
        with SnapshotReader(run) as reader, Store.open(run.store) as store:
            self._labels_at_start = self._own_labels(store)
            self._newest = self._read(reader, store)
        self._error: BaseException | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run_thread, name="labelling-status", daemon=True)
        self._thread.start()

    def newest(self) -> LabellingStatus:
        """The newest status, at most about a second old.

        Raises:
            Exception: whatever stopped the background thread.
        """
        if self._error is not None:
            raise self._error
        return self._newest

    def labels_given(self) -> int:
        """Labels given in this session. 0 at least: an older label may have been changed to "can't tell"."""
        with Store.open(self._run.store) as store:
            return self._labels_given(store)

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._thread.join()

    def _run_thread(self) -> None:
        try:
            with SnapshotReader(self._run) as reader, Store.open(self._run.store) as store:
                while not self._closing.wait(_READ_EVERY_S):
                    annotator_heartbeat(store, self._annotator, os.getpid(), self.is_at_work)
                    self._newest = self._read(reader, store)
                annotator_heartbeat(store, self._annotator, os.getpid(), False)
        except BaseException as error:
            # Raised again in the front end's thread, by `newest`.
            self._error = error

    def _read(self, reader: SnapshotReader, store: Store) -> LabellingStatus:
        snapshot, mine = reader.read(), self._labels_given(store)
        policy = snapshot.worker("policy")
        stats = LabellingStats(
            mine=mine,
            given=snapshot.counts.labels,
            due=snapshot.due_labels,
            budget=snapshot.config.labels,
            labels_per_minute=self._labels_per_minute(mine),
            reward_age_s=self._reward_age_s(snapshot),
            accuracies=snapshot.history.accuracies,
            policy="acting"
            if policy.state == "acting"
            else f"{policy.state or policy.life} {policy.detail}".strip(),
            step=snapshot.policy_step,
            total_steps=snapshot.config.steps,
        )
        leased_by_others = sum(lease.annotator != self._annotator for lease in store.leases())
        is_done = snapshot.is_finished or snapshot.counts.labels >= snapshot.config.labels
        return LabellingStatus(stats, _waiting_reason(snapshot, leased_by_others), is_done)

    def _own_labels(self, store: Store) -> int:
        return store.label_counts().get(self._annotator, 0)

    def _labels_given(self, store: Store) -> int:
        return max(0, self._own_labels(store) - self._labels_at_start)

    def _labels_per_minute(self, mine: int) -> float | None:
        """Over the last two minutes; None in the first seconds."""
        now_s = time.monotonic()
        self._label_history.append((now_s, mine))
        while now_s - self._label_history[0][0] > _RATE_WINDOW_S:
            self._label_history.popleft()
        first_s, first_labels = self._label_history[0]
        elapsed_s = now_s - first_s
        return (mine - first_labels) / elapsed_s * 60 if elapsed_s > _MIN_RATE_WINDOW_S else None

    def _reward_age_s(self, snapshot: RunSnapshot) -> float | None:
        """Seconds since this process first saw the newest reward version."""
        now_s, version = time.monotonic(), float(snapshot.reward_version)
        if not version:
            return None
        if self._reward_seen is None or self._reward_seen[0] != version:
            self._reward_seen = version, now_s
        return round(now_s - self._reward_seen[1])


def _waiting_reason(snapshot: RunSnapshot, leased_by_others: int) -> str:
    """Why there may be no query to answer, in plain words."""
    counts, needed = snapshot.counts, snapshot.initial_segments
    if snapshot.state in ("not started", "stopped"):
        return f"This run is not running. To continue it, {how_to_continue(snapshot.path, snapshot.config)}."
    if counts.queries == 0 and counts.segments < needed:
        return f"Collecting the first clips: {counts.segments} of {needed}."
    if counts.open_queries > leased_by_others:
        return "Your next clips are being prepared."
    if counts.open_queries:
        return "Other people are answering all open queries."
    if snapshot.due_labels <= counts.labels:
        return "All labels due so far are given. The agent keeps training, and new clips will follow."
    return "The next queries are being selected."
