"""How a batch is filled from ranked candidates, so that it is not redundant.

C candidate queries of K items each, as numbers (C, K) of segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

import numpy as np

__all__ = ["split_repeats", "take_spread"]


def take_spread(order: Iterable[int], queries: np.ndarray, count: int) -> np.ndarray:
    """The first ``count`` candidates of ``order`` (count,) int64, where those that share a segment wait.

    By score alone a batch is redundant where one unusual segment is in many candidates. So a query that shares a
    segment with an earlier one of the batch waits until all that share none are taken, and the same query (in any
    order of its items) is taken twice only when nothing else is left.
    """
    parts = split_repeats(order, queries)
    ranked = chain.from_iterable(_rounds(part.tolist(), queries) for part in parts)
    return np.fromiter(islice(ranked, count), np.int64)


def split_repeats(order: Iterable[int], queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``order`` in two parts, int64: the first candidate of each set of segments, and the repeats."""
    seen: set[tuple[int, ...]] = set()
    firsts: list[int] = []
    repeats: list[int] = []
    keys = np.sort(queries, axis=1)
    for index in order:
        key = tuple(keys[index].tolist())
        (repeats if key in seen else firsts).append(int(index))
        seen.add(key)
    return np.array(firsts, np.int64), np.array(repeats, np.int64)


def _rounds(waiting: list[int], queries: np.ndarray) -> Iterator[int]:
    """All of ``waiting``, in rounds within which no two queries share a segment."""
    while waiting:
        used: set[int] = set()
        put_off: list[int] = []
        for index in waiting:
            segments = queries[index].tolist()
            if used.isdisjoint(segments):
                used.update(segments)
                yield index
            else:
                put_off.append(index)
        waiting = put_off
