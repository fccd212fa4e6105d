"""Array layouts of the observations and actions of any Gymnasium space.

Segments, the store and the learned reward use plain arrays only. A `SpaceSpec` describes how samples of a space become
an array, and can be written to JSON, so that a saved reward knows what it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

__all__ = ["SpaceSpec"]

_WIDEST_BOUNDS = 1e6
"""wider bounds, such as the largest float, say nothing about the values to expect"""


@dataclass(frozen=True)
class SpaceSpec:
    """The canonical array layout of one space.

    Box keeps its shape and dtype; Discrete becomes a scalar int64; MultiDiscrete and MultiBinary become a vector;
    Dict and Tuple are flattened into one float32 vector, with keys in the space's own order and one-hot categories. A
    `prefrl_envs.text.TextSpace` becomes an int32 vector of length, prompt length and token ids (`prefrl.data.tokens`).
    """

    kind: str
    """"box", "discrete", "multi_discrete", "multi_binary", "flat", "tokens" (a text) or "token" """
    shape: tuple[int, ...]
    """shape of one encoded sample"""
    dtype: str
    """dtype of the encoded array"""
    categories: tuple[int, ...] = ()
    """number of categories of each entry, for discrete and multi_discrete"""
    starts: tuple[int, ...] = ()
    """lowest value of each entry, for discrete and multi_discrete"""
    parts: tuple[tuple[str, SpaceSpec], ...] = ()
    """the named sub-spaces, for flat"""
    half_ranges: tuple[float, ...] = ()
    """half the range of each entry, 0 if it has no bounds; for boxes of floats"""
    eos_id: int | None = None
    """the token that ends a text, for tokens"""
    max_new_tokens: int | None = None
    """maximum length of a response, for tokens"""

    @classmethod
    def pair(
        cls, observation_space: gym.Space[Any], action_space: gym.Space[Any]
    ) -> tuple[SpaceSpec, SpaceSpec]:
        """Describe the observations and actions of an environment; the actions of texts are tokens. Raises as `of`."""
        observations, actions = cls.of(observation_space), cls.of(action_space)
        if observations.kind == "tokens":
            actions = cls("token", (), "int64", actions.categories, actions.starts)
        return observations, actions

    @classmethod
    def of(cls, space: gym.Space[Any]) -> SpaceSpec:
        """Describe ``space``; raises ValueError for kinds without a fixed-size array (Text, Graph, ...)."""
        if isinstance(space, spaces.Box):
            half_ranges = _half_ranges(space) if space.dtype.kind == "f" else ()
            return cls("box", tuple(space.shape), str(space.dtype), half_ranges=half_ranges)
        if isinstance(space, spaces.Discrete):
            return cls("discrete", (), "int64", (int(space.n),), (int(space.start),))
        if isinstance(space, spaces.MultiDiscrete):
            nvec, start = space.nvec.reshape(-1), np.broadcast_to(space.start, space.nvec.shape).reshape(-1)
            return cls("multi_discrete", (nvec.size,), "int64", tuple(map(int, nvec)), tuple(map(int, start)))
        if isinstance(space, spaces.MultiBinary):
            return cls("multi_binary", tuple(space.shape), "int8")
        if hasattr(space, "eos_id"):
            # Recognised by its attributes: this module and `prefrl_envs` do not import each other.
            text: Any = space
            longest = text.max_prompt_tokens + text.max_new_tokens
            return cls(
                "tokens", (2 + longest,), "int32", eos_id=text.eos_id, max_new_tokens=text.max_new_tokens
            )
        if isinstance(space, (spaces.Dict, spaces.Tuple)):
            named = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
            parts = tuple((str(key), cls.of(part)) for key, part in named)
            return cls("flat", (sum(part.num_features for _, part in parts),), "float32", parts=parts)
        raise ValueError(
            f"spaces of type {type(space).__name__} have no fixed-size array; "
            "use Box, Discrete, MultiDiscrete, MultiBinary, or a Dict or Tuple of those"
        )

    @property
    def is_image(self) -> bool:
        """True for uint8 boxes (H, W, C) or (C, H, W), which the convolutional network takes."""
        return self.kind == "box" and self.dtype == "uint8" and len(self.shape) == 3

    @property
    def num_features(self) -> int:
        """Length of one sample as a flat float vector with one-hot categories; a token is a single number."""
        if self.kind == "token":
            return 1
        return sum(self.categories) if self.categories else int(np.prod(self.shape, dtype=np.int64))

    @property
    def feature_scales(self) -> np.ndarray:
        """Maximum distance of each feature from the middle of its range, shape (F,) float32; 0 if it has no bounds."""
        if self.kind == "flat":
            return np.concatenate([part.feature_scales for _, part in self.parts])
        if self.half_ranges:
            return np.array(self.half_ranges, np.float32)
        return np.full(self.num_features, 0.0 if self.kind == "box" else 1.0, np.float32)

    def encode(self, batch: Any, batch_shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Convert a batch of samples to the canonical array, shape (*batch_shape, *shape).

        Args:
            batch: array (*batch_shape, *space.shape), or a mapping or tuple of arrays for Dict and Tuple.
            batch_shape: leading dimensions; by default all dimensions before the space's own shape.

        Raises:
            ValueError: when the array does not end in the space's shape.
        """
        if self.kind == "flat":
            is_mapping = isinstance(batch, Mapping)
            values = [batch[key if is_mapping else int(key)] for key, _ in self.parts]
            pairs = zip(values, self.parts, strict=True)
            arrays = [part.features(part.encode(value, batch_shape)) for value, (_, part) in pairs]
            return np.concatenate(arrays, axis=-1)
        if self.kind == "tokens" and isinstance(batch, Mapping):
            columns = [np.asarray(batch[key]) for key in ("length", "prompt_length", "input_ids")]
            rows = columns[2].shape[:-1]
            batch = np.concatenate([column.reshape(*rows, -1) for column in columns], axis=-1)
        array = np.asarray(batch)
        if self.kind == "multi_discrete" and batch_shape is not None:
            array = array.reshape(*batch_shape, *self.shape)
        lead = array.ndim - len(self.shape)
        if lead < 0 or array.shape[lead:] != self.shape:
            raise ValueError(
                f"an array of shape {array.shape} does not end in the space's shape {self.shape}"
            )
        return array.astype(self.dtype, copy=False)

    def features(self, array: np.ndarray) -> np.ndarray:
        """Convert a canonical array (*lead, *shape) to float32 features (*lead, F); see `num_features`."""
        lead = array.shape[: array.ndim - len(self.shape)]
        if not self.categories or self.kind == "token":
            return array.reshape(*lead, self.num_features).astype(np.float32, copy=False)
        entries = array.reshape(*lead, len(self.categories)) - np.asarray(self.starts)
        columns = [np.eye(n, dtype=np.float32)[entries[..., i]] for i, n in enumerate(self.categories)]
        return np.concatenate(columns, axis=-1)

    def check_sample(self, sample: Any) -> np.ndarray:
        """Encode one sample; raises ValueError if it is not in the space, for example if a category is out of range."""
        if self.kind == "flat":
            is_mapping = isinstance(sample, Mapping)
            for key, part in self.parts:
                part.check_sample(sample[key if is_mapping else int(key)])
        encoded = self.encode(sample, ())
        if self.categories:
            entries, starts = encoded.reshape(-1), np.asarray(self.starts)
            is_out = (entries < starts) | (entries >= starts + np.asarray(self.categories))
            if is_out.any():
                column = int(np.argmax(is_out))
                highest = self.starts[column] + self.categories[column] - 1
                raise ValueError(
                    f"the category {entries[column]} is out of the space's range, {self.starts[column]} to {highest}"
                )
        return encoded

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready description that `from_json` reads back."""
        described = asdict(self)
        if self.kind != "tokens":
            # Left out, as in files from before texts were supported, so that descriptions on disk compare equal.
            del described["eos_id"], described["max_new_tokens"]
        return described

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SpaceSpec:
        """Inverse of `to_json`."""
        parts = tuple((key, cls.from_json(part)) for key, part in data["parts"])
        return cls(
            data["kind"],
            tuple(data["shape"]),
            data["dtype"],
            tuple(data["categories"]),
            tuple(data["starts"]),
            parts,
            tuple(data["half_ranges"]),
            data.get("eos_id"),
            data.get("max_new_tokens"),
        )


def _half_ranges(space: spaces.Box) -> tuple[float, ...]:
    """Half the range of each entry; 0 if the bounds are so wide that they say nothing."""
    width = (space.high.astype(np.float64) - space.low.astype(np.float64)).reshape(-1) / 2
    return tuple(float(half) if half <= _WIDEST_BOUNDS else 0.0 for half in width)
