"""The labelled segments as tensors, each kept once however many queries hold it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from prefrl.frames import pack_frames
from prefrl.reward.inputs import channel_axis, check_array, feature_tensor
from prefrl.spaces import SpaceSpec
from prefrl.types import Segment

__all__ = ["FeatureStore", "FrameStore", "SegmentTable"]

SEGMENTS_PER_BATCH = 32


class FeatureStore:
    """Feature vectors: all steps of all segments in one tensor, so that a minibatch is one indexing."""

    def __init__(self, spec: SpaceSpec) -> None:
        self._spec = spec
        self._steps = torch.empty(0, spec.num_features)
        self._pieces: dict[str, Tensor] = {}
        self.lengths = torch.empty(0, dtype=torch.int64)
        """steps of each row"""
        self._starts = self.lengths

    def replace(self, keys: Sequence[str], new: Mapping[str, np.ndarray]) -> None:
        """Hold exactly these keys as rows in this order; ``new`` has the arrays (T, *shape) not held yet."""
        held = self._pieces
        pieces = [held[key] if key in held else feature_tensor(self._spec, new[key]) for key in keys]
        self._steps = torch.cat([self._steps[:0], *pieces])
        self._pieces = dict(zip(keys, self._steps.split([len(piece) for piece in pieces]), strict=True))
        self.lengths = torch.tensor([len(piece) for piece in pieces], dtype=torch.int64)
        self._starts = self.lengths.cumsum(0) - self.lengths

    def gather(self, rows: Tensor, steps: Tensor) -> Tensor:
        """Features (R, T, F) of ``steps`` (R, T) of ``rows`` (R,)."""
        return self._steps[self._starts[rows][:, None] + steps]


class FrameStore:
    """Stacked images as single frames: 28 frames, not 100, for 25 steps of a stack of 4."""

    def __init__(self, spec: SpaceSpec) -> None:
        self._channel_axis = channel_axis(spec.shape)
        self._packed: dict[str, tuple[Tensor, Tensor]] = {}
        self._rows: list[tuple[Tensor, Tensor]] = []

    def replace(self, keys: Sequence[str], new: Mapping[str, np.ndarray]) -> None:
        """Hold exactly these keys as rows in this order; ``new`` has the images (T, *shape) not held yet."""
        held = self._packed
        self._packed = {key: held[key] if key in held else self._pack(new[key]) for key in keys}
        self._rows = list(self._packed.values())

    def gather(self, rows: Tensor, steps: Tensor) -> Tensor:
        """Images (R, T, C, H, W), uint8, of ``steps`` (R, T) of ``rows`` (R,)."""
        packed = [self._rows[row] for row in rows.tolist()]
        starts = np.cumsum([0, *(len(frames) for frames, _ in packed)]).tolist()
        index = torch.stack(
            [at[step] + start for (_, at), step, start in zip(packed, steps, starts, strict=False)]
        )
        return torch.cat([frames for frames, _ in packed])[index]

    def _pack(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        frames, index = pack_frames(images, channel_axis=1 + self._channel_axis)
        return torch.from_numpy(frames), torch.from_numpy(index).long()


class SegmentTable:
    """Rows of segments of any lengths, read as padded batches."""

    def __init__(self, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
        self._observation_spec, self._action_spec = observation_spec, action_spec
        self._observations = (
            FrameStore(observation_spec) if observation_spec.is_image else FeatureStore(observation_spec)
        )
        self._actions = FeatureStore(action_spec)
        self._rows: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def num_steps(self) -> int:
        """Steps of all segments together."""
        return int(self._actions.lengths.sum())

    def check(self, segment: Segment) -> None:
        """Raise ValueError unless the segment is one of these spaces."""
        for spec, array, what in (
            (self._observation_spec, segment.observations, "observations"),
            (self._action_spec, segment.actions, "actions"),
        ):
            check_array(spec, array, f"segment {segment.id[:12]}: {what}")
            if array.ndim != 1 + len(spec.shape):
                raise ValueError(
                    f"segment {segment.id[:12]}: {what} of shape {array.shape} are not (T, *{spec.shape})"
                )

    def replace(self, segment_ids: Sequence[str], new: Mapping[str, Segment]) -> None:
        """Hold exactly these segments as rows in this order; ``new`` has at least those not held yet."""
        self._observations.replace(segment_ids, {key: segment.observations for key, segment in new.items()})
        self._actions.replace(segment_ids, {key: segment.actions for key, segment in new.items()})
        self._rows = {key: row for row, key in enumerate(segment_ids)}

    def rows(self, segment_ids: list[list[str]]) -> Tensor:
        """Rows of the segments held, int64, in the shape of ``segment_ids``."""
        return torch.tensor([[self._rows[key] for key in keys] for keys in segment_ids], dtype=torch.int64)

    def gather(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Observations (R, T, *obs), actions (R, T, A) and valid (R, T) of the given rows.

        Shorter segments are padded with their last step, an input that batch norm has seen anyway; valid is 0
        there. It is None where all are of one length.
        """
        lengths = self._actions.lengths[rows]
        longest = int(lengths.max())
        steps = torch.minimum(torch.arange(longest), lengths[:, None] - 1)
        valid = (
            None if bool((lengths == longest).all()) else (torch.arange(longest) < lengths[:, None]).float()
        )
        return self._observations.gather(rows, steps), self._actions.gather(rows, steps), valid

    def step_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All steps of the segments once, as observations (M, *obs) and actions (M, A)."""
        for rows in torch.arange(len(self)).split(SEGMENTS_PER_BATCH):
            observations, actions, valid = self.gather(rows)
            is_step = slice(None) if valid is None else valid.flatten().bool()
            yield observations.flatten(0, 1)[is_step], actions.flatten(0, 1)[is_step]
