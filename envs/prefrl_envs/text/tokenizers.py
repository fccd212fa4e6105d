"""Texts as token ids: bytes, or words of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

__all__ = ["ByteTokenizer", "Tokenizer", "WordTokenizer"]

_BYTES = 256


@runtime_checkable
class Tokenizer(Protocol):
    """What the text environments ask of a tokenizer; one of another library needs no more than an adapter."""

    @property
    def vocab_size(self) -> int:
        """V; ids lie in 0..V-1, those of padding and of the end among them."""

    @property
    def pad_id(self) -> int:
        """Fills up a text that is shorter than others; never part of one."""

    @property
    def eos_id(self) -> int:
        """Ends a text; another id than ``pad_id``, or the end could not be told from what comes after it."""

    def encode(self, text: str) -> list[int]:
        """The text's ids, with no special token added; ValueError when the text has a part that no token stands for."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of any ids in 0..V-1, special tokens left out."""


class ByteTokenizer:
    """Each byte of the text's UTF-8 is a token, 0 to 255; then padding 256 and the end 257."""

    vocab_size = _BYTES + 2
    pad_id = _BYTES
    eos_id = _BYTES + 1

    def encode(self, text: str) -> list[int]:
        """The text's bytes; ValueError when it holds half a surrogate pair, which has none."""
        try:
            return list(text.encode())
        except UnicodeEncodeError as error:
            raise ValueError(
                f"character {text[error.start]!r} at position {error.start} has no UTF-8 bytes; leave it out"
            ) from error

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the bytes; U+FFFD stands for what is not UTF-8."""
        return bytes(token for token in ids if token < _BYTES).decode(errors="replace")


class WordTokenizer:
    """Each word is a token, in the order given; then padding and the end. Texts are words with spaces between.

    Args:
        words: all there are.

    Raises:
        ValueError: when there is none, one comes twice, is empty or holds white space.
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
