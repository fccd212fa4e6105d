"""Clips: what people see of a segment. They are stored apart from the segment, and agents never see them."""

from __future__ import annotations

import itertools
import json
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

__all__ = ["Clip", "decode_clip", "encode_clip"]

_COMPRESSION_LEVEL = 1
"""zlib's fastest level: the policy process waits for it, and unchanged pixels, which are zeros, compress well anyway"""


@dataclass(frozen=True, eq=False)
class Clip:
    """One frame per step of a segment, or one simulator state per step that is rendered when somebody looks at it.

    Rendering a simulator takes much longer than stepping it, and few segments are ever shown. Exactly one of ``frames``
    and ``states`` is given.

    Raises:
        ValueError: if both or neither are given, or a shape or dtype is wrong.
    """

    frames: np.ndarray | None = None
    """shape (T, H, W, 3) uint8"""
    states: np.ndarray | None = None
    """shape (T, F) float64, as `prefrl.recording.state_rendering.state_of` returns them"""

    def __post_init__(self) -> None:
        if (self.frames is None) == (self.states is None):
            given = "both" if self.frames is not None else "neither"
            raise ValueError(f"a clip has either frames or states, got {given}")
        for name, array, dimensions, dtype in (
            ("frames", self.frames, 4, np.uint8),
            ("states", self.states, 2, np.float64),
        ):
            if array is not None and (array.ndim != dimensions or array.dtype != dtype or len(array) == 0):
                raise ValueError(
                    f"a clip's {name} are {array.dtype} of shape {array.shape}; {np.dtype(dtype)} of "
                    f"{dimensions} dimensions are needed, with at least 1 step"
                )
        if self.frames is not None and self.frames.shape[3] != 3:
            raise ValueError(f"a clip's frames have shape {self.frames.shape}; (T, H, W, 3) is needed")

    def __len__(self) -> int:
        """Number of steps, T."""
        data = self.states if self.frames is None else self.frames
        assert data is not None
        return len(data)


def encode_clip(clip: Clip) -> bytes:
    """Compress a clip to bytes, lossless. Each frame is stored as its difference from the frame before."""
    if clip.frames is None:
        assert clip.states is not None
        arrays = {"states": np.ascontiguousarray(clip.states)}
    else:
        changes = clip.frames.copy()
        changes[1:] ^= clip.frames[:-1]
        arrays = {"changes": changes}
    return zlib.compress(safetensors.numpy.save(arrays), _COMPRESSION_LEVEL)


def decode_clip(payload: bytes) -> Clip:
    """Inverse of `encode_clip`; raises ValueError if the bytes are damaged or not a clip."""
    try:
        arrays = safetensors.numpy.load(zlib.decompress(payload))
        if "states" in arrays:
            return Clip(states=arrays["states"])
        frames = arrays["changes"].copy()
        for before, frame in itertools.pairwise(frames):
            frame ^= before
        return Clip(frames=frames)
    except (zlib.error, SafetensorError, struct.error, json.JSONDecodeError, KeyError, ValueError) as error:
        raise ValueError(
            f"{len(payload)} bytes are not an intact clip ({type(error).__name__}: {error}); "
            "the file they come from is damaged, restore it from a copy"
        ) from error
