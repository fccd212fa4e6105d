"""The main data types of the package: segments, queries and comparisons.

Legend of array shapes in the whole package: B batch, K items of a query, T steps of a segment, E ensemble members,
N environments, F features.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

__all__ = ["CANT_TELL", "Comparison", "Evaluation", "LabelledQuery", "Provenance", "Query", "Segment"]

CANT_TELL: None = None
"""The ``ranks`` of a "can't tell" answer; distinct from a tie, which has equal ranks."""


@dataclass(frozen=True)
class Provenance:
    """Where a segment comes from."""

    env_id: str
    seed: int
    policy_step: int
    """environment steps the agent had taken, over all environments, when the segment ended"""
    reward_version: int
    """version of the learned reward that the agent was trained on at that time; 0 before the first"""


@dataclass(frozen=True, eq=False)
class Segment:
    """A short piece of a trajectory: (o, a) pairs as in Christiano et al. 2017, section 2.1.

    A segment may cross the boundary of an episode. Two segments are equal if their contents are equal.

    Raises:
        ValueError: when it is empty, lengths differ, or a number in it is not finite.
    """

    observations: np.ndarray
    """shape (T, *obs), the observation *before* each action, encoded by `prefrl.data.spaces.SpaceSpec.encode`"""
    actions: np.ndarray
    """shape (T, *act), the actions as the environment executed them"""
    true_rewards: np.ndarray
    """shape (T,) float32; for synthetic oracles and evaluation only, the agent never sees it"""
    terminated: np.ndarray
    """shape (T,) bool"""
    truncated: np.ndarray
    """shape (T,) bool"""
    provenance: Provenance

    def __post_init__(self) -> None:
        steps = len(self.true_rewards)
        if steps == 0:
            raise ValueError("a segment needs at least one step, this one has none")
        for name in ("observations", "actions", "true_rewards", "terminated", "truncated"):
            array = getattr(self, name)
            if len(array) != steps:
                raise ValueError(
                    f"segment of {steps} true rewards has {len(array)} {name}; lengths must agree"
                )
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"segment has a number in {name} that is not finite (NaN or infinity)")
            if array.dtype.kind not in "fiub":
                raise ValueError(f"segment has {name} of dtype {array.dtype}; numbers or booleans are needed")
        for name in ("true_rewards", "terminated", "truncated"):
            if getattr(self, name).ndim != 1:
                raise ValueError(
                    f"segment has {name} of shape {getattr(self, name).shape}; ({steps},) is needed"
                )

    @cached_property
    def id(self) -> str:
        """SHA-256 of the content (arrays and provenance), 64 hexadecimal digits."""
        digest = hashlib.sha256(repr(self.provenance).encode())
        for array in (self.observations, self.actions, self.true_rewards, self.terminated, self.truncated):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @property
    def true_return(self) -> float:
        """Undiscounted sum of the true rewards."""
        return float(self.true_rewards.sum(dtype=np.float64))

    def __len__(self) -> int:
        return len(self.true_rewards)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Segment) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass(frozen=True)
class Query:
    """K >= 2 segments that an oracle is asked to compare, in the order they are shown.

    Raises:
        ValueError: when there are fewer than two segments.
    """

    segments: tuple[Segment, ...]
    sampler: str = "uniform"
    """name of the query sampler that chose it"""
    score: float = 0.0
    """the sampler's score; higher scores are asked first"""
    policy_step: int = 0
    """environment steps the agent had taken when it was asked"""
    repeat_of: int | None = None
    """id of the query that this one repeats with its segments in another order, to measure an annotator's error"""
    id: int | None = None
    """assigned by the store; None before"""

    def __post_init__(self) -> None:
        if len(self.segments) < 2:
            raise ValueError(f"a query compares at least 2 segments, got {len(self.segments)}")


@dataclass(frozen=True)
class Comparison:
    """One annotator's answer to a query. Append-only: a changed answer is a new comparison that supersedes this one.

    Raises:
        ValueError: when the ranks are not positive whole numbers that start at 1.
    """

    query_id: int
    ranks: tuple[int, ...] | None
    """rank of each segment in the query's order, 1 is the best, equal ranks are ties; None is "can't tell" """
    annotator: str = "synthetic"
    latency_s: float = 0.0
    """seconds from showing the query to the answer"""
    time_s: float = field(default_factory=time.time)
    """seconds since the epoch"""
    supersedes: int | None = None
    """id of the comparison that this one replaces"""
    id: int | None = None
    """assigned by the store; None before"""

    def __post_init__(self) -> None:
        if self.ranks is not None:
            check_ranks(self.ranks)

    @property
    def is_tie(self) -> bool:
        """True if all segments have the same rank."""
        return self.ranks is not None and len(set(self.ranks)) == 1


@dataclass(frozen=True)
class LabelledQuery:
    """A query and its current answer, as the reward is trained on it."""

    query: Query
    comparison: Comparison

    def __post_init__(self) -> None:
        ranks = self.comparison.ranks
        if ranks is not None and len(ranks) != len(self.query.segments):
            raise ValueError(f"{len(ranks)} ranks answer a query of {len(self.query.segments)} segments")


@dataclass(frozen=True)
class Evaluation:
    """True returns of whole episodes in the ordinary environment."""

    true_returns: tuple[float, ...]
    optimal_return: float | None = None
    """exact maximum of the mean true return, if the environment knows it"""

    @property
    def mean(self) -> float:
        """Mean true return."""
        return float(np.mean(self.true_returns))

    @property
    def std(self) -> float:
        """Standard deviation of the true return over episodes."""
        return float(np.std(self.true_returns))


def check_ranks(ranks: Sequence[int]) -> None:
    """Raise ValueError unless ``ranks`` are whole numbers from 1 up, with 1 among them."""
    whole = all(isinstance(rank, int) and not isinstance(rank, bool) for rank in ranks)
    if len(ranks) < 2 or not whole or min(ranks) != 1:
        raise ValueError(f"ranks {tuple(ranks)!r} must be at least two whole numbers of which the best is 1")
