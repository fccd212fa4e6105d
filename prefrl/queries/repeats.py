"""Queries asked again with their segments in another order, to measure how often an annotator errs."""

from __future__ import annotations

import dataclasses

import numpy as np

from prefrl.data.types import Query

__all__ = ["swap_repeat"]


def swap_repeat(query: Query, rng: np.random.Generator, policy_step: int) -> Query:
    """The same query with its segments in another order: a pair is reversed, more segments are shuffled.

    The repeat has no id yet. Its ``repeat_of`` is the id of ``query``, whose sampler and score it keeps.

    Args:
        query: a stored query.
        rng: the only source of chance.
        policy_step: environment steps the agent has taken when the repeat is asked.

    Raises:
        ValueError: when the query has no id, so that nothing could link the two.
    """
    if query.id is None:
        raise ValueError("the query to repeat has no id; store it first")
    items = np.arange(len(query.segments))
    order = items[::-1] if len(items) == 2 else rng.permutation(items)
    while np.array_equal(order, items):
        order = rng.permutation(items)
    segments = tuple(query.segments[index] for index in order)
    return dataclasses.replace(query, segments=segments, policy_step=policy_step, repeat_of=query.id, id=None)
