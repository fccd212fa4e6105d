"""The greedy k-centre rule: candidates far apart from each other and from what was asked before."""

from __future__ import annotations

import numpy as np

__all__ = ["k_center"]


def k_center(
    features: np.ndarray, count: int, existing: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Take ``count`` candidates, each the farthest from all centres before it.

    The k-centre greedy of B-Pref (Lee et al. 2021; Gonzalez 1985). The lowest index wins a tie.

    Args:
        features: shape (C, F), one row for each candidate.
        count: how many to take, at most C.
        existing: shape (M, F), the centres that exist already. Without any, the first candidate taken is the one
            farthest from the mean of all.

    Returns:
        indices (count,) int64 in the order taken, and the Euclidean distance (count,) float64 of each to the
        nearest centre when it was taken.

    Raises:
        ValueError: when ``count`` is negative or more than C.
    """
    if not 0 <= count <= len(features):
        raise ValueError(f"cannot take {count} of {len(features)} candidates; draw at least {count}")
    points = features if features.dtype.kind == "f" else features.astype(np.float32)
    indices, distances = np.empty(count, np.int64), np.empty(count)
    if count == 0:
        return indices, distances
    centres = points[:0] if existing is None else existing
    has_centres = len(centres) > 0
    gaps = np.full(len(points), np.inf)
    for centre in centres if has_centres else points.mean(axis=0, keepdims=True):
        gaps = np.minimum(gaps, _distances(points, centre))
    for taken in range(count):
        index = int(np.argmax(gaps))
        indices[taken], distances[taken] = index, gaps[index]
        if taken == 0 and not has_centres:
            gaps[:] = np.inf  # the mean is no query, it only finds the first
        gaps = np.minimum(gaps, _distances(points, points[index]))
        gaps[index] = -1.0
    return indices, distances


def _distances(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(points - centre.astype(points.dtype)).sum(axis=-1, dtype=np.float64))
