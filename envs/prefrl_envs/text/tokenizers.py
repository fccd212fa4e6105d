"""Tokenizers: bytes, or the words of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

__all__ = ["ByteTokenizer", "Tokenizer", "WordTokenizer"]

_BYTES = 256


@runtime_checkable
class Tokenizer(Protocol):
    """What the text environments need of a tokenizer; write an adapter for one of another library."""

    @property
    def vocab_size(self) -> int:
        """V; ids lie in 0..V-1, those of padding and the end token included."""

    @property
    def pad_id(self) -> int:
        """Pads a text that is shorter than others; never part of a text."""

    @property
    def eos_id(self) -> int:
        """Ends a text; must differ from ``pad_id``, or the end could not be distinguished from padding."""

    def encode(self, text: str) -> list[int]:
        """The text's ids, without special tokens; ValueError when a part of the text has no token."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of any ids in 0..V-1, special tokens left out."""


class ByteTokenizer:
    """Each byte of the text's UTF-8 is a token, 0 to 255; padding is 256 and the end token 257."""

    vocab_size = _BYTES + 2
    pad_id = _BYTES
    eos_id = _BYTES + 1

    def encode(self, text: str) -> list[int]:
        """The text's bytes; ValueError when it contains half a surrogate pair, which has no bytes."""
        try:
            return list(text.encode())
        except UnicodeEncodeError as error:
            raise ValueError(
                f"character {text[error.start]!r} at position {error.start} has no UTF-8 bytes; leave it out"
            ) from error

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the bytes; invalid UTF-8 becomes U+FFFD."""
        return bytes(token for token in ids if token < _BYTES).decode(errors="replace")


class WordTokenizer:
    """Each word is a token, in the order given, followed by padding and the end token. Texts are words and spaces.

    Args:
        words: the vocabulary.

    Raises:
        ValueError: when it is empty, or a word is repeated, empty or contains white space.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        if not self.words:
            raise ValueError("words is empty; at least one is needed")
        self._ids = {word: index for index, word in enumerate(self.words)}
        for index, word in enumerate(self.words):
            if word.split() != [word]:
                raise ValueError(f"word {word!r} is empty or holds white space, which is what parts words")
            if self._ids[word] != index:
                raise ValueError(f"word {word!r} is listed twice; a word is one token, leave one of them out")
        self.vocab_size = len(self.words) + 2
        self.pad_id = len(self.words)
        self.eos_id = len(self.words) + 1

    def encode(self, text: str) -> list[int]:
        """The words' ids; ValueError names the first word that is not in the list."""
        words = text.split()
        for word in words:
            if word not in self._ids:
                raise ValueError(f"word {word!r} is none of the {len(self.words)} known, {self._examples()}")
        return [self._ids[word] for word in words]

    def decode(self, ids: Sequence[int]) -> str:
        """The words, with a space between."""
        return " ".join(self.words[token] for token in ids if token < len(self.words))

    def _examples(self) -> str:
        shown = ", ".join(self.words[:5])
        return f"such as {shown}" if len(self.words) > 5 else f"which are {shown}"
