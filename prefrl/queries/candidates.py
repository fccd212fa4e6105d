"""Candidate queries: drawn at random from the pool, and what a sampler may know of them.

C candidate queries, K items of a query, S segments, E ensemble members, F features of a query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from prefrl.data.types import Segment

__all__ = ["Candidates", "Choice", "draw_candidates"]

ArrayFunction = Callable[[], np.ndarray]


@dataclass(frozen=True, eq=False)
class Candidates:
    """What a sampler chooses from.

    The learned reward predicts, and features are read, when a sampler first asks for them: a sampler pays only for
    what it uses.
    """

    count: int
    """queries to choose, at most C"""
    queries: np.ndarray
    """shape (C, K) int64, the segments each candidate compares, as indices into ``segments``"""
    rng: np.random.Generator
    """the only source of chance, so that a run can be repeated"""
    segments: Sequence[Segment] = ()
    """the S segments that the candidates are made of"""
    compute_returns: ArrayFunction | None = None
    """gives ``member_returns``; None without a learned reward"""
    compute_features: ArrayFunction | None = None
    """gives ``features``"""
    compute_asked_features: ArrayFunction | None = None
    """gives ``asked_features``; None when nothing was asked before"""

    @cached_property
    def member_returns(self) -> np.ndarray:
        """Each member's predicted segment returns, as log-odds, shape (E, C, K) float.

        The softmax over the items is the preference a member predicts.

        Raises:
            ValueError: when there is no learned reward.
        """
        if self.compute_returns is None:
            raise ValueError("member_returns needs a learned reward, and there is none; take 'uniform'")
        returns = self.compute_returns()
        if returns.shape[1:] != self.queries.shape:
            raise ValueError(
                f"member_returns has shape {returns.shape}; (members, {len(self.queries)} candidates, "
                f"{self.queries.shape[1]} items) is needed"
            )
        return returns

    @cached_property
    def features(self) -> np.ndarray:
        """The observations of a query's segments, one after the other, shape (C, F) float32.

        Those of images are averaged over the segment's steps and reduced to about 12 pixels a side.
        """
        if self.compute_features is None:
            raise ValueError("these candidates have no features; take a sampler that needs none: 'uniform'")
        features = self.compute_features()
        if features.ndim != 2 or len(features) != len(self.queries):
            raise ValueError(
                f"features has shape {features.shape}; ({len(self.queries)} candidates, F) is needed"
            )
        return features

    @cached_property
    def asked_features(self) -> np.ndarray:
        """``features`` of the M queries asked before, shape (M, F) float32."""
        if self.compute_asked_features is None:
            return self.features[:0]
        asked = self.compute_asked_features()
        if asked.ndim != 2 or asked.shape[1] != self.features.shape[1]:
            raise ValueError(
                f"asked_features has shape {asked.shape}; (M, {self.features.shape[1]}) is needed"
            )
        return asked


@dataclass(frozen=True, eq=False)
class Choice:
    """Candidates that a sampler chose, best first."""

    indices: np.ndarray
    """shape (count,) int64 into the candidates, all different"""
    scores: np.ndarray
    """shape (count,) float64, kept with each query; higher was preferred"""


def draw_candidates(
    num_segments: int, count: int, items: int, rng: np.random.Generator, groups: np.ndarray | None = None
) -> np.ndarray:
    """Draw queries uniformly at random, each of distinct segments in random order.

    Args:
        num_segments: size of the pool; the drawn numbers index it.
        count: queries to draw, C. Queries are independent, so a small pool gives the same one twice.
        items: segments a query, K.
        groups: shape (num_segments,), the group of each segment (its side of the training/validation split).
            All items of a query come from one group, chosen with a probability proportional to its segments.
            Groups of fewer than ``items`` segments are left out.

    Returns:
        shape (C, K) int64.

    Raises:
        ValueError: when no group, or the whole pool, has ``items`` segments.
    """
    labels = np.zeros(num_segments, np.int64) if groups is None else np.asarray(groups)
    if len(labels) != num_segments:
        raise ValueError(f"groups has {len(labels)} entries for {num_segments} segments; one each is needed")
    _, group_of, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    usable = np.where(sizes >= items, sizes, 0)
    if items < 2 or not usable.any():
        within = "" if groups is None else " in one group"
        raise ValueError(
            f"a query of {items} items needs at least {max(items, 2)} segments{within}, the pool has "
            f"{int(sizes.max(initial=0))}; collect more segments or ask for fewer items"
        )
    by_group = np.argsort(group_of, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    chosen = rng.choice(len(sizes), size=count, p=usable / usable.sum())
    return by_group[starts[chosen, None] + _distinct(sizes[chosen], items, rng)]


def _distinct(sizes: np.ndarray, items: int, rng: np.random.Generator) -> np.ndarray:
    """``items`` different whole numbers below each of sizes (C,), all orders equally likely: (C, items)."""
    drawn = np.empty((len(sizes), items), np.int64)
    for item in range(items):
        value = rng.integers(0, sizes - item)
        # The value counts only the numbers left: each earlier draw at or below it moves it up by one.
        for earlier in np.sort(drawn[:, :item], axis=1).T:
            value += value >= earlier
        drawn[:, item] = value
    return drawn
