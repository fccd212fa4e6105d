"""Rankings from scores: pure functions of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["check_items", "check_tie_below", "draw_groups", "ranks_of_scores"]


def ranks_of_scores(
    scores: Sequence[float], tie_below: float = 0.0, higher_is_better: bool = True
) -> tuple[int, ...]:
    """Ranks of K scores, 1 the best, without gaps in the numbering.

    Scores tie when they are equal, closer than ``tie_below``, or linked by a chain of scores each closer than
    that to the next: so scores of different ranks are never closer.

    Raises:
        ValueError: when a number is not finite, or ``tie_below`` is negative.
    """
    check_tie_below(tie_below)
    values = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"scores {tuple(scores)!r} are not all finite; leave out the responses without one")
    order = np.argsort(-values if higher_is_better else values, kind="stable")
    with np.errstate(over="ignore"):
        gaps = np.abs(np.diff(values[order]))
    ranks = np.ones(len(values), dtype=np.int64)
    ranks[order[1:]] += np.cumsum((gaps > 0) & (gaps >= tie_below))
    return tuple(ranks.tolist())


def check_tie_below(tie_below: float) -> None:
    """Raise ValueError unless scores can differ by that much."""
    if not (math.isfinite(tie_below) and tie_below >= 0):
        raise ValueError(f"tie_below is {tie_below}; a difference of scores must be finite and at least 0")


def check_items(items: int | None) -> None:
    """Raise ValueError unless ``items`` responses can be ranked; None stands for all there are."""
    if items is not None and items < 2:
        raise ValueError(f"items is {items}; a ranking has at least 2 responses, or None for all of a prompt")


def draw_groups(count: int, items: int | None, rng: np.random.Generator) -> list[list[int]]:
    """Disjoint groups of exactly ``items`` of ``count`` positions, drawn at random.

    The count modulo items that are left over are in no group. None for ``items`` is one group of all, in order.
    """
    if items is None:
        return [list(range(count))]
    order = rng.permutation(count)[: count - count % items]
    groups: list[list[int]] = order.reshape(-1, items).tolist()
    return groups
