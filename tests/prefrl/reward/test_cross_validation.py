from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import LabelledQuery
from prefrl.reward.cross_validation import cross_validate
from prefrl.reward.metrics import wilson_interval

CONFIG = RewardConfig(hidden=(16,), learning_rate=1e-2)


@pytest.fixture
def labels(make_segment: Callable[..., Any], make_label: Callable[..., Any]) -> list[LabelledQuery]:
    """60 pairs, answered by the first feature; the first ten are ties."""
    made = []
    for query in range(60):
        pair = make_segment(2 * query), make_segment(2 * query + 1)
        first, second = (segment.observations[:, 0].sum() for segment in pair)
        ranks = (1, 1) if query < 10 else (1, 2) if first > second else (2, 1)
        made.append(make_label(query, *pair, ranks=ranks, comparison_id=query + 1))
    return made


def run(
    specs: tuple[SpaceSpec, SpaceSpec], labels: list[LabelledQuery], folds: int = 5, **arguments: Any
) -> Any:
    def batches() -> list[list[LabelledQuery]]:
        return [labels[:25], labels[25:]]

    return cross_validate(specs, CONFIG, batches, folds, epochs=30, seed=0, **arguments)


def test_answers_that_can_be_learned_are_predicted(
    vector_specs: tuple[SpaceSpec, SpaceSpec], labels: list[LabelledQuery]
) -> None:
    done: list[int] = []
    found = run(vector_specs, labels, on_fold=done.append)
    assert found.pairs == 50
    assert found.accuracy > 0.75
    assert found.interval[0] < found.accuracy < found.interval[1]
    assert done == [1, 2, 3, 4, 5]


def test_answers_by_chance_are_not(
    vector_specs: tuple[SpaceSpec, SpaceSpec],
    make_segment: Callable[..., Any],
    make_label: Callable[..., Any],
) -> None:
    rng = np.random.default_rng(1)
    labels = [
        make_label(
            query,
            make_segment(2 * query),
            make_segment(2 * query + 1),
            ranks=(1, 2) if rng.random() < 0.5 else (2, 1),
            comparison_id=query + 1,
        )
        for query in range(60)
    ]
    found = run(vector_specs, labels)
    assert found.interval[0] < 0.5 < found.interval[1] + 0.1


def test_what_shares_a_segment_with_what_is_predicted_is_not_trained_on(
    vector_specs: tuple[SpaceSpec, SpaceSpec],
    make_segment: Callable[..., Any],
    make_label: Callable[..., Any],
) -> None:
    """One query asked forty times over, answered at random the same: memory alone would get it right."""
    pair = make_segment(1), make_segment(2)
    worse = [make_label(query, *pair, ranks=(2, 1), comparison_id=query + 1) for query in range(40)]
    with pytest.raises(ValueError, match="nothing is left to train on"):
        run(vector_specs, worse)


def test_impossible_folds_are_named(
    vector_specs: tuple[SpaceSpec, SpaceSpec], labels: list[LabelledQuery]
) -> None:
    for folds in (1, 61):
        with pytest.raises(ValueError, match=f"folds is {folds}; 2 to 60, the number of queries"):
            run(vector_specs, labels, folds)
    with pytest.raises(ValueError, match="all answers are ties"):
        run(vector_specs, labels[:10])


@pytest.mark.parametrize(
    ("right", "count", "interval"),
    [
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
        (20, 20, (0.8389, 1.0)),
    ],
)
def test_intervals_are_those_of_newcombe_1998_table_i(
    right: int, count: int, interval: tuple[float, float]
) -> None:
    assert wilson_interval(right, count) == pytest.approx(interval, abs=1e-4)
