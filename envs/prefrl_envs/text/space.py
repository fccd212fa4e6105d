"""Spaces of text environments: the text so far as observation, the next token as action."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

__all__ = ["TextSpace", "TokenSpace", "encode_observation"]


class TextSpace(spaces.Dict):
    """A prompt and the response so far, at most L = ``max_prompt_tokens + max_new_tokens`` tokens.

    An observation has, all int32,

    - ``input_ids``, shape (L,): the prompt's tokens, then the response's, then ``pad_id`` up to the end;
    - ``length``, shape (1,): number of tokens without padding;
    - ``prompt_length``, shape (1,): number of prompt tokens among them.

    Args:
        vocab_size: V.
        pad_id: of padding.
        eos_id: of the end token.
        max_prompt_tokens: longest prompt.
        max_new_tokens: longest response, its end token included.

    Raises:
        ValueError: when an id is not in 0..V-1, padding and end token are equal, or a limit is below 1.
    """

    def __init__(
        self, vocab_size: int, pad_id: int, eos_id: int, max_prompt_tokens: int, max_new_tokens: int
    ) -> None:
        _check(vocab_size, pad_id, eos_id, max_prompt_tokens, max_new_tokens)
        self.vocab_size, self.pad_id, self.eos_id = vocab_size, pad_id, eos_id
        self.max_prompt_tokens, self.max_new_tokens = max_prompt_tokens, max_new_tokens
        tokens = self.max_tokens
        super().__init__(
            [
                ("input_ids", spaces.Box(0, vocab_size - 1, (tokens,), np.int32)),
                ("length", spaces.Box(0, tokens, (1,), np.int32)),
                ("prompt_length", spaces.Box(0, max_prompt_tokens, (1,), np.int32)),
            ]
        )

    @property
    def max_tokens(self) -> int:
        """L."""
        return self.max_prompt_tokens + self.max_new_tokens

    def sample(  # type: ignore[override]
        self, mask: dict[str, Any] | None = None, probability: dict[str, Any] | None = None
    ) -> dict[str, np.ndarray]:
        """A prompt of at least one token and an unfinished response, of random tokens, with padding.

        Raises:
            ValueError: when given a mask or probabilities.
        """
        if mask is not None or probability is not None:
            raise ValueError("a TextSpace is sampled without mask or probability; change the sample instead")
        # Each part has its own generator, which `seed` seeds.
        prompt_length = int(self["prompt_length"].np_random.integers(1, self.max_prompt_tokens + 1))
        length = prompt_length + int(self["length"].np_random.integers(0, self.max_new_tokens + 1))
        written = [token for token in range(self.vocab_size) if token not in (self.pad_id, self.eos_id)]
        input_ids = np.full(self.max_tokens, self.pad_id, np.int32)
        input_ids[:length] = self["input_ids"].np_random.choice(written, length)
        return {
            "input_ids": input_ids,
            "length": np.array([length], np.int32),
            "prompt_length": np.array([prompt_length], np.int32),
        }

    def __eq__(self, other: object) -> bool:
        """Whether the other is a TextSpace with the same settings."""
        return isinstance(other, TextSpace) and self._settings() == other._settings()

    def __repr__(self) -> str:
        """The settings by name."""
        return f"TextSpace({', '.join(f'{name}={value}' for name, value in self._settings().items())})"

    def _settings(self) -> dict[str, int]:
        names = ("vocab_size", "pad_id", "eos_id", "max_prompt_tokens", "max_new_tokens")
        return {name: getattr(self, name) for name in names}


class TokenSpace(spaces.Discrete):
    """Discrete(V) that never samples ``pad_id``, so that random actions are valid.

    Args:
        vocab_size: V.
        pad_id: of padding.
    """

    def __init__(self, vocab_size: int, pad_id: int) -> None:
        super().__init__(vocab_size)
        self.pad_id = pad_id
        self.allowed = np.arange(vocab_size) != pad_id
        """the tokens that may be chosen, shape (V,) bool, read-only"""
        self.allowed.flags.writeable = False

    def sample(self, mask: np.ndarray | None = None, probability: np.ndarray | None = None) -> np.int64:
        """A token other than padding; with a mask or probabilities, as Discrete samples."""
        if mask is None and probability is None:
            mask = self.allowed.astype(np.int8)
        return super().sample(mask=mask, probability=probability)

    def __setstate__(self, state: Any) -> None:
        """As Discrete; keeps the array of a copy read-only."""
        super().__setstate__(state)
        self.allowed.flags.writeable = False


def encode_observation(observation: dict[str, np.ndarray]) -> np.ndarray:
    """An observation of a `TextSpace` as one array: length, prompt length, token ids; shape (L + 2,) int32."""
    return np.concatenate([observation[key] for key in ("length", "prompt_length", "input_ids")])


def _check(vocab_size: int, pad_id: int, eos_id: int, max_prompt_tokens: int, max_new_tokens: int) -> None:
    for name, value in (("pad_id", pad_id), ("eos_id", eos_id)):
        if not 0 <= value < vocab_size:
            raise ValueError(
                f"{name} is {value}; with vocab_size {vocab_size} it must lie in 0..{vocab_size - 1}"
            )
    if pad_id == eos_id:
        raise ValueError(
            f"pad_id and eos_id are both {pad_id}, so the end of a text could not be told from padding; "
            "give the tokenizer a padding token of its own"
        )
    if vocab_size < 3:
        raise ValueError(
            f"vocab_size is {vocab_size}; besides padding and the end, a token to write is needed"
        )
    for name, value in (("max_prompt_tokens", max_prompt_tokens), ("max_new_tokens", max_new_tokens)):
        if value < 1:
            raise ValueError(f"{name} is {value}; at least 1 is needed")
