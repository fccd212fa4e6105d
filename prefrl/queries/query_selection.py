"""From the store's pool of segments to the next queries."""

from __future__ import annotations

import sys

import numpy as np

from prefrl.config import QueryConfig, RunConfig
from prefrl.config.modality import VECTORS, Modality
from prefrl.data.types import Query, Segment
from prefrl.data.validation_split import is_validation_segment
from prefrl.queries import draw_candidates, initial_segments, select, swap_repeat
from prefrl.reward import LearnedReward
from prefrl.storage import PoolEntry, Store, StoreError

__all__ = ["ask_queries", "choose_queries", "num_askable_segments"]

_MOST_PIXELS_A_SIDE = 12
_ALL = sys.maxsize
_FEWEST_RECENT = 10
"""times the items of a query, segments to draw from, else older ones are drawn from as well"""


def choose_queries(
    store: Store,
    reward: LearnedReward | None,
    config: RunConfig,
    count: int,
    policy_step: int,
    rng: np.random.Generator,
    modality: Modality = VECTORS,
) -> list[Query]:
    """Draw candidates from the newest segments and keep those the sampler scores highest.

    Before the first learned reward there is no disagreement to go by, and the choice is uniform.

    Args:
        store: holds the pool.
        reward: the newest learned reward, if any.
        config: the run's settings.
        count: queries to choose.
        policy_step: noted in the queries.
        rng: the only source of chance.
        modality: of the observations.

    Raises:
        ValueError: when the pool holds fewer segments than a query compares.
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
        # One of them was dropped while they were read. This once the policy has to wait until they are.
        with store.transaction():
            segments, compact = _draw(store, config, modality, count, rng)
    sampler = settings.sampler if reward is not None or settings.sampler == "k_center" else "uniform"
    member_returns = features = None
    if sampler == "k_center":
        features = _features(segments)[compact].reshape(len(compact), -1)
    elif reward is not None:
        member_returns = reward.segment_logits(segments)[:, compact]
    chosen, scores = select(sampler, count, compact, member_returns=member_returns, features=features)
    return repeats + [
        Query(tuple(segments[item] for item in compact[index]), sampler, float(score), policy_step)
        for index, score in zip(chosen, scores, strict=True)
    ]


def num_askable_segments(store: Store, config: RunConfig) -> int:
    """Segments that could be asked about; the first queries and their policy wait for enough of them alike."""
    if _shows_clips(store, config):
        return len(store.pool(initial_segments(config), with_clips=True))
    return store.counts().segments


def _shows_clips(store: Store, config: RunConfig) -> bool:
    """Whether people are shown clips: what was imported has none, and cannot be asked about."""
    return config.oracle.asks_people and len(store.pool(1, with_clips=True)) > 0


def ask_queries(store: Store, queries: list[Query], is_shown: bool = False) -> None:
    """Ask the queries.

    Segments may have been dropped from the pool while they were chosen. They are stored again; but their clips are
    gone, so where queries are shown to people those that hold one are left out, and others chosen next time.
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


def _groups(store: Store, config: RunConfig, modality: Modality, pool: list[PoolEntry]) -> np.ndarray:
    """Which segments may be asked about together, as a number (len(pool),) each."""
    if modality.compares_within_groups:
        # A prompt with all its responses is on one side of the validation split.
        segments = store.segments([entry.id for entry in pool])
        groups = [modality.comparison_group(segment) for segment in segments]
        return np.unique(groups, return_inverse=True)[1]
    # Pairs come from one side of the validation split, so that no label is lost to it.
    return np.array([is_validation_segment(entry.id, config.reward.validation_fraction) for entry in pool])


def _recent(pool: list[PoolEntry], settings: QueryConfig) -> list[PoolEntry]:
    """Those from the steps that the window spans where every segment is kept; where few are filmed, too few are new."""
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


def _features(segments: list[Segment]) -> np.ndarray:
    """Observations as one vector a segment, shape (S, F); images averaged over time and shrunk."""
    if segments[0].observations.dtype != np.uint8 or segments[0].observations.ndim < 3:
        return np.stack([segment.observations.reshape(-1) for segment in segments]).astype(np.float32)
    means = np.stack([segment.observations.mean(axis=0, dtype=np.float32) for segment in segments])
    steps = [max(1, size // _MOST_PIXELS_A_SIDE) for size in means.shape[1:3]]
    return means[:, :: steps[0], :: steps[1]].reshape(len(segments), -1)
