"""Adapter of Hugging Face tokenizers to the text environments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["HubTokenizer"]

_PAD = "<|pad|>"


class HubTokenizer:
    """Adapts the tokenizer of a checkpoint.

    Where it has no padding token, or the same token for padding and the end, as GPT-2's has, a padding token is added:
    otherwise the end of a text could not be distinguished from padding. `prefrl.text.models.LanguageModel` makes room
    for it.

    Args:
        inner: the tokenizer of `transformers`.

    Raises:
        ValueError: when it has no end token.
    """

    def __init__(self, inner: Any) -> None:
        if inner.eos_token_id is None:
            raise ValueError(
                "the tokenizer has no token that ends a text; set its eos_token and save it again"
            )
        if inner.pad_token_id is None or inner.pad_token_id == inner.eos_token_id:
            inner.add_special_tokens({"pad_token": _PAD})
        self.inner = inner
        self.vocab_size, self.pad_id, self.eos_id = (
            len(inner),
            int(inner.pad_token_id),
            int(inner.eos_token_id),
        )

    @classmethod
    def load(cls, path: str | Path) -> HubTokenizer:
        """The tokenizer of a checkpoint's folder or hub name; raises ValueError when there is none."""
        from transformers import AutoTokenizer

        try:
            inner = AutoTokenizer.from_pretrained(str(path))
        except (OSError, KeyError, ImportError, ValueError) as error:
            raise ValueError(
                f"{path} has no tokenizer ({type(error).__name__}: {error}); give the folder of a checkpoint that was "
                "saved together with one"
            ) from error
        return cls(inner)

    def save(self, folder: str | Path) -> None:
        """Write the tokenizer's files into a checkpoint's folder."""
        self.inner.save_pretrained(str(folder))

    def encode(self, text: str) -> list[int]:
        """Token ids of the text, without special tokens."""
        return list(self.inner.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int]) -> str:
        """The text without special tokens."""
        return str(self.inner.decode(list(ids), skip_special_tokens=True))
