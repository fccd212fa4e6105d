"""The comparisons the reward is trained on, and the minibatches made of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Comparison, LabelledQuery, Segment
from prefrl.data.validation_split import bootstrap_weights, components, split_key, validation_segments
from prefrl.reward.segment_table import SegmentTable

__all__ = ["ComparisonDataset", "Minibatch"]

Key = tuple[int, str]
"""query id and annotator: an annotator has one answer to a query that counts"""


@dataclass(frozen=True)
class Minibatch:
    """B answered queries of K segments, padded to T steps."""

    observations: Tensor
    """shape (B * K * T, *obs), as the network takes them (`prefrl.reward.inputs`)"""
    actions: Tensor
    """shape (B * K * T, A) float32 features"""
    valid: Tensor | None
    """shape (B, K, T), 0 on padded steps, else 1; None where all segments are of one length"""
    num_steps: int
    """T"""
    ranks: Tensor
    """shape (B, K) int64, 1 the best"""
    true_returns: Tensor
    """shape (B, K) float32, of the segments; only the regression ablation fits them"""
    noise: Tensor
    """shape (B,), share of answers assumed uniformly random"""
    weights: Tensor
    """shape (E, B), how often each member draws the query; 0 is out of bag"""


@dataclass(frozen=True)
class _Answer:
    """A comparison with the ids of its segments; the segments themselves would pin whole image stacks."""

    position: int
    comparison: Comparison
    segment_ids: list[str]
    split_keys: list[str]
    """what decides on the side: the segments, or the prompts that they answer"""
    true_returns: list[float]


@dataclass(frozen=True)
class _Group:
    """The Q queries of one side that have the same number of segments."""

    rows: Tensor  # (Q, K), of the segment table
    ranks: Tensor  # (Q, K)
    true_returns: Tensor  # (Q, K)
    weights: Tensor  # (E, Q)
    annotators: np.ndarray  # (Q,) str
    roots: list[str]  # (Q,) of the components that they form, where batches are made of these, else none


class ComparisonDataset:
    """Newest ``config.last_labels`` comparisons, split into training and validation.

    Comparisons are ordered by id (by arrival where they have none), so that it does not matter in which order
    or how often they are handed over. One answer of each annotator to a query counts: the newest.
    "Can't tell" is no answer, and removes an earlier one.
    """

    def __init__(
        self, observation_spec: SpaceSpec, action_spec: SpaceSpec, config: RewardConfig, seed: int
    ) -> None:
        self._config, self._seed, self._observation_spec = config, seed, observation_spec
        self.segments = SegmentTable(observation_spec, action_spec)
        self._answers: dict[Key, _Answer] = {}
        self._arrivals = 0
        self._groups: dict[bool, list[_Group]] = {False: [], True: []}

    def __len__(self) -> int:
        return self.num_training + self.num_validation

    @property
    def num_training(self) -> int:
        """Comparisons on the training side."""
        return sum(len(group.ranks) for group in self._groups[False])

    @property
    def num_validation(self) -> int:
        """Comparisons held out, no segment of which is in training."""
        return sum(len(group.ranks) for group in self._groups[True])

    def update(self, labelled: Sequence[LabelledQuery]) -> None:
        """Take in comparisons, new ones or all of them again.

        Raises:
            ValueError: when a segment is not one of these spaces; nothing is taken in then.
        """
        given = {id(segment): segment for item in labelled for segment in item.query.segments}.values()
        for segment in given:
            self.segments.check(segment)
        for item in labelled:
            self._take(item)
        self._rebuild({segment.id: segment for segment in given})

    def minibatches(
        self, *, validation: bool, noise_of: Mapping[str, float], generator: torch.Generator | None = None
    ) -> Iterator[Minibatch]:
        """One pass over a side in batches of about ``config.batch_size`` queries of equal K.

        With ``config.batch_shared`` those that share segments, directly or through others, come in one batch, or in
        as few as hold them.

        Args:
            validation: the held-out side instead of the training side.
            noise_of: noise of annotators' answers; ``config.label_noise`` for those not in it.
            generator: shuffles queries and batches; without it they come in order.
        """
        batches: list[tuple[_Group, Tensor]] = []
        size, shared = self._config.batch_size, self._config.batch_shared
        for group in self._groups[validation]:
            count = len(group.ranks)
            order = torch.arange(count) if generator is None else torch.randperm(count, generator=generator)
            parts = _whole_components(order, group.roots, size) if shared else _equal_parts(order, size)
            batches.extend((group, part) for part in parts)
        if generator is not None and (shared or len(self._groups[validation]) > 1):
            batches = [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
        for group, part in batches:
            yield self._minibatch(group, part, noise_of)

    def _take(self, item: LabelledQuery) -> None:
        comparison = item.comparison
        key = (comparison.query_id, comparison.annotator)
        held = self._answers.get(key)
        if held is not None and held.comparison == comparison:
            return
        self._arrivals += 1
        position = self._arrivals if comparison.id is None else comparison.id
        if held is None or position >= held.position:
            segments = item.query.segments
            self._answers[key] = _Answer(
                position,
                comparison,
                [each.id for each in segments],
                [split_key(each, self._observation_spec) for each in segments],
                [each.true_return for each in segments],
            )

    def _rebuild(self, new: Mapping[str, Segment]) -> None:
        answered = [answer for answer in self._answers.values() if answer.comparison.ranks is not None]
        answered.sort(key=lambda answer: answer.position)
        kept = answered[-self._config.last_labels :]
        if len(answered) > len(kept):
            # "Can't tell" as well: what it would hold off is too old to come back.
            oldest = kept[0].position
            self._answers = {key: held for key, held in self._answers.items() if held.position >= oldest}
        self.segments.replace(list(dict.fromkeys(id for answer in kept for id in answer.segment_ids)), new)
        held_out = validation_segments(
            (answer.split_keys for answer in kept), self._config.validation_fraction
        )
        for validation in (False, True):
            side = [answer for answer in kept if (answer.split_keys[0] in held_out) == validation]
            self._groups[validation] = [self._group(answers) for answers in _by_num_segments(side)]

    def _group(self, answers: Sequence[_Answer]) -> _Group:
        members = self._config.members
        weights = np.ones((len(answers), members), dtype=np.float32)
        if self._config.bootstrap:
            # By query, not by comparison: else a member would validate on one answer and train on another to
            # the same query.
            queries = (answer.comparison.query_id for answer in answers)
            weights = np.stack([bootstrap_weights(self._seed, query, members) for query in queries])
        root_of = components(answer.segment_ids for answer in answers) if self._config.batch_shared else {}
        return _Group(
            rows=self.segments.rows([answer.segment_ids for answer in answers]),
            ranks=torch.tensor([answer.comparison.ranks for answer in answers]),
            true_returns=torch.tensor([answer.true_returns for answer in answers], dtype=torch.float32),
            weights=torch.from_numpy(np.ascontiguousarray(weights.T)),
            annotators=np.array([answer.comparison.annotator for answer in answers]),
            roots=[root_of[answer.segment_ids[0]] for answer in answers] if root_of else [],
        )

    def _minibatch(self, group: _Group, part: Tensor, noise_of: Mapping[str, float]) -> Minibatch:
        rows = group.rows[part]
        observations, actions, valid = self.segments.gather(rows.flatten())
        default = self._config.label_noise
        return Minibatch(
            observations=observations.flatten(0, 1),
            actions=actions.flatten(0, 1),
            valid=None if valid is None else valid.view(*rows.shape, -1),
            num_steps=actions.shape[1],
            ranks=group.ranks[part],
            true_returns=group.true_returns[part],
            noise=torch.tensor([noise_of.get(name, default) for name in group.annotators[part.numpy()]]),
            weights=group.weights[:, part],
        )


def _by_num_segments(answers: Iterable[_Answer]) -> list[list[_Answer]]:
    groups: dict[int, list[_Answer]] = {}
    for answer in answers:
        groups.setdefault(len(answer.segment_ids), []).append(answer)
    return list(groups.values())


def _equal_parts(queries: Tensor, size: int) -> Sequence[Tensor]:
    """``queries`` (Q,) in parts of at most ``size``: a rest of one or two would take as large a step as a batch."""
    return queries.tensor_split(math.ceil(len(queries) / size))


def _whole_components(queries: Tensor, roots: Sequence[str], size: int) -> list[Tensor]:
    """``queries`` (Q,) in parts of at most ``size``, each of whole components but where one is larger than that."""
    of_component: dict[str, list[int]] = {}
    for query in queries.tolist():
        of_component.setdefault(roots[query], []).append(query)
    parts: list[list[int]] = []
    for together in of_component.values():
        for part in _equal_parts(torch.tensor(together), size):
            if not parts or len(parts[-1]) + len(part) > size:
                parts.append([])
            parts[-1].extend(part.tolist())
    return [torch.tensor(part) for part in parts]
