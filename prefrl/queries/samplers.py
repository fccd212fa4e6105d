"""The query samplers: which of the candidate queries are asked.

C candidate queries, K items of a query, E ensemble members, F features of a query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from prefrl.config.registry import Registry
from prefrl.queries.batch import split_repeats, take_spread
from prefrl.queries.candidates import Candidates, Choice
from prefrl.queries.k_center import k_center
from prefrl.queries.scores import entropy, information_gain, uniform
from prefrl.reward.disagreement import disagreement

__all__ = ["SAMPLERS", "Sampler", "find_sampler", "select"]

Sampler = Callable[[Candidates], "np.ndarray | Choice"]
"""Takes `Candidates`; returns scores (C,), the higher the better, or a `Choice`"""


def select(sampler: str, candidates: Candidates) -> Choice:
    """Choose ``candidates.count`` of the candidates with the named sampler, best first.

    Scores are turned into a choice by `take_spread`: highest first, queries that share a segment with a better one
    later.

    Raises:
        ValueError: when the sampler is unknown, lacks its input, or returns something else than `SAMPLERS` says, and
            when ``count`` is not in [0, C].
    """
    total = len(candidates.queries)
    if not 0 <= candidates.count <= total:
        raise ValueError(
            f"cannot choose {candidates.count} of {total} candidate queries; draw at least {candidates.count}"
        )
    result = find_sampler(sampler)(candidates)
    if isinstance(result, Choice):
        return _checked_choice(sampler, result, candidates)
    scores = _checked_numbers(sampler, "scores", result, total)
    chosen = take_spread(np.argsort(-scores, kind="stable"), candidates.queries, candidates.count)
    return Choice(chosen, scores[chosen])


def find_sampler(name: str) -> Sampler:
    """The sampler that ``queries.sampler`` names.

    Raises:
        ValueError: when there is none, or ``module:name`` is no function.
    """
    sampler = SAMPLERS.find(name)
    if not callable(sampler):
        raise ValueError(f"query sampler {name!r} is {sampler!r}; a function of `Candidates` is needed")
    return sampler


def _by_uniform(candidates: Candidates) -> np.ndarray:
    return uniform(len(candidates.queries))


def _by_score(candidates: Candidates, score: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return score(candidates.member_returns)


def _by_k_center(candidates: Candidates) -> Choice:
    return _farthest(candidates, range(len(candidates.queries)), len(candidates.queries))


def _by_prefiltered_k_center(candidates: Candidates, score: Callable[[np.ndarray], np.ndarray]) -> Choice:
    """K-centre among the better half of the candidates by score (Lee et al. 2021)."""
    order = np.argsort(-score(candidates.member_returns), kind="stable")
    return _farthest(candidates, order, len(order) // 2)


def _farthest(candidates: Candidates, order: Iterable[int], most: int) -> Choice:
    """K-centre among the first ``most`` of ``order``; the same query twice only when nothing else is left.

    The score of a query is its distance to the nearest centre when it was taken, that of a repeat 0.
    """
    firsts, repeats = split_repeats(order, candidates.queries)
    among = firsts[: max(most, candidates.count)]
    taken, distances = k_center(
        candidates.features[among], min(candidates.count, len(among)), candidates.asked_features
    )
    more = repeats[: candidates.count - len(taken)]
    return Choice(np.concatenate([among[taken], more]), np.concatenate([distances, np.zeros(len(more))]))


SAMPLERS: Registry[Sampler] = Registry(
    "query sampler",
    {
        "uniform": _by_uniform,
        "disagreement": partial(_by_score, score=disagreement),
        "entropy": partial(_by_score, score=entropy),
        "information_gain": partial(_by_score, score=information_gain),
        "k_center": _by_k_center,
        "disagreement_k_center": partial(_by_prefiltered_k_center, score=disagreement),
        "entropy_k_center": partial(_by_prefiltered_k_center, score=entropy),
    },
)
"""The query samplers by name, for ``queries.sampler``; ``module:name`` is one of your own.

A sampler is a function of one `Candidates`, C queries of K segments each. It returns either

- scores, shape (C,), finite; the queries with the highest are asked, and those that share a segment with a better one
  of the batch come later; or
- a `Choice`: indices (count,) into the candidates, all different, and their scores (count,), finite. For samplers that
  look at the batch as a whole.

For example, in ``my_samplers.py``, to ask about the segments that the learned reward likes best::

    def highest_return(candidates):
        return candidates.member_returns.mean(axis=0).max(axis=-1)

and ``--queries.sampler my_samplers:highest_return``. The first queries of a run, before there is a learned reward, are
always uniform.
"""


def _checked_choice(sampler: str, choice: Choice, candidates: Candidates) -> Choice:
    count, total = candidates.count, len(candidates.queries)
    indices = _as_array(sampler, "indices", choice.indices)
    if indices.shape != (count,) or (count > 0 and indices.dtype.kind not in "iu"):
        raise ValueError(
            f"query sampler {sampler!r} chose indices of shape {indices.shape} and dtype {indices.dtype}; "
            f"({count},) whole numbers are needed"
        )
    outside = indices[(indices < 0) | (indices >= total)]
    if len(outside) or len(np.unique(indices)) < count:
        raise ValueError(
            f"query sampler {sampler!r} chose the candidates {indices.tolist()[:20]}; {count} different numbers from 0 "
            f"to {total - 1} are needed"
        )
    return Choice(indices.astype(np.int64), _checked_numbers(sampler, "scores", choice.scores, count))


def _checked_numbers(sampler: str, name: str, values: Any, length: int) -> np.ndarray:
    array = _as_array(sampler, name, values)
    if array.shape != (length,):
        raise ValueError(
            f"query sampler {sampler!r} returned {name} of shape {array.shape}; ({length},) is needed"
        )
    if not np.isfinite(array.astype(np.float64)).all():
        raise ValueError(f"query sampler {sampler!r} returned {name} that are not finite (NaN or infinity)")
    return array.astype(np.float64)


def _as_array(sampler: str, name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"query sampler {sampler!r} returned {values!r:.60}; an array of {name} or a Choice is needed"
        )
    return array
