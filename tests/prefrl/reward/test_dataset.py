from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import LabelledQuery, Segment
from prefrl.data.validation_split import bootstrap_weights
from prefrl.reward.dataset import ComparisonDataset, Minibatch

MakeSegment = Callable[..., Segment]
MakeLabel = Callable[..., LabelledQuery]
Specs = tuple[SpaceSpec, SpaceSpec]
NO_HOLD_OUT = RewardConfig(validation_fraction=0.0)


def training(dataset: ComparisonDataset, **noise_of: float) -> list[Minibatch]:
    return list(dataset.minibatches(validation=False, noise_of=noise_of))


def answers(dataset: ComparisonDataset) -> list[list[int]]:
    return [ranks for batch in training(dataset) for ranks in batch.ranks.tolist()]


def test_minibatches_hold_every_comparison_once(
    make_segment: MakeSegment, make_label: MakeLabel, vector_specs: Specs
) -> None:
    dataset = ComparisonDataset(*vector_specs, RewardConfig(validation_fraction=0.0, batch_size=4), seed=3)
    labels = [make_label(q, make_segment(2 * q), make_segment(2 * q + 1)) for q in range(9)]
    dataset.update(labels)
    generator = torch.Generator().manual_seed(0)
    batches = list(dataset.minibatches(validation=False, noise_of={}, generator=generator))
    assert [len(batch.ranks) for batch in batches] == [3, 3, 3]
    firsts = torch.cat([batch.observations.view(-1, 2, 10, 3)[:, 0] for batch in batches])
    order = [
        next(q for q in range(9) if np.array_equal(first, labels[q].query.segments[0].observations))
        for first in firsts
    ]
    assert sorted(order) == list(range(9))
    assert order != list(range(9))
    weights = torch.cat([batch.weights for batch in batches], dim=1)
    np.testing.assert_array_equal(weights, np.stack([bootstrap_weights(3, q, 3) for q in order], axis=1))


def test_comparisons_that_share_segments_come_in_as_few_minibatches_as_hold_them(
    make_segment: MakeSegment, make_label: MakeLabel, vector_specs: Specs
) -> None:
    config = RewardConfig(validation_fraction=0.0, batch_size=4, batch_shared=True)
    dataset = ComparisonDataset(*vector_specs, config, seed=0)
    # Chains of segments, each compared with the next: queries share segments through others.
    links = {0: 3, 1: 9, 2: 2, 3: 1, 4: 4}
    chain_of: dict[bytes, int] = {}
    for chain, count in links.items():
        segments = [make_segment(100 * chain + link) for link in range(count + 1)]
        chain_of |= {segment.observations.tobytes(): chain for segment in segments}
        pairs = itertools.pairwise(segments)
        dataset.update([make_label(10 * chain + link, *pair) for link, pair in enumerate(pairs)])
    drawn = []
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        batches = dataset.minibatches(validation=False, noise_of={}, generator=generator)
        chains = [
            [chain_of[first.numpy().tobytes()] for first in batch.observations.view(-1, 2, 10, 3)[:, 0]]
            for batch in batches
        ]
        assert all(len(batch) <= 4 for batch in chains)
        assert {chain: sum(batch.count(chain) for batch in chains) for chain in links} == links
        # Nine are three times three: four and five would not fit.
        in_batches = {chain: sum(chain in batch for batch in chains) for chain in links}
        assert in_batches == {0: 1, 1: 3, 2: 1, 3: 1, 4: 1}
        drawn.append(str(chains))
    assert len(set(drawn)) > 1


def test_a_newer_answer_replaces_and_cant_tell_removes(
    make_segment: MakeSegment, make_label: MakeLabel, vector_specs: Specs
) -> None:
    dataset = ComparisonDataset(*vector_specs, NO_HOLD_OUT, seed=0)
    pair = make_segment(0), make_segment(1)
    first = make_label(0, *pair, ranks=(1, 2), comparison_id=1)
    changed = make_label(0, *pair, ranks=(2, 1), comparison_id=2)
    unsure = make_label(0, *pair, ranks=None, comparison_id=3)
    other = make_label(0, *pair, ranks=(1, 1), annotator="other", comparison_id=4)
    dataset.update([first])
    dataset.update([first, changed])
    assert answers(dataset) == [[2, 1]]
    dataset.update([first])
    assert answers(dataset) == [[2, 1]], "an older answer must not come back"
    dataset.update([other])
    assert answers(dataset) == [[2, 1], [1, 1]]
    dataset.update([unsure])
    assert answers(dataset) == [[1, 1]]
    dataset.update([first, changed])
    assert answers(dataset) == [[1, 1]]


def test_only_the_newest_labels_and_their_segments_are_kept(
    make_segment: MakeSegment, make_label: MakeLabel, vector_specs: Specs
) -> None:
    config = RewardConfig(validation_fraction=0.0, last_labels=2)
    dataset = ComparisonDataset(*vector_specs, config, seed=0)
    labels = [
        make_label(q, make_segment(2 * q), make_segment(2 * q + 1), ranks=(1, 1 + q), comparison_id=q)
        for q in range(4)
    ]
    dataset.update(labels[::-1])
    dataset.update(labels)
    assert len(dataset) == 2
    assert answers(dataset) == [[1, 3], [1, 4]]
    assert len(dataset.segments) == 4


