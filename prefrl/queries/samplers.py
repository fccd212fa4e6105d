"""Which queries to ask: candidates are drawn at random, scored by the ensemble, and the best are kept.

Pure functions of arrays. C candidate queries, K items of a query, E ensemble members, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

import numpy as np

__all__ = [
    "SAMPLERS",
    "disagreement",
    "draw_candidates",
    "entropy",
    "information_gain",
    "k_center",
    "select",
    "uniform",
]


def draw_candidates(
    num_segments: int, count: int, items: int, rng: np.random.Generator, groups: np.ndarray | None = None
) -> np.ndarray:
    """Draw queries uniformly at random, each of distinct segments in random order.

    Args:
        num_segments: size of the pool; the drawn numbers index it.
        count: queries to draw, C. Queries are independent, so a small pool gives the same one twice.
        items: segments a query, K.
        groups: shape (num_segments,), the group of each segment (its side of the training/validation split).
            All items of a query come from one group, a group's chance being its share of the segments.
            Groups of fewer than ``items`` segments are passed over.

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


def uniform(count: int) -> np.ndarray:
    """The same score, 0, for all ``count`` candidates: `select` then keeps the order they were drawn in."""
    return np.zeros(count)


def disagreement(member_returns: np.ndarray) -> np.ndarray:
    """Spread of the predicted preference over the members (Christiano et al. 2017, section 2.2.4).

    The standard deviation of P(first item preferred) for pairs; for K > 2 the root of the variance of the
    first-choice probabilities averaged over the items, which is the same number at K = 2.

    Args:
        member_returns: shape (E, C, K), each member's predicted segment returns, as log-odds.

    Returns:
        shape (C,), in [0, 0.5].
    """
    preferences = np.exp(_log_preferences(member_returns))
    return np.sqrt(preferences.var(axis=0).mean(axis=-1))


def entropy(member_returns: np.ndarray) -> np.ndarray:
    """Entropy of the members' mean preference, in nats. (E, C, K) -> (C,), in [0, log K]."""
    mean = np.exp(_log_preferences(member_returns)).mean(axis=0)
    logs = np.log(mean, out=np.zeros_like(mean), where=mean > 0)
    return np.maximum(-(mean * logs).sum(axis=-1), 0.0)


def information_gain(member_returns: np.ndarray) -> np.ndarray:
    """Mutual information between the answer and which member is right, in nats. (E, C, K) -> (C,).

    The entropy of the mean preference less the mean of the members' entropies: high where the members are
    each sure and contradict one another, zero where all are equally unsure (BALD, Houlsby et al. 2011;
    for preferences Bıyık et al. 2019). The answer is which item comes first.
    """
    logs = _log_preferences(member_returns)
    mean_of_entropies = -(np.exp(logs) * logs).sum(axis=-1).mean(axis=0)
    return np.maximum(entropy(member_returns) - mean_of_entropies, 0.0)


def k_center(features: np.ndarray, count: int, existing: np.ndarray | None = None) -> np.ndarray:
    """Spread-out candidates by the greedy k-centre rule: each is the farthest from all before it.

    The k-centre greedy of B-Pref (Lee et al. 2021). The lowest index wins a tie.

    Args:
        features: shape (C, F).
        count: how many to take, at most C.
        existing: shape (M, F), features of queries asked before, which count as centres already. Without
            any, the first taken is the one farthest from the mean of all candidates.

    Returns:
        shape (count,) int64, in the order taken.

    Raises:
        ValueError: when ``count`` is negative or more than C.
    """
    return _farthest_first(features, count, existing)[0]


_SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "disagreement": disagreement,
    "entropy": entropy,
    "information_gain": information_gain,
}
SAMPLERS = ("uniform", *_SCORES, "k_center")


