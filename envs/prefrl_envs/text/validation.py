"""Checks of tasks, prompts and tokens, shared by the single and the vector environment."""

from __future__ import annotations

from typing import Any

import numpy as np

from prefrl_envs.text.space import TextSpace, TokenSpace
from prefrl_envs.text.task import TextTask
from prefrl_envs.text.tokenizers import Tokenizer

__all__ = ["check_tokens", "draw_prompt", "encode_prompt", "response_text", "spaces_of"]


def spaces_of(task: TextTask) -> tuple[TextSpace, TokenSpace]:
    """Observation and action space of a task.

    Raises:
        ValueError: when its tokenizer lacks a part of the protocol, or its limits are invalid.
    """
    tokenizer = task.tokenizer
    if not isinstance(tokenizer, Tokenizer):
        raise ValueError(
            f"the tokenizer is {tokenizer!r}, which is no prefrl_envs.text.Tokenizer; wrap it in a class with "
            "vocab_size, pad_id, eos_id, encode and decode"
        )
    text_space = TextSpace(
        tokenizer.vocab_size,
        tokenizer.pad_id,
        tokenizer.eos_id,
        task.max_prompt_tokens,
        task.max_new_tokens,
    )
    return text_space, TokenSpace(tokenizer.vocab_size, tokenizer.pad_id)


def draw_prompt(task: TextTask, seed: int, block: int, episode: int) -> str:
    """The prompt of an episode; it depends on the arguments only.

    Args:
        task: draws the prompt.
        seed: of the run.
        block: number of the block of rows, see `TextGenVectorEnv`.
        episode: number of the episode in its row, from 0.
    """
    return task.prompt(np.random.default_rng((seed, block, episode)))


def encode_prompt(task: TextTask, prompt: str) -> np.ndarray:
    """The prompt's token ids, int32, at least 1 and at most ``task.max_prompt_tokens``.

    Raises:
        ValueError: when it is empty or too long, or contains text without a token.
    """
    if not isinstance(prompt, str):
        raise ValueError(f"the prompt is {prompt!r}, of type {type(prompt).__name__}; it must be text")
    try:
        ids = task.tokenizer.encode(prompt)
    except ValueError as error:
        raise ValueError(f"prompt {prompt!r} cannot be put: {error}") from error
    if not ids:
        raise ValueError(f"prompt {prompt!r} has no token; put one of at least 1")
    if len(ids) > task.max_prompt_tokens:
        raise ValueError(
            f"prompt {prompt!r} has {len(ids)} tokens, the limit is {task.max_prompt_tokens}; shorten it, or raise "
            "the task's max_prompt_tokens"
        )
    if task.tokenizer.pad_id in ids:
        raise ValueError(f"prompt {prompt!r} holds the padding token {task.tokenizer.pad_id}; leave it out")
    return np.array(ids, np.int32)


def check_tokens(actions: Any, shape: tuple[int, ...], space: TokenSpace) -> np.ndarray:
    """The chosen tokens as an integer array of shape ``shape``.

    Raises:
        ValueError: when they are not integers of that shape in 0..V-1, or padding is among them.
    """
    tokens = np.asarray(actions)
    if tokens.shape != shape or tokens.dtype.kind not in "iu":
        raise ValueError(
            f"action {actions!r} has shape {tokens.shape} and type {tokens.dtype}; shape {shape}, integer is needed"
        )
    outside = tokens[(tokens < 0) | (tokens >= space.n)]
    if outside.size:
        raise ValueError(f"action {outside[0]} is no token; they are 0..{space.n - 1}")
    if (tokens == space.pad_id).any():
        raise ValueError(
            f"action {space.pad_id} is padding, which is never part of a text; give its logit no probability, as "
            'info["action_mask"] and action_masks() say'
        )
    return tokens


def response_text(tokenizer: Tokenizer, ids: np.ndarray) -> str:
    """The text of a response's tokens without the end token."""
    tokens: list[int] = ids.tolist()
    return tokenizer.decode(tokens[:-1] if tokens and tokens[-1] == tokenizer.eos_id else tokens)
