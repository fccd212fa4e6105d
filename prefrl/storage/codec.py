"""A segment as bytes: safetensors, compressed, image stacks as single frames. Lossless; never pickle."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import asdict
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from prefrl.data.frames import pack_frames, unpack_frames
from prefrl.data.types import Provenance, Segment
from prefrl.storage.errors import StoreError

__all__ = [
    "ARRAYS",
    "decode_segment",
    "encode_segment",
    "pack_stacks",
    "provenance_from_json",
    "provenance_to_json",
]

ARRAYS = ("observations", "actions", "true_rewards", "terminated", "truncated")
"""names of a segment's arrays"""

COMPRESSION_LEVEL = 1
"""zlib's fastest: frames shrink severalfold already, and the policy process waits for it"""


def encode_segment(segment: Segment) -> bytes:
    """Encode a segment; `decode_segment` gives back one with the same arrays, dtypes and id.

    Raises:
        StoreError: when an array's dtype has no safetensors counterpart, or the provenance is not plain.
    """
    arrays = {name: getattr(segment, name) for name in ARRAYS}
    header: dict[str, Any] = {
        "provenance": provenance_to_json(segment.provenance),
        "dtypes": {name: array.dtype.str for name, array in arrays.items()},
        "channel_axis": None,
    }
    packed = pack_stacks(segment.observations)
    if packed is not None:
        del arrays["observations"]
        arrays["frames"], arrays["frame_index"], header["channel_axis"] = packed
    # safetensors reads the buffer as it lies: a view that is not C-contiguous would be saved scrambled
    plain = {
        name: np.ascontiguousarray(array, array.dtype.newbyteorder("=")) for name, array in arrays.items()
    }
    try:
        raw = safetensors.numpy.save(plain, metadata={"segment": json.dumps(header)})
    except SafetensorError as error:
        raise StoreError(
            f"a segment cannot be stored: {error}; convert the array to float64 or smaller"
        ) from error
    return zlib.compress(raw, COMPRESSION_LEVEL)


def decode_segment(payload: bytes) -> Segment:
    """Inverse of `encode_segment`; raises StoreError when the bytes are damaged or something else."""
    try:
        raw = zlib.decompress(payload)
        arrays = safetensors.numpy.load(raw)
        header = _header(raw)
        if header["channel_axis"] is not None:
            frames, index = arrays.pop("frames"), arrays.pop("frame_index")
            arrays["observations"] = unpack_frames(frames, index, header["channel_axis"])
        typed = {name: arrays[name].astype(header["dtypes"][name], copy=False) for name in ARRAYS}
        return Segment(**typed, provenance=provenance_from_json(header["provenance"]))
    except (zlib.error, SafetensorError, struct.error, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{len(payload)} bytes are no intact segment ({type(error).__name__}: {error}); "
            "the file they come from is damaged, restore it from a copy"
        ) from error


def pack_stacks(observations: np.ndarray) -> tuple[np.ndarray, np.ndarray, int] | None:
    """Frames, index and channel axis of stacked uint8 images; None where packing saves nothing."""
    if observations.dtype != np.uint8 or observations.ndim != 4:
        return None
    channel_axis = -1 if observations.shape[3] <= observations.shape[1] else 1
    frames, index = pack_frames(observations, channel_axis)
    return (frames, index, channel_axis) if frames.nbytes + index.nbytes < observations.nbytes else None


def provenance_to_json(provenance: Provenance) -> dict[str, Any]:
    """A JSON-ready dict.

    Raises:
        StoreError: when a field is not a plain str or int. A NumPy integer would come back as an int, whose
            different repr would give the segment another id.
    """
    data = asdict(provenance)
    for name, value in data.items():
        wanted = str if name == "env_id" else int
        if type(value) is not wanted:
            raise StoreError(f"provenance has {name} {value!r}; convert it with {wanted.__name__}() first")
    return data


def provenance_from_json(data: dict[str, Any]) -> Provenance:
    """Inverse of `provenance_to_json`; raises TypeError on missing or unknown fields, or values of another type."""
    provenance = Provenance(**data)
    for name, value in data.items():
        if type(value) is not (str if name == "env_id" else int):
            raise TypeError(f"provenance has {name} {value!r}")
    return provenance


def _header(raw: bytes) -> dict[str, Any]:
    """The metadata of a safetensors buffer, which its own loader leaves out: length as u64, then JSON."""
    (length,) = struct.unpack_from("<Q", raw)
    return json.loads(json.loads(raw[8 : 8 + length])["__metadata__"]["segment"])
