"""The comparisons that the reward is trained on, and their minibatches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from prefrl.config import RewardConfig
from prefrl.config.modality import modality_of
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Comparison, LabelledQuery, Segment
from prefrl.data.validation_split import bootstrap_weights, components, validation_segments
from prefrl.reward.segment_table import CPU, SegmentTable

__all__ = ["ComparisonDataset", "Minibatch"]

Key = tuple[int, str]
"""query id and annotator: the newest answer of an annotator to a query counts"""


@dataclass(frozen=True)
class Minibatch:
    """B answered queries of K segments, padded to T steps; all tensors are on the dataset's device."""

    observations: Tensor
    """shape (B * K * T, *obs), as the network takes them (`prefrl.reward.inputs`)"""
    actions: Tensor
    """shape (B * K * T, A) float32 features"""
    valid: Tensor | None
    """shape (B, K, T) float32, 0 on padded steps, else 1; None if all segments have one length"""
    num_steps: int
    """T"""
    ranks: Tensor
    """shape (B, K) int64, 1 the best"""
    true_returns: Tensor
    """shape (B, K) float32, of the segments; used by the regression ablation only"""
    noise: Tensor
    """shape (B,) float32, share of answers assumed uniformly random"""
    weights: Tensor
    """shape (E, B) float32, how often each member draws the query; 0 is out of bag"""


@dataclass(frozen=True)
class _Answer:
    """A comparison with the ids of its segments; holding the segments would keep whole image stacks in memory."""

    position: int
    comparison: Comparison
    segment_ids: list[str]
    split_keys: list[str]
    """one per segment, decide between training and validation: the segment's id, or the prompt that it answers"""
    true_returns: list[float]


@dataclass(frozen=True)
class _Group:
    """The Q queries of one side of the split that have the same number of segments; tensors are on the CPU."""

    rows: Tensor  # (Q, K) row numbers in the segment table
    ranks: Tensor  # (Q, K)
    true_returns: Tensor  # (Q, K)
    weights: Tensor  # (E, Q)
    annotators: np.ndarray  # (Q,) str
    roots: list[str]  # (Q,) component of queries that share segments; empty unless batch_shared


class ComparisonDataset:
    """The newest ``config.last_labels`` comparisons, split into training and validation.

    Comparisons are ordered by id (by arrival if they have none), so the order in which they are given does not
    matter, nor whether they are given again. An annotator's newest answer to a query supersedes the earlier ones;
    if it is "can't tell", the query has no answer of that annotator.

    Args:
        observation_spec: layout of the observations.
        action_spec: layout of the actions.
        config: batches, bootstrap, validation split.
        seed: of the bootstrap.
        device: where the segments are kept and the minibatches come from.
    """

    def __init__(
        self,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        config: RewardConfig,
        seed: int,
        device: torch.device = CPU,
    ) -> None:
        self._config, self._seed, self._modality = config, seed, modality_of(observation_spec)
        self._device = device
        self.segments = SegmentTable(observation_spec, action_spec, device)
        self._answers: dict[Key, _Answer] = {}
        self._arrivals = 0
        self._groups: dict[bool, list[_Group]] = {False: [], True: []}

    def __len__(self) -> int:
        return self.num_training + self.num_validation

    @property
    def num_training(self) -> int:
        """Comparisons to train on."""
        return sum(len(group.ranks) for group in self._groups[False])

    @property
    def num_validation(self) -> int:
        """Comparisons held out; none of their segments is trained on."""
        return sum(len(group.ranks) for group in self._groups[True])

    def update(self, labelled: Sequence[LabelledQuery]) -> None:
        """Add comparisons, new ones or all of them again.

        Raises:
            ValueError: when a segment does not fit the spaces; nothing is added then.
        """
        given = {id(segment): segment for item in labelled for segment in item.query.segments}.values()
        for segment in given:
            self.segments.check(segment)
        for item in labelled:
            self._add(item)
        self._rebuild({segment.id: segment for segment in given})

    def minibatches(
        self, *, validation: bool, noise_of: Mapping[str, float], generator: torch.Generator | None = None
    ) -> Iterator[Minibatch]:
        """One pass over the comparisons in batches of about ``config.batch_size`` queries of equal K.

        With ``config.batch_shared``, queries that share segments, directly or through others, are in one batch, or
        in as few as possible.

        Args:
            validation: the comparisons held out instead of those to train on.
            noise_of: noise of annotators' answers by name; others have ``config.label_noise``.
            generator: on the CPU, shuffles queries and batches; without it they are in order.
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

    def _add(self, item: LabelledQuery) -> None:
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
                [self._modality.validation_key(each) for each in segments],
                [each.true_return for each in segments],
            )

    def _rebuild(self, new: Mapping[str, Segment]) -> None:
        answered = [answer for answer in self._answers.values() if answer.comparison.ranks is not None]
        answered.sort(key=lambda answer: answer.position)
        kept = answered[-self._config.last_labels :]
        if len(answered) > len(kept):
            # "Can't tell" as well: the answers that it supersedes are older still.
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
            # By query, not by comparison: otherwise a member trains on one answer to a query and validates on
            # another.
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
        noise = torch.tensor([noise_of.get(name, default) for name in group.annotators[part.numpy()]])
        return Minibatch(
            observations=observations.flatten(0, 1),
            actions=actions.flatten(0, 1),
            valid=None if valid is None else valid.view(*rows.shape, -1),
            num_steps=actions.shape[1],
            ranks=group.ranks[part].to(self._device),
            true_returns=group.true_returns[part].to(self._device),
            noise=noise.to(self._device),
            weights=group.weights[:, part].to(self._device),
        )


def _by_num_segments(answers: Iterable[_Answer]) -> list[list[_Answer]]:
    groups: dict[int, list[_Answer]] = {}
    for answer in answers:
        groups.setdefault(len(answer.segment_ids), []).append(answer)
    return list(groups.values())


def _equal_parts(queries: Tensor, size: int) -> Sequence[Tensor]:
    """``queries`` (Q,) in equal parts of at most ``size``: a batch of the one or two left over would be a full step."""
    return queries.tensor_split(math.ceil(len(queries) / size))


def _whole_components(queries: Tensor, roots: Sequence[str], size: int) -> list[Tensor]:
    """``queries`` (Q,) in parts of at most ``size``; only components larger than that are divided."""
    of_component: dict[str, list[int]] = {}
    for query in queries.tolist():
        of_component.setdefault(roots[query], []).append(query)
    parts: list[list[int]] = []
    for members in of_component.values():
        for part in _equal_parts(torch.tensor(members), size):
            if not parts or len(parts[-1]) + len(part) > size:
                parts.append([])
            parts[-1].extend(part.tolist())
    return [torch.tensor(part) for part in parts]
