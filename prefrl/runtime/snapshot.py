"""State of a run at one moment, read from its directory alone: running, finished, killed or half created.

Does not import torch, so that reading is fast.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np

from prefrl.config import ROLES, RunConfig
from prefrl.queries import LabelSchedule
from prefrl.runtime.history import History, MetricsHistory
from prefrl.runtime.liveness import WorkerView, view_worker
from prefrl.storage import Counts, Store, WorkerStatus
from prefrl.storage.clock import clock_s
from prefrl.storage.run_dir import RunDir

__all__ = ["RunSnapshot", "SnapshotReader", "read_snapshot"]

RECENT_EPISODES = 20

_NO_COUNTS = Counts(0, 0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True)
class RunSnapshot:
    """A run at one moment. Numbers that are not known yet are None."""

    path: Path
    config: RunConfig
    workers: tuple[WorkerView, ...]
    """policy, oracle and reward, then others that have written a heartbeat"""
    counts: Counts = _NO_COUNTS
    """of the store: queries asked, labels given, "can't tell" answers, dropped segments"""
    is_launched: bool = False
    """whether the reader is the launcher, which starts workers that are missing"""
    is_finished: bool = False
    """whether the result has been written"""
    policy_step: int = 0
    wall_s: float = 0.0
    """seconds of work on the run, over all launches"""
    steps_per_s: float | None = None
    """over the last few records of the policy, waits included"""
    true_return: float | None = None
    """mean over the last 20 training episodes"""
    predicted_reward: float | None = None
    """mean learned reward per step in the newest rollout"""
    due_labels: int = 0
    label_lag: int = 0
    """due labels that the learned reward was not trained on"""
    initial_labels: int = 0
    """labels asked for before training starts"""
    initial_segments: int = 0
    """segments to record before the first query"""
    oldest_open_s: float | None = None
    """age of the oldest unanswered query in seconds"""
    reward_version: int = 0
    staleness_steps: int | None = None
    """policy steps since the newest learned reward was fitted"""
    accuracy_train: float | None = None
    accuracy_validation: float | None = None
    accuracy_fresh: float | None = None
    """share of the newest comparisons that the reward predicted right before it was trained on them"""
    correlation_true: float | None = None
    """correlation of predicted and true reward per step, on the newest segments"""
    history: History = field(default_factory=History)

    @property
    def state(self) -> Literal["not started", "starting", "running", "finished", "stopped"]:
        """State of the whole run; "stopped" includes killed."""
        lives = {worker.life for worker in self.workers if worker.name in ROLES}
        if self.is_finished:
            return "finished"
        if lives == {"not started"}:
            return "starting" if self.is_launched else "not started"
        return "running" if self.is_launched or lives & {"alive", "silent"} else "stopped"

    @property
    def time_left_s(self) -> float | None:
        """Seconds to the last step at the current speed; None if unknown."""
        steps_left = max(0, self.config.steps - self.policy_step)
        return steps_left / self.steps_per_s if self.steps_per_s and self.state == "running" else None

    def worker(self, name: str) -> WorkerView:
        """The worker of this name."""
        return next((worker for worker in self.workers if worker.name == name), WorkerView(name))


class SnapshotReader:
    """Reads snapshots of a run one after another. Each read covers only what is new in the metrics.

    Args:
        run: its directory; the store may not exist yet.
        launched_s: for a launcher, when it started, by `prefrl.storage.clock.clock_s`; earlier heartbeats are ignored.
    """

    def __init__(self, run: RunDir, launched_s: float | None = None) -> None:
        self._run, self._launched_s = run, launched_s
        self._config = run.config()
        self._metrics = MetricsHistory(run.metrics)
        self._store: Store | None = None

    def read(self, now_s: float | None = None) -> RunSnapshot:
        """The current state of the run.

        Raises:
            StoreError: if the store cannot be read.
        """
        now_s = clock_s() if now_s is None else now_s
        self._metrics.update()
        if self._store is None and _is_created(self._run.store):
            self._store = Store.open(self._run.store)
        if self._store is None:
            return RunSnapshot(self._run.path, self._config, tuple(WorkerView(name) for name in ROLES))
        return self._snapshot(self._store, now_s)

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()

    def __enter__(self) -> SnapshotReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _snapshot(self, store: Store, now_s: float) -> RunSnapshot:
        counts, counters = store.counts(), store.counters()
        returns = [episode.true_return for episode in store.recent_episodes(RECENT_EPISODES)]
        asked_s = store.oldest_open_s()
        schedule = LabelSchedule(self._config.labels, self._config.steps, self._config.schedule)
        queries, runtime = self._config.queries, self._config.runtime
        policy, reward = self._metrics.latest("policy"), self._metrics.latest("reward")
        is_finished = self._run.result.exists()
        due = int(counters.get("due_labels", 0))
        step, version = int(counters.get("policy_step", 0)), int(counters.get("reward_version", 0))
        return RunSnapshot(
            path=self._run.path,
            config=self._config,
            workers=self._workers(store.workers(now_s), now_s, is_finished),
            counts=counts,
            is_launched=self._launched_s is not None,
            is_finished=is_finished,
            policy_step=step,
            wall_s=counters.get("wall_s", 0.0),
            steps_per_s=self._metrics.steps_per_s,
            true_return=float(np.mean(returns)) if returns else None,
            predicted_reward=policy.get("predicted_reward"),
            due_labels=due,
            label_lag=max(0, due - int(counters.get("reward_labels", 0)) - counts.cant_tell),
            initial_labels=schedule.initial,
            initial_segments=schedule.initial_segments(
                queries.items, min(runtime.pool_segments, queries.window_segments)
            ),
            oldest_open_s=None if asked_s is None else max(0.0, time.time() - asked_s),
            reward_version=version,
            staleness_steps=max(0, step - int(counters.get("reward_step", 0))) if version else None,
            accuracy_train=reward.get("accuracy_train"),
            accuracy_validation=reward.get("accuracy_validation"),
            accuracy_fresh=reward.get("accuracy_fresh"),
            correlation_true=reward.get("correlation_true"),
            history=self._metrics.history,
        )

    def _workers(self, beats: list[WorkerStatus], now_s: float, is_finished: bool) -> tuple[WorkerView, ...]:
        seen = {
            beat.name: view_worker(beat, now_s, is_finished)
            for beat in beats
            if self._launched_s is None or beat.beat_s >= self._launched_s
        }
        roles = {name: WorkerView(name) for name in ROLES}
        return tuple((roles | seen).values())


def read_snapshot(run: RunDir, now_s: float | None = None) -> RunSnapshot:
    """One snapshot of a run; see `SnapshotReader`."""
    with SnapshotReader(run) as reader:
        return reader.read(now_s)


def _is_created(store: Path) -> bool:
    """Whether the store exists and is not the empty file that a process killed during creation leaves."""
    return store.exists() and store.stat().st_size > 0
