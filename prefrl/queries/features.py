"""Features of segments and of queries, by which k-centre samplers tell how far queries are apart.

S segments, K items of a query, M queries asked before, F features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prefrl.data.types import Segment
from prefrl.storage import Store

__all__ = ["FeatureCache", "segment_features"]

_MOST_PIXELS_A_SIDE = 12
_SEGMENTS_READ_AT_ONCE = 100


def segment_features(segments: Sequence[Segment]) -> np.ndarray:
    """Observations as one vector a segment, shape (S, F) float32; images averaged over time and shrunk.

    Raises:
        ValueError: when the segments differ in length, so that their vectors cannot be compared.
    """
    vectors = [_features_of(segment) for segment in segments]
    sizes = sorted({len(vector) for vector in vectors})
    if len(sizes) > 1:
        raise ValueError(
            f"k-centre samplers compare segments of one length, and the pool has {sizes[0]} and {sizes[-1]} numbers a "
            "segment; take another queries.sampler"
        )
    return np.stack(vectors)


class FeatureCache:
    """Features of the queries asked before. Those of a segment are computed once, as its id names its content."""

    def __init__(self) -> None:
        self._by_id: dict[str, np.ndarray] = {}

    def asked(self, store: Store, items: int, size: int) -> np.ndarray:
        """Features of the queries in the store, answered or not, repeats left out: shape (M, items * size) float32.

        Queries of another number of items, or with segments of another length, cannot be compared with new ones and
        are left out; both come from imports alone.

        Args:
            store: where the queries are.
            items: segments a query, K.
            size: features a segment.
        """
        records = [store.query_record(number) for number in store.query_ids()]
        asked = [
            record.segment_ids
            for record in records
            if record.repeat_of is None and len(record.segment_ids) == items
        ]
        self._read(store, {key for ids in asked for key in ids})
        rows = [np.concatenate([self._by_id[key] for key in ids]) for ids in asked]
        kept = [row for row in rows if len(row) == items * size]
        return np.stack(kept) if kept else np.zeros((0, items * size), np.float32)

    def _read(self, store: Store, ids: set[str]) -> None:
        """Hold the features of these segments and of no others."""
        self._by_id = {key: self._by_id[key] for key in self._by_id.keys() & ids}
        missing = sorted(ids - self._by_id.keys())
        for start in range(0, len(missing), _SEGMENTS_READ_AT_ONCE):
            keys = missing[start : start + _SEGMENTS_READ_AT_ONCE]
            self._by_id.update(zip(keys, map(_features_of, store.segments(keys)), strict=True))


def _features_of(segment: Segment) -> np.ndarray:
    observations = segment.observations
    if observations.dtype != np.uint8 or observations.ndim < 3:
        return observations.reshape(-1).astype(np.float32)
    mean = observations.mean(axis=0, dtype=np.float32)
    rows, columns = (max(1, size // _MOST_PIXELS_A_SIDE) for size in mean.shape[:2])
    return mean[::rows, ::columns].reshape(-1)
