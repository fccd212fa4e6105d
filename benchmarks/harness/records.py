"""Results as lines of JSON, appended to a file and never rewritten."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Key", "Record", "append_record", "by_job", "last_of_each", "read_records", "reportable"]

Key = tuple[str, str, int, str]
"""suite, job name, seed, config hash"""


@dataclass(frozen=True)
class Record:
    """One finished job, successful or failed."""

    suite: str
    job: str
    seed: int
    command: str
    env: Mapping[str, str]
    config: Mapping[str, Any]
    config_hash: str
    ok: bool
    metrics: Mapping[str, Any]
    curve: Sequence[Mapping[str, float]]
    error: str | None
    """the end of standard error and the reason, for a failed job"""
    wall_s: float
    """seconds for the whole command, including the start of Python"""
    started: str
    """UTC, ISO 8601 to the second"""
    versions: Mapping[str, str | None]
    machine: Mapping[str, str | int | float]
    git_commit: str | None

    @property
    def key(self) -> Key:
        return (self.suite, self.job, self.seed, self.config_hash)

    @property
    def task(self) -> str:
        return self.job.partition("/")[0]

    @property
    def method(self) -> str:
        return self.job.partition("/")[2] or self.job


def read_records(path: Path) -> list[Record]:
    """All records of a file, oldest first; none without a file. Raises ValueError on an invalid line."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [_read_line(line, f"{path.name}:{number}") for number, line in enumerate(lines, 1) if line.strip()]


def _read_line(line: str, where: str) -> Record:
    try:
        return Record(**json.loads(line))
    except (json.JSONDecodeError, TypeError) as error:
        raise ValueError(
            f"{where} is no benchmark record ({error}); delete that line and its job runs again"
        ) from error


def append_record(path: Path, record: Record) -> None:
    """Append one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record)) + "\n")


def last_of_each(records: Iterable[Record]) -> dict[Key, Record]:
    """The newest record of each key."""
    return {record.key: record for record in records}


def by_job(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Records grouped by job name, in the order in which the names first appear."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.job, []).append(record)
    return groups


def reportable(records: Iterable[Record]) -> list[Record]:
    """The newest record of each job and seed, without records of an older config than the job's newest one.

    Failed records are kept, so that a report can name them. Ordered by job name as they first appear, then by seed.
    """
    groups = by_job(records)
    current = {job: group[-1].config_hash for job, group in groups.items()}
    newest = last_of_each(record for group in groups.values() for record in group)
    kept = [record for record in newest.values() if record.config_hash == current[record.job]]
    order = list(groups)
    return sorted(kept, key=lambda record: (order.index(record.job), record.seed))
