"""Which comparisons a member is trained on: hold-out by segment, and bootstrap weights.

Both are hashes of identities, so a comparison keeps its side and its weights however the data grow, in
whatever order they arrive and however often the process restarts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence

import numpy as np

from prefrl.data.spaces import SpaceSpec
from prefrl.data.tokens import prompt_key
from prefrl.data.types import Segment

__all__ = ["bootstrap_weights", "components", "is_validation_segment", "split_key", "validation_segments"]


def split_key(segment: Segment, observation_spec: SpaceSpec) -> str:
    """What decides on which side a segment is: its id, or the prompt that it answers."""
    return prompt_key(segment.observations[-1]) if observation_spec.is_tokens else segment.id


def is_validation_segment(segment_id: str, fraction: float) -> bool:
    """True for this share of all segments, by a hash of the id; samplers draw a query from one side."""
    return _uniform("validation", segment_id) < fraction


def components(queries: Iterable[Sequence[str]]) -> dict[str, str]:
    """Of each segment the smallest id that its queries, given by their segments' ids, lead to.

    Queries that share a segment, directly or through others, form a component: all of it has one such id.
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
    """The segments held out, so that no query, each given by its segments' ids, has segments on both sides.

    The side of the smallest id of a component is the side of all. For queries drawn from one side this is each
    segment's own side.
    """
    found = components(queries).items()
    return {segment_id for segment_id, root in found if is_validation_segment(root, fraction)}


def bootstrap_weights(seed: int, query_id: int, members: int) -> np.ndarray:
    """How often each member draws the query, float32 (E,): Poisson(1), the bootstrap of a set that grows.

    A member has weight 0 with probability 1/e; those queries are its own validation set (Christiano et al.
    2017, section 2.2.3). Source of the Poisson form: Oza and Russell 2001, Online bagging and boosting.
    """
    draws = [_uniform("bootstrap", str(seed), str(query_id), str(member)) for member in range(members)]
    return np.searchsorted(_POISSON_CDF, draws, side="right").astype(np.float32)


_POISSON_CDF = np.cumsum([math.exp(-1) / math.factorial(count) for count in range(12)])


def _uniform(*parts: str) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    digest = hashlib.blake2b("/".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
