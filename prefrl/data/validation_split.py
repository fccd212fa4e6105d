"""Splits comparisons into training and validation sets, and draws bootstrap weights.

Both are hashes of ids, so a comparison stays in its set and keeps its weights when the data grow, arrive in another
order, or the process restarts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence

import numpy as np

__all__ = ["bootstrap_weights", "components", "is_validation_segment", "validation_segments"]


def is_validation_segment(segment_id: str, fraction: float) -> bool:
    """True for this share of all segments, by a hash of the id; samplers draw all segments of a query from one set."""
    return _uniform("validation", segment_id) < fraction


def components(queries: Iterable[Sequence[str]]) -> dict[str, str]:
    """Connected components of the segments; returns the smallest segment id of its component for each segment.

    Segments in the same query, given by its segment ids, are connected.
    """
    parent: dict[str, str] = {}

    def root(segment_id: str) -> str:
        while (up := parent.setdefault(segment_id, segment_id)) != segment_id:
            parent[segment_id] = segment_id = parent[up]
        return segment_id

    for first, *others in queries:
        for other in others:
            low, high = sorted((root(first), root(other)))
            parent[high] = low
    return {segment_id: root(segment_id) for segment_id in parent}


def validation_segments(queries: Iterable[Sequence[str]], fraction: float) -> set[str]:
    """The segments held out for validation, chosen so that no query has segments in both sets.

    ``queries`` gives the segment ids of each query. The smallest id of a connected component decides for the whole
    component. If all segments of each query were drawn from one set, each segment stays in its own set.
    """
    found = components(queries).items()
    return {segment_id for segment_id, root in found if is_validation_segment(root, fraction)}


def bootstrap_weights(seed: int, query_id: int, members: int) -> np.ndarray:
    """How often each member draws the query, float32 (E,): Poisson(1), the bootstrap for a growing data set.

    A member has weight 0 with probability 1/e; these queries are its own validation set (Christiano et al. 2017,
    section 2.2.3). Source of the Poisson form: Oza and Russell 2001, Online bagging and boosting.
    """
    draws = [_uniform("bootstrap", str(seed), str(query_id), str(member)) for member in range(members)]
    return np.searchsorted(_POISSON_CDF, draws, side="right").astype(np.float32)


_POISSON_CDF = np.cumsum([math.exp(-1) / math.factorial(count) for count in range(12)])


def _uniform(*parts: str) -> float:
    """A pseudo-random number in [0, 1) that depends only on ``parts``."""
    digest = hashlib.blake2b("/".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
