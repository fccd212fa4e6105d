"""Texts as arrays: reads token observations, and finds the step that ends a text.

An observation is one int32 vector: length so far, length of the prompt, and token ids padded on the right
(`prefrl.data.spaces.SpaceSpec`, kind "tokens"). The last step of a text, observation and action together, holds the
whole text, and its reward is the reward of the text. So a segment of one step holds a whole response.
"""

from __future__ import annotations

import hashlib

import numpy as np

from prefrl.data.spaces import SpaceSpec

__all__ = ["complete", "ends_text", "last_steps", "prompt_key", "response_tokens"]

_LENGTH, _PROMPT_LENGTH, _IDS = 0, 1, 2


def complete(observations: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The texts after each step: the observed text and the token that the action adds.

    Args:
        observations: shape (M, 2 + L), encoded.
        actions: shape (M,), the tokens.

    Returns:
        ids (M, L), lengths (M,) and prompt lengths (M,), all int64.
    """
    table = observations.astype(np.int64)
    ids, lengths = table[:, _IDS:], table[:, _LENGTH]
    ids[np.arange(len(ids)), lengths] = actions
    return ids, lengths + 1, table[:, _PROMPT_LENGTH]


def last_steps(
    ids: np.ndarray, prompt_lengths: np.ndarray, lengths: np.ndarray, spec: SpaceSpec
) -> tuple[np.ndarray, np.ndarray]:
    """The last step of each text: the inverse of `complete`.

    Args:
        ids: shape (M, L'), with any padding.
        prompt_lengths: shape (M,).
        lengths: shape (M,), prompt and response together, with at least one response token.
        spec: layout of the observations.

    Returns:
        observations (M, 2 + L) int32 and actions (M,) int64.

    Raises:
        ValueError: when a text is longer than the observations have room for.
    """
    room = spec.shape[0] - _IDS
    if len(lengths) and lengths.max() > room:
        raise ValueError(
            f"a text has {lengths.max()} tokens, the observations have room for {room}; shorten it"
        )
    rows = np.arange(len(ids))
    observations = np.zeros((len(ids), *spec.shape), np.int32)
    observations[:, _LENGTH], observations[:, _PROMPT_LENGTH] = lengths - 1, prompt_lengths
    width = min(room, ids.shape[1])
    is_before = np.arange(width) < lengths[:, None] - 1
    observations[:, _IDS : _IDS + width] = np.where(is_before, ids[:, :width], 0)
    return observations, ids[rows, lengths - 1].astype(np.int64)


def ends_text(spec: SpaceSpec, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Whether each step ends its text, shape (...) bool, from observations (..., 2 + L) and actions (...)."""
    return (actions == spec.eos_id) | (response_tokens(observations) >= spec.max_new_tokens)


def response_tokens(observations: np.ndarray) -> np.ndarray:
    """Response length after each step, in tokens, shape (...), from observations (..., 2 + L)."""
    return observations[..., _LENGTH] - observations[..., _PROMPT_LENGTH] + 1


def prompt_key(observation: np.ndarray) -> str:
    """SHA-256 of the prompt in an observation (2 + L,), 64 hexadecimal digits; equal prompts have equal keys."""
    prompt = observation[_IDS : _IDS + int(observation[_PROMPT_LENGTH])]
    return hashlib.sha256(np.ascontiguousarray(prompt, np.int32).data).hexdigest()
