"""Query selection: from the store's pool of segments to the queries that are asked next."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from prefrl.config import QueryConfig, RunConfig
from prefrl.config.modality import VECTORS, Modality
from prefrl.data.types import Query, Segment
from prefrl.data.validation_split import is_validation_segment
from prefrl.queries.candidates import Candidates, draw_candidates
from prefrl.queries.features import FeatureCache, segment_features
from prefrl.queries.repeats import swap_repeat
from prefrl.queries.samplers import select
from prefrl.queries.schedule import initial_segments
from prefrl.storage import PoolEntry, Store, StoreError

if TYPE_CHECKING:
    # It loads torch, which choosing does not need.
    from prefrl.reward import LearnedReward

__all__ = ["ask_queries", "choose_queries", "num_askable_segments"]

_ALL = sys.maxsize
_FEWEST_RECENT = 10
"""recent segments that are enough to draw from, as a multiple of the items of a query"""
_FEATURES = FeatureCache()
"""of the whole process: features go by the content of segments, so runs cannot mix them up"""


def choose_queries(
    store: Store,
    reward: LearnedReward | None,
    config: RunConfig,
    count: int,
    policy_step: int,
    rng: np.random.Generator,
    modality: Modality = VECTORS,
) -> list[Query]:
    """Draw candidates from the newest segments, and choose among them with ``queries.sampler``.

    Before the first learned reward the choice is uniform, whatever the sampler (Lee et al. 2021).

    Args:
        store: holds the pool.
        reward: the newest learned reward; None before the first.
        config: the run's settings.
        count: queries to choose.
        policy_step: when the queries are asked, which they record.
        rng: the only source of chance.
        modality: of the observations.

    Raises:
        ValueError: when the pool holds fewer segments than a query compares, and as `select` says.
    """
    settings = config.queries
    needs_clips = _shows_clips(store, config)
    number = int(rng.binomial(count, settings.repeat_share))
    repeats = _repeats(store, number, policy_step, rng, needs_clips)
    count -= len(repeats)
    if count == 0:
        return repeats
    try:
        segments, compact = _draw(store, config, modality, count, rng)
    except StoreError:
        # A segment was dropped between drawing and reading. This time the policy waits until all are read.
        with store.transaction():
            segments, compact = _draw(store, config, modality, count, rng)
    sampler = "uniform" if reward is None else settings.sampler
    choice = select(sampler, _candidates(store, reward, segments, compact, count, rng))
    return repeats + [
        Query(tuple(segments[item] for item in compact[index]), sampler, float(score), policy_step)
        for index, score in zip(choice.indices, choice.scores, strict=True)
    ]


def num_askable_segments(store: Store, config: RunConfig) -> int:
    """How many segments could be asked about; the first queries, and the policy, wait for enough of them."""
    if _shows_clips(store, config):
        return len(store.pool(initial_segments(config), with_clips=True))
    return store.counts().segments


def _shows_clips(store: Store, config: RunConfig) -> bool:
    """Whether people are shown clips. Imported segments have none, so they cannot be asked about."""
    return config.oracle.asks_people and len(store.pool(1, with_clips=True)) > 0


def ask_queries(store: Store, queries: list[Query], is_shown: bool = False) -> None:
    """Ask the queries.

    Segments may have been dropped from the pool since they were chosen. They are stored again, but their clips are
    gone: where queries are shown to people (``is_shown``), those with such a segment are left out, and others are
    chosen next time.
    """
    with store.transaction():
        kept = {entry.id for entry in store.pool(_ALL)}
        if is_shown:
            queries = [query for query in queries if all(segment.id in kept for segment in query.segments)]
        dropped = [segment for query in queries for segment in query.segments if segment.id not in kept]
        store.add_segments(dropped, keep_unqueried=_ALL)
        store.add_queries(queries)


def _draw(
    store: Store, config: RunConfig, modality: Modality, count: int, rng: np.random.Generator
) -> tuple[list[Segment], np.ndarray]:
    """Candidates for ``count`` queries: their segments, and which of these (candidates, K) each compares."""
    settings = config.queries
    pool = store.pool(settings.window_segments, _shows_clips(store, config))
    if config.oracle.asks_people:
        pool = _recent(pool, settings)
    candidates = draw_candidates(
        len(pool), count * settings.candidates, settings.items, rng, _groups(store, config, modality, pool)
    )
    used, compact = np.unique(candidates, return_inverse=True)
    segments = store.segments([pool[index].id for index in used])
    return segments, compact.reshape(candidates.shape)


def _candidates(
    store: Store,
    reward: LearnedReward | None,
    segments: list[Segment],
    queries: np.ndarray,
    count: int,
    rng: np.random.Generator,
) -> Candidates:
    """What the sampler may know; ``queries`` (C, K) are indices into ``segments``."""

    def member_returns() -> np.ndarray:
        assert reward is not None
        return reward.segment_logits(segments)[:, queries]

    def features() -> np.ndarray:
        return segment_features(segments)[queries].reshape(len(queries), -1)

    def asked_features() -> np.ndarray:
        size = segment_features(segments[:1]).shape[1]
        return _FEATURES.asked(store, queries.shape[1], size)

    return Candidates(
        count, queries, rng, segments, None if reward is None else member_returns, features, asked_features
    )


def _groups(store: Store, config: RunConfig, modality: Modality, pool: list[PoolEntry]) -> np.ndarray:
    """The group of each segment (len(pool),) int; segments of one group may be asked about together."""
    if modality.compares_within_groups:
        # All responses to a prompt are on one side of the validation split.
        segments = store.segments([entry.id for entry in pool])
        groups = [modality.comparison_group(segment) for segment in segments]
        return np.unique(groups, return_inverse=True)[1]
    # A query that crosses the validation split could be used on neither side, and its label would be lost.
    return np.array([is_validation_segment(entry.id, config.reward.validation_fraction) for entry in pool])


def _recent(pool: list[PoolEntry], settings: QueryConfig) -> list[PoolEntry]:
    """The segments from the last steps, as many as the window would hold if all were kept.

    Where few segments have clips, the window reaches far into the past. All of it is used when too few are recent.
    """
    oldest_step = pool[-1].policy_step - settings.window_segments * settings.segment_steps
    recent = [entry for entry in pool if entry.policy_step > oldest_step]
    return recent if len(recent) >= _FEWEST_RECENT * settings.items else pool


def _repeats(
    store: Store, count: int, policy_step: int, rng: np.random.Generator, needs_clips: bool
) -> list[Query]:
    if count == 0:
        return []
    answered = store.answered_queries(needs_clips)
    picked = rng.permutation(answered)[:count]
    return [swap_repeat(store.query(int(query_id)), rng, policy_step) for query_id in picked]
