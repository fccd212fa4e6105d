"""Tokenizers of Hugging Face checkpoints, behind the interface of the text environments.

The only module of prefrl_envs that speaks to `transformers`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["HubTokenizer", "is_local_source"]

_PAD = "<|pad|>"
_HUB_NAME = re.compile(r"\w[\w.-]*(?:/[\w.-]+)?", re.ASCII)
"""NAME or OWNER/NAME"""


def is_local_source(source: str | Path) -> bool:
    """Whether ``source`` is a path on this machine, and not a checkpoint's name on the Hugging Face hub.

    A path is a `Path`, an existing folder, and whatever cannot be NAME or OWNER/NAME: it starts with "." or "/", has
    several separators or one at its end. OWNER/NAME is a path, too, where OWNER is a folder here.
    """
    if isinstance(source, Path) or os.path.isdir(source) or not _HUB_NAME.fullmatch(source):
        return True
    owner, separator, _ = source.partition("/")
    return bool(separator) and os.path.isdir(owner)


class HubTokenizer:
    """Adapts the tokenizer of a checkpoint.

    A tokenizer without a padding token, or with one token for padding and the end of texts, as GPT-2's, gets a padding
    token: otherwise the end of a text and the padding after it look the same. `prefrl.text.models.LanguageModel` adds
    the logit for it.

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
        """The tokenizer in a checkpoint's folder, or of a name on the hub, which is not asked for a path.

        Raises:
            ValueError: when there is none.
        """
        is_local = is_local_source(path)
        if is_local and not Path(path).is_dir():
            raise ValueError(
                f"{path} has no tokenizer: there is no such folder; give the folder of a checkpoint"
            )
        from transformers import AutoTokenizer

        try:
            inner = AutoTokenizer.from_pretrained(str(path), local_files_only=is_local)
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
        """Token ids of the text, without special tokens added."""
        return list(self.inner.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int]) -> str:
        """The text, without special tokens."""
        return str(self.inner.decode(list(ids), skip_special_tokens=True))
