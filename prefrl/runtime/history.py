"""What metrics.jsonl tells, read as it grows and kept short however long the run."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefrl.storage.metrics_file import read_metrics

__all__ = ["Fresh", "History", "MetricsHistory", "Point", "steps_per_s", "thinned"]

Record = dict[str, Any]
Point = tuple[int, float]
"""policy step and value"""

ANNOTATOR_ERROR = "annotator_error/"
"""what the names of estimated errors begin with"""
MOST_POINTS = 512
RECENT_RECORDS = 10


@dataclass(frozen=True)
class Fresh:
    """How the learned reward in force did on comparisons it had not been trained on."""

    policy_step: int
    pairs: int
    """compared segments, ties left out"""
    right: float
    """of these, in the order the reward predicted"""


@dataclass(frozen=True)
class History:
    """The course of a run so far, oldest first."""

    true_returns: tuple[Point, ...] = ()
    """mean true return of the agent's recent episodes"""
    predicted_rewards: tuple[Point, ...] = ()
    """mean learned reward a step"""
    fresh: tuple[Fresh, ...] = ()
    """one for each update of the reward that had comparisons to check it on"""
    annotator_errors: tuple[tuple[str, float], ...] = ()
    """newest estimate by annotator, where there is evidence"""
    accuracies: tuple[float, ...] = ()
    """held-out accuracy of the versions of the reward"""


class MetricsHistory:
    """Follows a metrics file; `update` reads what was appended since."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0
        self._latest: dict[str, Record] = {}
        self._recent: deque[Record] = deque(maxlen=RECENT_RECORDS)
        self._returns: list[Point] = []
        self._predicted: list[Point] = []
        self._fresh: list[Fresh] = []
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
        """The newest value of everything this source has recorded."""
        return self._latest.get(source, {})

    @property
    def steps_per_s(self) -> float | None:
        """Recent speed of the policy, see `steps_per_s`."""
        return steps_per_s(list(self._recent))

    @property
    def history(self) -> History:
        """The course so far."""
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
                points[:] = thinned(points, MOST_POINTS)

    def _add_reward(self, record: Record) -> None:
        if "accuracy_validation" in record:
            point = int(record.get("policy_step", 0)), float(record["accuracy_validation"])
            self._accuracies = thinned([*self._accuracies, point], MOST_POINTS)
        pairs = int(record.get("pairs_fresh", 0))
        if pairs:
            right = float(record["accuracy_fresh"]) * pairs
            self._fresh.append(Fresh(int(record.get("policy_step", 0)), pairs, right))


def steps_per_s(records: list[Record]) -> float | None:
    """Mean speed over consecutive policy records, each of which has the speed since the one before.

    None where no step was taken; steps are weighed by the time they took, so that waits count in full.
    """
    steps, seconds = 0.0, 0.0
    for earlier, later in itertools.pairwise(records):
        taken, speed = later["policy_step"] - earlier["policy_step"], later.get("steps_per_s", 0.0)
        # A restarted policy goes back to its last checkpoint: nothing to learn from that pair.
        if taken > 0 and speed > 0:
            steps, seconds = steps + taken, seconds + taken / speed
    if seconds:
        return steps / seconds
    return next((record["steps_per_s"] for record in reversed(records) if record.get("steps_per_s")), None)


def thinned(points: list[Point], most: int) -> list[Point]:
    """The same course in at most ``most`` points: beyond it, every two neighbours become their mean."""
    if len(points) <= most:
        return points
    pairs = zip(points[::2], points[1::2], strict=False)
    merged = [(later[0], (earlier[1] + later[1]) / 2) for earlier, later in pairs]
    return merged + points[len(merged) * 2 :]
