"""Packs stacked image observations into single frames: consecutive stacks share all frames but one."""

from __future__ import annotations

import numpy as np

__all__ = ["pack_frames", "unpack_frames"]


def pack_frames(observations: np.ndarray, channel_axis: int = -1) -> tuple[np.ndarray, np.ndarray]:
    """Store each distinct frame of stacked observations once; lossless for any stacks.

    Args:
        observations: shape (T, H, W, S), or (T, S, H, W) with ``channel_axis=1``; S frames per stack.
        channel_axis: the axis of S, -1 (or 3) or 1.

    Returns:
        frames (F, H, W) in order of first appearance, and index (T, S) int32 into them. If each step adds
        one frame, F = T + S - 1: 25 stacks of 4 give 28 frames, not 100.

    Raises:
        ValueError: if the observations do not have 4 dimensions, or the axis is invalid.
    """
    if observations.ndim != 4:
        raise ValueError(
            f"stacked observations need 4 dimensions, (T, H, W, S) or (T, S, H, W), got {observations.shape}"
        )
    stacks = np.ascontiguousarray(np.moveaxis(observations, _checked(channel_axis), 1))
    steps, size = stacks.shape[:2]
    singles = stacks.reshape(steps * size, *stacks.shape[2:])
    numbers: dict[bytes, int] = {}
    index = np.empty(steps * size, dtype=np.int32)
    firsts: list[int] = []
    for position, frame in enumerate(singles):
        index[position] = numbers.setdefault(frame.tobytes(), len(numbers))
        if len(numbers) > len(firsts):
            firsts.append(position)
    return singles[np.asarray(firsts, dtype=np.int64)], index.reshape(steps, size)


def unpack_frames(frames: np.ndarray, index: np.ndarray, channel_axis: int = -1) -> np.ndarray:
    """Inverse of `pack_frames`: a contiguous array (T, H, W, S), or (T, S, H, W) with ``channel_axis=1``.

    Raises:
        ValueError: if an index points outside the frames.
    """
    if index.size and (index.min() < 0 or index.max() >= len(frames)):
        raise ValueError(
            f"frame index runs from {index.min()} to {index.max()}, but there are {len(frames)} frames"
        )
    return np.ascontiguousarray(np.moveaxis(frames[index], 1, _checked(channel_axis)))


def _checked(channel_axis: int) -> int:
    if channel_axis not in (-1, 1, 3):
        raise ValueError(
            f"channel_axis is {channel_axis}; -1 (channels last) or 1 (channels first) is needed"
        )
    return channel_axis
