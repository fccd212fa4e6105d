"""Gymnasium spaces as JSON, bounds included, so that a policy can be rebuilt without its environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

__all__ = ["space_from_json", "space_to_json"]


def space_to_json(space: spaces.Space[Any]) -> dict[str, Any]:
    """Describe a space; raises ValueError for kinds that Stable-Baselines3 does not know."""
    if hasattr(space, "eos_id"):
        names = ("vocab_size", "pad_id", "eos_id", "max_prompt_tokens", "max_new_tokens")
        return {"kind": "text", **{name: int(getattr(space, name)) for name in names}}
    if isinstance(space, spaces.Box):
        shape, dtype = [int(size) for size in space.shape], str(space.dtype)
        return {
            "kind": "box",
            "shape": shape,
            "dtype": dtype,
            "low": _bounds(space.low),
            "high": _bounds(space.high),
        }
    if isinstance(space, spaces.Discrete):
        return {"kind": "discrete", "n": int(space.n), "start": int(space.start), **_padding(space)}
    if isinstance(space, spaces.MultiDiscrete):
        start = np.broadcast_to(space.start, space.nvec.shape)
        return {"kind": "multi_discrete", "nvec": space.nvec.tolist(), "start": start.tolist()}
    if isinstance(space, spaces.MultiBinary):
        return {
            "kind": "multi_binary",
            "n": [*map(int, space.n)] if isinstance(space.n, tuple) else int(space.n),
        }
    if isinstance(space, spaces.Dict):
        return {"kind": "dict", "parts": [[key, space_to_json(part)] for key, part in space.spaces.items()]}
    raise ValueError(f"a space of type {type(space).__name__} cannot be described")


def space_from_json(data: Mapping[str, Any]) -> spaces.Space[Any]:
    """Inverse of `space_to_json`; raises ValueError, KeyError or TypeError when ``data`` is something else."""
    kind = data["kind"]
    if kind == "text":
        from prefrl_envs.text import TextSpace

        return TextSpace(**{name: value for name, value in data.items() if name != "kind"})
    if kind == "box":
        shape, dtype = tuple(data["shape"]), np.dtype(data["dtype"])
        low, high = (_read_bounds(data[name], shape, dtype) for name in ("low", "high"))
        return spaces.Box(low, high, shape, dtype.type)
    if kind == "discrete":
        if "pad_id" in data:
            from prefrl_envs.text.space import TokenSpace

            return TokenSpace(data["n"], data["pad_id"])
        return spaces.Discrete(data["n"], start=data["start"])
    if kind == "multi_discrete":
        return spaces.MultiDiscrete(data["nvec"], start=data["start"])
    if kind == "multi_binary":
        return spaces.MultiBinary(data["n"])
    if kind == "dict":
        return spaces.Dict([(key, space_from_json(part)) for key, part in data["parts"]])
    raise ValueError(f"{kind!r} is no kind of space")


def _padding(space: spaces.Discrete) -> dict[str, int]:
    return {"pad_id": int(space.pad_id)} if hasattr(space, "pad_id") else {}


def _bounds(bounds: np.ndarray) -> Any:
    """One number where all entries are equal, else a flat list; infinite ones as text."""
    flat = [value if np.isfinite(value) else str(value) for value in bounds.reshape(-1).tolist()]
    return flat[0] if flat and len(set(flat)) == 1 else flat


def _read_bounds(data: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    if isinstance(data, list):
        return np.array([float(value) for value in data] if dtype.kind == "f" else data, dtype).reshape(shape)
    return np.full(shape, float(data) if dtype.kind == "f" else data, dtype)
