"""Small records the store hands out."""

from __future__ import annotations

from dataclasses import dataclass

from prefrl.data.types import Query

__all__ = ["Counts", "Episode", "Lease", "PoolEntry", "QueryRecord", "WorkerStatus"]


@dataclass(frozen=True)
class PoolEntry:
    """A stored segment that a query may be built from, without its arrays."""

    id: str
    policy_step: int


@dataclass(frozen=True)
class QueryRecord:
    """A query by the ids of its segments, without their arrays; fields as in `prefrl.data.types.Query`."""

    segment_ids: tuple[str, ...]
    sampler: str = "uniform"
    score: float = 0.0
    policy_step: int = 0
    repeat_of: int | None = None
    id: int | None = None

    @classmethod
    def of(cls, query: Query) -> QueryRecord:
        """The record of a query."""
        ids = tuple(segment.id for segment in query.segments)
        return cls(ids, query.sampler, query.score, query.policy_step, query.repeat_of, query.id)


@dataclass(frozen=True)
class Lease:
    """A query that is put to an annotator now."""

    query_id: int
    annotator: str
    expires_s: float
    """by `prefrl.storage.clock.clock_s`"""


@dataclass(frozen=True)
class Counts:
    """How much the store holds."""

    segments: int
    unqueried: int
    """segments that no query refers to"""
    dropped_segments: int
    """unqueried segments deleted so far to bound the pool"""
    queries: int
    open_queries: int
    """queries nobody has answered"""
    comparisons: int
    """every row, superseded ones included"""
    labels: int
    """queries with an answer that counts and is not "can't tell"; answered by two people, a query is one label"""
    cant_tell: int
    """queries answered with "can't tell" alone"""


@dataclass(frozen=True)
class Episode:
    """A finished episode of the agent, for evaluation."""

    policy_step: int
    """environment steps the agent had taken, over all environments, when it ended"""
    true_return: float
    length_steps: int


@dataclass(frozen=True)
class WorkerStatus:
    """The last heartbeat of a worker process."""

    name: str
    pid: int
    state: str
    detail: str
    beat_s: float
    """by `prefrl.storage.clock.clock_s` of this boot, below 0 for one of an earlier boot"""