def select(
    sampler: str,
    count: int,
    candidates: np.ndarray,
    *,
    member_returns: np.ndarray | None = None,
    features: np.ndarray | None = None,
    existing: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose ``count`` of the candidates, best first.

    A batch by score alone is redundant where one odd segment is in many candidates. So a query that shares a
    segment with a better one of the batch waits until all that share none are taken, and the same query
    (in any order of its items) is taken twice only when nothing else is left.

    Args:
        sampler: one of `SAMPLERS`.
        candidates: shape (C, K) int, from `draw_candidates`.
        member_returns: shape (E, C, K), as log-odds, for the samplers that score; "uniform" needs none.
        features: shape (C, F), for "k_center": the observations of a query, side by side.
        existing: shape (M, F), for "k_center": features of queries asked before.

    Returns:
        indices (count,) int64 into ``candidates``, all different, and their scores (count,) float64; that of
        "k_center" is the distance to the nearest centre at the time.

    Raises:
        ValueError: when the sampler is unknown, lacks its input, or ``count`` is not in [0, C].
    """
    _check_count(count, len(candidates))
    if sampler == "k_center":
        points = _needed(features, "features", sampler, candidates)
        return _select_k_center(count, candidates, points, existing)
    if sampler not in SAMPLERS:
        raise ValueError(f"query sampler {sampler!r} is unknown; it must be one of {list(SAMPLERS)}")
    if sampler == "uniform":
        scores = uniform(len(candidates))
    else:
        scores = _SCORES[sampler](_needed(member_returns, "member_returns", sampler, candidates))
    chosen = _spread(np.argsort(-scores, kind="stable"), candidates, count)
    return chosen, scores[chosen]


def _distinct(sizes: np.ndarray, items: int, rng: np.random.Generator) -> np.ndarray:
    """``items`` different whole numbers below each of sizes (C,), all orders equally likely: (C, items)."""
    drawn = np.empty((len(sizes), items), np.int64)
    for item in range(items):
        value = rng.integers(0, sizes - item)
        # Counting only what is left: every earlier draw at or below moves the number up by one.
        for earlier in np.sort(drawn[:, :item], axis=1).T:
            value += value >= earlier
        drawn[:, item] = value
    return drawn


def _log_preferences(member_returns: np.ndarray) -> np.ndarray:
    """Log-softmax over the items in float64: each member's log P(item comes first), (E, C, K)."""
    returns = np.asarray(member_returns, dtype=np.float64)
    if returns.ndim != 3 or returns.shape[0] < 1 or returns.shape[2] < 2:
        raise ValueError(f"member_returns has shape {returns.shape}; (E, C, K) with K >= 2 is needed")
    if not np.isfinite(returns).all():
        raise ValueError("member_returns has numbers that are not finite; the learned reward has diverged")
    shifted = returns - returns.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _farthest_first(
    features: np.ndarray, count: int, existing: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices in the order taken, and each one's distance to the nearest centre when it was taken."""
    _check_count(count, len(features))
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
            gaps[:] = np.inf  # the mean served to find the first, it is no query
        gaps = np.minimum(gaps, _distances(points, points[index]))
        gaps[index] = -1.0
    return indices, distances


def _distances(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(points - centre.astype(points.dtype)).sum(axis=-1, dtype=np.float64))


def _select_k_center(
    count: int, candidates: np.ndarray, features: np.ndarray, existing: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    firsts, repeats = _split_repeats(range(len(candidates)), candidates)
    taken, distances = _farthest_first(features[firsts], min(count, len(firsts)), existing)
    more = repeats[: count - len(taken)]
    return (
        np.concatenate([firsts[taken], more]).astype(np.int64),
        np.concatenate([distances, np.zeros(len(more))]),
    )


def _spread(order: np.ndarray, candidates: np.ndarray, count: int) -> np.ndarray:
    """The first ``count`` of ``order``, where what shares a segment with an earlier one waits a round."""
    parts = _split_repeats(order, candidates)
    ranked = chain.from_iterable(_rounds(part.tolist(), candidates) for part in parts)
    return np.fromiter(islice(ranked, count), np.int64)


def _rounds(waiting: list[int], candidates: np.ndarray) -> Iterator[int]:
    """All of ``waiting``, in rounds within which no two queries share a segment."""
    while waiting:
        used: set[int] = set()
        put_off: list[int] = []
        for index in waiting:
            segments = candidates[index].tolist()
            if used.isdisjoint(segments):
                used.update(segments)
                yield index
            else:
                put_off.append(index)
        waiting = put_off


def _split_repeats(order: Iterable[int], candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``order`` in two parts: the first of each query as a set of segments, and the rest."""
    seen: set[tuple[int, ...]] = set()
    firsts: list[int] = []
    repeats: list[int] = []
    keys = np.sort(candidates, axis=1)
    for index in order:
        key = tuple(keys[index].tolist())
        (repeats if key in seen else firsts).append(int(index))
        seen.add(key)
    return np.array(firsts, np.int64), np.array(repeats, np.int64)


def _needed(array: np.ndarray | None, name: str, sampler: str, candidates: np.ndarray) -> np.ndarray:
    if array is None:
        raise ValueError(f"query sampler {sampler!r} needs {name}; without them use 'uniform'")
    axis, count = (1 if name == "member_returns" else 0), len(candidates)
    if array.shape[axis] != count:
        raise ValueError(f"{name} has shape {array.shape}; its axis {axis} must be the {count} candidates")
    return array


def _check_count(count: int, available: int) -> None:
    if not 0 <= count <= available:
        raise ValueError(f"cannot choose {count} of {available} candidate queries; draw at least {count}")
