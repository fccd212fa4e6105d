"""The labelled segments as tensors on one device, each kept once however many queries contain it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from prefrl.data.frames import pack_frames
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Segment
from prefrl.reward.inputs import channel_axis, channels_first_shape, check_array, chunk_steps, feature_tensor

__all__ = ["FeatureStore", "FrameStore", "SegmentTable"]

CPU = torch.device("cpu")


class StepTable:
    """R rows of different numbers of steps, all in one tensor, so that a minibatch is one indexing operation."""

    def __init__(self, num_columns: int, dtype: torch.dtype, device: torch.device = CPU) -> None:
        self._device = device
        self._steps = torch.empty(0, num_columns, dtype=dtype, device=device)
        self.spans: dict[str, Tensor] = {}
        """the steps (T, C) of each row by its key, views in the order of the rows"""
        self.lengths = torch.empty(0, dtype=torch.int64)
        """shape (R,), steps of each row; always on the CPU, which computes the shapes of batches from it"""
        self._places = torch.empty(0, 0, dtype=torch.int64, device=device)
        """shape (R, T) for the longest row, where the steps of each row are; shorter rows repeat their last"""

    def replace(self, keys: Sequence[str], new: Mapping[str, Tensor]) -> None:
        """Hold exactly these keys as rows in this order; ``new`` has the steps (T, C) of keys not held yet."""
        spans = [self.spans[key] if key in self.spans else new[key].to(self._device) for key in keys]
        self._steps = torch.cat([self._steps[:0], *spans])
        self.spans = dict(zip(keys, self._steps.split([len(piece) for piece in spans]), strict=True))
        self.lengths = torch.tensor([len(piece) for piece in spans], dtype=torch.int64)
        starts, last = self.lengths.cumsum(0) - self.lengths, self.lengths - 1
        steps = torch.arange(int(self.lengths.max()) if spans else 0)
        self._places = (starts[:, None] + torch.minimum(steps, last[:, None])).to(self._device)

    def gather(self, rows: Tensor, num_steps: int) -> Tensor:
        """The first ``num_steps`` (T) of ``rows`` (B,), shape (B, T, C); shorter rows repeat their last step."""
        return self._steps[self._places[rows.to(self._device), :num_steps]]


class FeatureStore:
    """Segments of feature vectors, float32."""

    def __init__(self, spec: SpaceSpec, device: torch.device = CPU) -> None:
        self._spec = spec
        self._features = StepTable(spec.num_features, torch.float32, device)

    @property
    def lengths(self) -> Tensor:
        """Steps of each row, int64 (R,), on the CPU."""
        return self._features.lengths

    def replace(self, keys: Sequence[str], new: Mapping[str, np.ndarray]) -> None:
        """Hold exactly these keys as rows in this order; ``new`` has the arrays (T, *shape) not held yet."""
        missing = [key for key in keys if key not in self._features.spans]
        self._features.replace(keys, {key: feature_tensor(self._spec, new[key]) for key in missing})

    def gather(self, rows: Tensor, num_steps: int) -> Tensor:
        """Features (B, T, F) of the first ``num_steps`` (T) of ``rows`` (B,)."""
        return self._features.gather(rows, num_steps)


class FrameStore:
    """Segments of stacked images, stored as single frames: 28 frames, not 100, for 25 steps of a stack of 4.

    All frames are in one tensor whose places are reused. A tensor per segment, allocated and freed between the large
    temporary tensors of a fit, fragments the heap: the holes are too small for the next temporaries, and memory grows
    although no more is held.
    """

    def __init__(self, spec: SpaceSpec, device: torch.device = CPU) -> None:
        num_channels, height, width = channels_first_shape(spec)
        self._device = device
        self._channel_axis = channel_axis(spec.shape)
        self._frames = torch.empty(0, height, width, dtype=torch.uint8, device=device)
        self._free = torch.empty(0, dtype=torch.int64, device=device)
        """unused places in the frames, the latest freed first: memory of places never used is not allocated"""
        self._stacks = StepTable(num_channels, torch.int64, device)
        """the places of each step's frames"""

    def replace(self, keys: Sequence[str], new: Mapping[str, np.ndarray]) -> None:
        """Hold exactly these keys as rows in this order; ``new`` has the images (T, *shape) not held yet."""
        held, wanted = self._stacks.spans, set(keys)
        dropped = [places.unique() for key, places in held.items() if key not in wanted]
        self._free = torch.cat([*dropped, self._free])
        self._stacks.replace(keys, {key: self._store(new[key]) for key in keys if key not in held})

    def gather(self, rows: Tensor, num_steps: int) -> Tensor:
        """Images (B, T, C, H, W), uint8, of the first ``num_steps`` (T) of ``rows`` (B,)."""
        places = self._stacks.gather(rows, num_steps)
        # Many times as fast as indexing, which copies byte by byte.
        frames = self._frames.index_select(0, places.flatten())
        return frames.view(*places.shape, *frames.shape[1:])

    def _store(self, images: np.ndarray) -> Tensor:
        """Store the frames of these images; returns their places (T, C)."""
        frames, index = pack_frames(images, channel_axis=1 + self._channel_axis)
        if len(self._free) < len(frames):
            self._grow(len(frames))
        places, self._free = self._free[: len(frames)], self._free[len(frames) :]
        self._frames[places] = torch.from_numpy(frames).to(self._device)
        return places[torch.from_numpy(index).long().to(self._device)]

    def _grow(self, least: int) -> None:
        """Double the places, and add at least ``least``."""
        count = len(self._frames)
        shape = (count + max(count, least), *self._frames.shape[1:])
        grown = torch.empty(shape, dtype=torch.uint8, device=self._device)
        grown[:count] = self._frames
        self._frames = grown
        self._free = torch.cat([self._free, torch.arange(count, len(grown), device=self._device)])


