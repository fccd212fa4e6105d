"""Segments as compressed .npz files of a few hundred each, which NumPy alone can read.

A shard holds segments of one layout, end to end: `ids` (N,), `lengths` (N,), `provenance` (N,) JSON text, and
`actions`, `true_rewards`, `terminated`, `truncated` of shape (sum of lengths, ...). Observations have the same
shape or, if stacks of images, are `frames` (F, H, W), `frame_index` (sum of lengths, S) and `channel_axis`.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from prefrl.data.frames import unpack_frames
from prefrl.data.types import Segment
from prefrl.storage.codec import ARRAYS, pack_stacks, provenance_from_json, provenance_to_json
from prefrl.storage.errors import StoreError

__all__ = ["ShardWriter", "read_shard", "shard_path"]

SHARD_SEGMENTS = 512
"""bounds memory: 512 Atari segments of 25 steps are about 100 MB of single frames"""

Arrays = dict[str, np.ndarray]


def shard_path(folder: Path, number: int) -> Path:
    """Where shard ``number`` of an export lies, counted from 0."""
    return folder / f"segments-{number:05d}.npz"


class ShardWriter:
    """Collects segments and writes a shard whenever one is full; `flush` writes what is left."""

    def __init__(self, folder: Path, shard_segments: int = SHARD_SEGMENTS) -> None:
        self.shards = 0
        """shards written"""
        self._folder = folder
        self._shard_segments = shard_segments
        self._waiting: dict[tuple[Any, ...], list[Arrays]] = {}

    def add(self, segment: Segment) -> None:
        """Take one segment; writes a shard when enough of its layout have come."""
        arrays = _to_arrays(segment)
        layout = tuple(
            (name, array.shape[1:], array.dtype.str) for name, array in arrays.items() if array.ndim
        )
        waiting = self._waiting.setdefault((*layout, int(arrays.get("channel_axis", 0))), [])
        waiting.append(arrays)
        if len(waiting) == self._shard_segments:
            self._write(waiting)

    def flush(self) -> None:
        """Write the shards that are not full."""
        for waiting in self._waiting.values():
            if waiting:
                self._write(waiting)

    def _write(self, waiting: list[Arrays]) -> None:
        if "frames" in waiting[0]:
            starts = np.cumsum([0] + [len(arrays["frames"]) for arrays in waiting[:-1]])
            for arrays, start in zip(waiting, starts, strict=True):
                arrays["frame_index"] = arrays["frame_index"] + start
        np.savez_compressed(shard_path(self._folder, self.shards), **_joined(waiting))
        waiting.clear()
        self.shards += 1


def _to_arrays(segment: Segment) -> Arrays:
    arrays = {name: getattr(segment, name) for name in ARRAYS}
    packed = pack_stacks(segment.observations)
    if packed is not None:
        del arrays["observations"]
        arrays["frames"], arrays["frame_index"], axis = packed
        arrays["channel_axis"] = np.array(axis)
    return arrays | {
        "lengths": np.array([len(segment)]),
        "ids": np.array([segment.id]),
        "provenance": np.array([json.dumps(provenance_to_json(segment.provenance))], dtype=object),
    }


def _joined(waiting: list[Arrays]) -> dict[str, Any]:
    joined: Arrays = {}
    for name, first in waiting[0].items():
        parts = [arrays[name] for arrays in waiting]
        # concatenation turns foreign byte orders into the machine's own, which would change a segment's id
        joined[name] = np.concatenate(parts).astype(first.dtype, copy=False) if first.ndim else first
    return joined | {"provenance": joined["provenance"].astype(np.str_)}


def read_shard(path: Path) -> Iterator[Segment]:
    """The segments of a shard, one after another, each proved against its id.

    Raises:
        StoreError: when the file is missing, damaged or something else.
    """
    try:
        # opened here, because NumPy does not close a damaged file that it opened itself
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        yield from _segments(arrays)
    except FileNotFoundError as error:
        raise StoreError(f"{path}: is missing from the export; copy the whole folder") from error
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(f"{path}: damaged or no .npz file ({error}); export again") from error
    except (ArithmeticError, AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: holds no intact segments ({error}); export again") from error


def _segments(arrays: Arrays) -> Iterator[Segment]:
    ends = np.cumsum(arrays["lengths"])
    for number, (end, length) in enumerate(zip(ends, arrays["lengths"], strict=True)):
        steps = slice(end - length, end)
        parts = {name: arrays[name][steps] for name in ARRAYS if name in arrays}
        if "frames" in arrays:
            index, axis = arrays["frame_index"][steps], int(arrays["channel_axis"])
            parts["observations"] = unpack_frames(arrays["frames"], index, axis)
        segment = Segment(
            **parts, provenance=provenance_from_json(json.loads(str(arrays["provenance"][number])))
        )
        if segment.id != arrays["ids"][number]:
            raise ValueError(f"segment {number} is not what its id says")
        yield segment
