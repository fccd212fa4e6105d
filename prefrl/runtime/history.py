"""History of a run from metrics.jsonl, read incrementally and downsampled to bounded size."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefrl.storage.metrics_file import read_metrics

__all__ = ["FreshCheck", "History", "MetricsHistory", "Point", "downsample", "steps_per_s"]

Record = dict[str, Any]
Point = tuple[int, float]
"""policy step and value"""

ANNOTATOR_ERROR = "annotator_error/"
"""prefix of the metrics of estimated annotator errors"""
MAX_POINTS = 512
RECENT_RECORDS = 10


@dataclass(frozen=True)
class FreshCheck:
    """Accuracy of the learned reward in use on comparisons it had not been trained on."""

    policy_step: int
    pairs: int
    """compared pairs of segments, ties left out"""
    right: float
    """pairs that the reward ordered as the answer did"""


@dataclass(frozen=True)
class History:
    """Metrics of a run over time, oldest first."""

    true_returns: tuple[Point, ...] = ()
    """mean true return of the agent's recent episodes"""
    predicted_rewards: tuple[Point, ...] = ()
    """mean learned reward per step"""
    fresh: tuple[FreshCheck, ...] = ()
    """one per reward update that had fresh comparisons"""
    annotator_errors: tuple[tuple[str, float], ...] = ()
    """annotator and newest estimate, where there is evidence"""
    accuracies: tuple[float, ...] = ()
    """validation accuracy of each reward version"""


class MetricsHistory:
    """Follows a metrics file."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0
        self._latest: dict[str, Record] = {}
        self._recent: deque[Record] = deque(maxlen=RECENT_RECORDS)
        self._returns: list[Point] = []
        self._predicted: list[Point] = []
        self._fresh: list[FreshCheck] = []
        self._accuracies: list[Point] = []

    def update(self) -> None:
        """Read the records appended since the last call."""
        records, self._offset = read_metrics(self._path, self._offset)
        for record in records:
            source = str(record.get("source", ""))
            known = {name: value for name, value in record.items() if value is not None}
            self._latest[source] = self._latest.get(source, {}) | known
            if source == "policy":
                self._add_policy(known)
            elif source == "reward":
                self._add_reward(known)

    def latest(self, source: str) -> Record:
        """The newest value of every metric that ``source`` has recorded."""
        return self._latest.get(source, {})

    @property
    def steps_per_s(self) -> float | None:
        """Recent speed of the policy, see the function `steps_per_s`."""
        return steps_per_s(list(self._recent))

    @property
    def history(self) -> History:
        """The history so far."""
        errors = {
            name.removeprefix(ANNOTATOR_ERROR): float(value)
            for name, value in self.latest("reward").items()
            if name.startswith(ANNOTATOR_ERROR)
        }
        return History(
            true_returns=tuple(self._returns),
            predicted_rewards=tuple(self._predicted),
            fresh=tuple(self._fresh),
            annotator_errors=tuple(sorted(errors.items())),
            accuracies=tuple(accuracy for _, accuracy in self._accuracies),
        )

    def _add_policy(self, record: Record) -> None:
        self._recent.append(record)
        step = int(record.get("policy_step", 0))
        for name, points in (("true_return", self._returns), ("predicted_reward", self._predicted)):
            if name in record:
                points.append((step, float(record[name])))
                points[:] = downsample(points, MAX_POINTS)

    def _add_reward(self, record: Record) -> None:
        if "accuracy_validation" in record:
            point = int(record.get("policy_step", 0)), float(record["accuracy_validation"])
            self._accuracies = downsample([*self._accuracies, point], MAX_POINTS)
        pairs = int(record.get("pairs_fresh", 0))
        if pairs:
            right = float(record["accuracy_fresh"]) * pairs
            self._fresh.append(FreshCheck(int(record.get("policy_step", 0)), pairs, right))


def steps_per_s(records: list[Record]) -> float | None:
    """Mean speed over consecutive policy records, each of which has the speed since the record before.

    Total steps over total time, so that waits count in full. None if no step was taken.
    """
    steps, seconds = 0.0, 0.0
    for earlier, later in itertools.pairwise(records):
        taken, speed = later["policy_step"] - earlier["policy_step"], later.get("steps_per_s", 0.0)
        # A restarted policy continues from an earlier step; such a pair is skipped.
        if taken > 0 and speed > 0:
            steps, seconds = steps + taken, seconds + taken / speed
    if seconds:
        return steps / seconds
    return next((record["steps_per_s"] for record in reversed(records) if record.get("steps_per_s")), None)


def downsample(points: list[Point], max_points: int) -> list[Point]:
    """The points, or if there are more than ``max_points``, the mean of every two neighbours."""
    if len(points) <= max_points:
        return points
    pairs = zip(points[::2], points[1::2], strict=False)
    merged = [(later[0], (earlier[1] + later[1]) / 2) for earlier, later in pairs]
    return merged + points[len(merged) * 2 :]
