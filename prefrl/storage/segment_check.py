"""Whether a segment is one of the described spaces. What is not would spoil a store, as nothing is ever deleted."""

from __future__ import annotations

import numpy as np

from prefrl.config.modality import TEXTS, modality_of
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Segment

__all__ = ["check_segment"]

FLAGS = {"true_rewards": "float32", "terminated": "bool", "truncated": "bool"}
"""dtypes of the arrays that no space describes"""


def check_segment(segment: Segment, observation_spec: SpaceSpec, action_spec: SpaceSpec) -> None:
    """Check the arrays of a segment against the specs: shapes, dtypes, and values where the spec limits them.

    That lengths agree and numbers are finite is checked by `Segment` itself.

    Raises:
        ValueError: naming the array, what it holds and what the spec says.
    """
    _check_array("observations", segment.observations, observation_spec)
    _check_array("actions", segment.actions, action_spec)
    for name, dtype in FLAGS.items():
        found = getattr(segment, name).dtype
        if found != dtype:
            raise ValueError(f"{name} are {found}, {dtype} is needed")
    if modality_of(observation_spec) is TEXTS:
        _check_texts(segment.observations, action_spec)


def _check_array(name: str, array: np.ndarray, spec: SpaceSpec) -> None:
    if array.shape[1:] != spec.shape:
        raise ValueError(f"{name} have shape {array.shape[1:]} a step, the space's is {spec.shape}")
    if array.dtype != spec.dtype:
        raise ValueError(f"{name} are {array.dtype}, the space's are {spec.dtype}")
    if spec.categories:
        low = np.asarray(spec.starts)
        entries = array.reshape(len(array), -1)
        if not ((entries >= low) & (entries < low + spec.categories)).all():
            raise ValueError(
                f"{name} hold a category outside the space's {spec.categories} from {spec.starts}"
            )
    if spec.kind == "multi_binary" and not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name} hold other numbers than 0 and 1, which the space has")


def _check_texts(observations: np.ndarray, action_spec: SpaceSpec) -> None:
    """Lengths that fit the row, and token ids of the vocabulary, padding included (`prefrl.data.tokens`)."""
    lengths, prompt_lengths, ids = observations[:, 0], observations[:, 1], observations[:, 2:]
    # Room for the action, which is the text's next token.
    if not ((prompt_lengths >= 0) & (prompt_lengths <= lengths) & (lengths < ids.shape[1])).all():
        raise ValueError(f"observations hold a text whose lengths do not fit into {ids.shape[1]} tokens")
    if action_spec.kind != "token":
        raise ValueError(f"observations are texts, and actions of kind {action_spec.kind}, no tokens")
    (vocabulary,) = action_spec.categories
    if not ((ids >= 0) & (ids < vocabulary)).all():
        raise ValueError(f"observations hold a token outside the vocabulary of {vocabulary}")