def test_what_is_remembered_is_bounded_however_many_labels_come(
    make_segment: MakeSegment, make_label: MakeLabel, vector_specs: Specs
) -> None:
    config = RewardConfig(validation_fraction=0.0, last_labels=4)
    dataset = ComparisonDataset(*vector_specs, config, seed=0)
    for query in range(30):
        segments = make_segment(2 * query), make_segment(2 * query + 1)
        ranks = None if query % 3 == 0 else (1, 1 + query)
        dataset.update([make_label(query, *segments, ranks=ranks, comparison_id=query + 1)])
        assert len(dataset._answers) <= 7, "four answers, and what could not be told around them"
    assert answers(dataset) == [[1, 1 + query] for query in (25, 26, 28, 29)]
    assert len(dataset.segments) == 8


def test_no_comparisons_make_no_minibatch(
    make_segment: MakeSegment, make_label: MakeLabel, vector_specs: Specs
) -> None:
    dataset = ComparisonDataset(*vector_specs, NO_HOLD_OUT, seed=0)
    dataset.update([])
    dataset.update([make_label(0, make_segment(0), make_segment(1), ranks=None)])
    assert len(dataset) == 0
    assert training(dataset) == []


def test_no_segment_is_both_trained_on_and_held_out(
    make_segment: MakeSegment, make_label: MakeLabel, vector_specs: Specs
) -> None:
    rng = np.random.default_rng(0)
    segments = [make_segment(seed, steps=2) for seed in range(300)]
    pairs = [rng.choice(300, 2, replace=False) for _ in range(90)]
    dataset = ComparisonDataset(*vector_specs, RewardConfig(validation_fraction=0.5), seed=0)
    dataset.update([make_label(q, segments[i], segments[j]) for q, (i, j) in enumerate(pairs)])
    sides = []
    for validation in (False, True):
        batches = dataset.minibatches(validation=validation, noise_of={})
        sides.append({step.tobytes() for batch in batches for step in batch.observations.numpy()})
    assert dataset.num_training + dataset.num_validation == 90
    assert min(dataset.num_training, dataset.num_validation) > 0
    assert not sides[0] & sides[1]


def test_noise_is_the_annotators_own_where_known(
    make_segment: MakeSegment, make_label: MakeLabel, vector_specs: Specs
) -> None:
    dataset = ComparisonDataset(*vector_specs, NO_HOLD_OUT, seed=0)
    pair = make_segment(0), make_segment(1)
    dataset.update([make_label(0, *pair, annotator="ada"), make_label(0, *pair, annotator="bob")])
    (batch,) = training(dataset, bob=0.5)
    assert batch.noise.tolist() == pytest.approx([0.1, 0.5])
    assert torch.equal(batch.weights[:, 0], batch.weights[:, 1]), (
        "answers to one query are in or out of bag together"
    )


def test_queries_of_several_sizes_and_lengths(
    make_segment: MakeSegment, make_label: MakeLabel, vector_specs: Specs
) -> None:
    dataset = ComparisonDataset(*vector_specs, NO_HOLD_OUT, seed=0)
    dataset.update(
        [
            make_label(0, make_segment(0, steps=5), make_segment(1, steps=3)),
            make_label(1, *(make_segment(seed, steps=4) for seed in (2, 3, 4)), ranks=(3, 1, 2)),
        ]
    )
    pair, triple = training(dataset)
    assert pair.valid is not None
    assert pair.valid.sum(dim=-1).tolist() == [[5, 3]]
    assert triple.valid is None
    assert triple.observations.shape == (1 * 3 * 4, 3)
    assert triple.ranks.tolist() == [[3, 1, 2]]


def test_without_bootstrap_every_member_has_every_comparison(
    make_segment: MakeSegment, make_label: MakeLabel, vector_specs: Specs
) -> None:
    dataset = ComparisonDataset(*vector_specs, RewardConfig(bootstrap=False, validation_fraction=0.0), seed=0)
    dataset.update([make_label(q, make_segment(2 * q), make_segment(2 * q + 1)) for q in range(5)])
    assert training(dataset)[0].weights.tolist() == [[1.0] * 5] * 3


def test_nothing_is_taken_in_when_one_segment_is_wrong(
    make_segment: MakeSegment, make_label: MakeLabel, vector_specs: Specs
) -> None:
    dataset = ComparisonDataset(*vector_specs, NO_HOLD_OUT, seed=0)
    good = make_label(0, make_segment(0), make_segment(1))
    bad = make_label(1, make_segment(2), make_segment(3, observations=np.zeros((10, 5))))
    with pytest.raises(ValueError, match="do not end in the space's shape"):
        dataset.update([good, bad])
    assert len(dataset) == 0
