"""A replay buffer on disk as plain arrays, so that a continued agent keeps its experience."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

__all__ = ["REPLAY", "load_replay", "save_replay"]

REPLAY = "replay.safetensors"

_MOST_BYTES = 512 * 1024**2
_ARRAYS = ("observations", "next_observations", "actions", "rewards", "label_versions", "dones", "timeouts")


def save_replay(folder: Path, model: Any) -> None:
    """Write the filled part of the model's replay buffer, unless it has none or the part is larger than 512 MiB.

    A continued agent without stored experience gathers some before it learns again.
    """
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        return
    filled = buffer.buffer_size if buffer.full else buffer.pos
    arrays = {name: np.ascontiguousarray(array[:filled]) for name, array in _arrays(buffer).items()}
    if sum(array.nbytes for array in arrays.values()) <= _MOST_BYTES:
        save_file(arrays | {"position": np.array([buffer.pos, buffer.full])}, folder / REPLAY)


def load_replay(folder: Path, model: Any) -> None:
    """Fill the model's replay buffer from ``folder``, if one was saved there."""
    path = folder / REPLAY
    if not path.exists():
        return
    arrays, buffer = load_file(path), model.replay_buffer
    buffer.pos, buffer.full = int(arrays["position"][0]), bool(arrays["position"][1])
    for name, array in _arrays(buffer).items():
        array[: len(arrays[name])] = arrays[name]


def _arrays(buffer: Any) -> dict[str, np.ndarray]:
    """The buffer's arrays by name; of Dict observations, each entry's array."""
    found: dict[str, np.ndarray] = {}
    for name in _ARRAYS:
        value = getattr(buffer, name, None)
        if isinstance(value, dict):
            found |= {f"{name}/{key}": array for key, array in value.items()}
        elif value is not None:
            found[name] = value
    return found
