"""A tokenizer of Hugging Face's, as the text environments ask for one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["HubTokenizer"]

_PAD = "<|pad|>"


class HubTokenizer:
    """Adapts a tokenizer that belongs to a checkpoint.

    Where it has no token for padding, or the same for padding and the end, as GPT-2's has, it gets one of its own:
    the end of a text could not be told from what comes after it. `prefrl.text.models.LanguageModel` makes room for it.

    Args:
        inner: the tokenizer of `transformers`.

    Raises:
        ValueError: when it has no token that ends a text.
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
        """The tokenizer in a checkpoint's folder, or of a name on the hub; raises ValueError when there is none."""
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
        """Write its files beside those of the model."""
        self.inner.save_pretrained(str(folder))

    def encode(self, text: str) -> list[int]:
        """Token ids of the text, no special ones added."""
        return list(self.inner.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int]) -> str:
        """The text, special tokens left out."""
        return str(self.inner.decode(list(ids), skip_special_tokens=True))
