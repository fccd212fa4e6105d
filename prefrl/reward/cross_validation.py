"""Cross-validation of a learned reward: how well it predicts answers it was not trained on, for few answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prefrl.config import RewardConfig
from prefrl.config.modality import modality_of
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import LabelledQuery
from prefrl.reward.assessment import pair_predictions
from prefrl.reward.metrics import wilson_interval
from prefrl.reward.training import RewardTrainer

__all__ = ["CrossValidation", "cross_validate"]


@dataclass(frozen=True)
class CrossValidation:
    """Result of a cross-validation, over all folds."""

    accuracy: float
    """share of the pairs predicted right, without ties"""
    interval: tuple[float, float]
    """95% interval of the accuracy, as if the pairs were independent"""
    pairs: int
    """number of pairs predicted, without ties"""


def cross_validate(
    specs: tuple[SpaceSpec, SpaceSpec],
    config: RewardConfig,
    batches: Callable[[], Iterable[Sequence[LabelledQuery]]],
    folds: int,
    epochs: int,
    seed: int,
    on_fold: Callable[[int], None] = lambda done: None,
) -> CrossValidation:
    """Train once per fold, without one part of the queries, and predict the answers to that part.

    Queries that share a segment with the held-out part are also left out of training.

    Args:
        specs: layouts of observations and actions.
        config: settings of the reward; its ``validation_fraction`` is not used.
        batches: returns all comparisons in batches; called once per fold and once before.
        folds: number of parts, at least 2.
        epochs: epochs of each training.
        seed: random seed of the split into parts and of each training.
        on_fold: called after each fold with the number of folds done.

    Raises:
        ValueError: when there are fewer queries than folds, nothing is left to train on, or all answers are ties.
    """
    key_of = modality_of(specs[0]).validation_key
    segments_of = {
        item.comparison.query_id: frozenset(key_of(segment) for segment in item.query.segments)
        for batch in batches()
        for item in batch
    }
    if not 2 <= folds <= len(segments_of):
        raise ValueError(f"folds is {folds}; 2 to {len(segments_of)}, the number of queries, are possible")
    queries = np.random.default_rng(seed).permutation(sorted(segments_of))
    config = replace(config, validation_fraction=0.0)
    right = pairs = 0
    for done, part in enumerate(np.array_split(queries, folds), start=1):
        asked = set(part.tolist())
        seen = frozenset().union(*(segments_of[query] for query in asked))
        trainer = RewardTrainer(*specs, config, seed)
        held_out: list[LabelledQuery] = []
        for batch in batches():
            trainer.update([item for item in batch if seen.isdisjoint(segments_of[item.comparison.query_id])])
            held_out += [item for item in batch if item.comparison.query_id in asked]
        if not trainer.num_labels:
            raise ValueError(
                f"nothing is left to train on in fold {done} of {folds}: all other queries share a segment with "
                "those left out; more folds leave out fewer"
            )
        trainer.fit(epochs)
        probabilities, outcomes = pair_predictions(trainer.snapshot(version=1), held_out)
        told = outcomes != 0.5
        right += int(np.sum((probabilities > 0.5)[told] == (outcomes > 0.5)[told]))
        pairs += int(told.sum())
        on_fold(done)
    if not pairs:
        raise ValueError("all answers are ties, which cannot be predicted right or wrong")
    return CrossValidation(right / pairs, wilson_interval(right, pairs), pairs)