class SegmentTable:
    """Rows of segments of any lengths, read as padded batches.

    Args:
        observation_spec: layout of the observations.
        action_spec: layout of the actions.
        device: where the segments are kept and the batches come from.
    """

    def __init__(
        self, observation_spec: SpaceSpec, action_spec: SpaceSpec, device: torch.device = CPU
    ) -> None:
        self._observation_spec, self._action_spec, self._device = observation_spec, action_spec, device
        store = FrameStore if observation_spec.is_image else FeatureStore
        self._observations = store(observation_spec, device)
        self._actions = FeatureStore(action_spec, device)
        self._rows: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def num_steps(self) -> int:
        """Steps of all segments together."""
        return int(self._actions.lengths.sum())

    def check(self, segment: Segment) -> None:
        """Raise ValueError unless the segment's arrays are samples of these spaces."""
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
        """Row numbers of segments held, int64, in the shape of ``segment_ids``; on the CPU."""
        return torch.tensor([[self._rows[key] for key in keys] for keys in segment_ids], dtype=torch.int64)

    def gather(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Observations (B, T, *obs), actions (B, T, A) and valid (B, T) of ``rows`` (B,), which are on the CPU.

        Shorter segments are padded with their last step, an input that batch norm has seen anyway; valid is 0
        there. It is None if all segments have one length.
        """
        lengths = self._actions.lengths[rows]
        longest = int(lengths.max())
        is_padded = int(lengths.min()) < longest
        valid = (torch.arange(longest) < lengths[:, None]).float().to(self._device) if is_padded else None
        return self._observations.gather(rows, longest), self._actions.gather(rows, longest), valid

    def step_batches(self, max_steps: float = math.inf) -> Iterator[tuple[Tensor, Tensor]]:
        """All steps of the segments once, as observations (M, *obs) and actions (M, A).

        If there are more than ``max_steps``, the steps of evenly spaced segments that have about that many.
        """
        if not len(self):
            return
        every = max(1, math.ceil(self.num_steps / max_steps))
        size = max(1, chunk_steps(self._observation_spec) // int(self._actions.lengths.max()))
        for rows in torch.arange(0, len(self), every).split(size):
            observations, actions, valid = self.gather(rows)
            is_step = slice(None) if valid is None else valid.flatten().bool()
            yield observations.flatten(0, 1)[is_step], actions.flatten(0, 1)[is_step]
