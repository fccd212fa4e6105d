"""One row of a file, read field by field, with errors that say where and what."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

__all__ = ["RankingFileError", "Row", "found"]


class RankingFileError(ValueError):
    """A file of rankings cannot be read or written as asked; the message says where, why and what to do."""


@dataclass(frozen=True)
class Row:
    """An object of a JSON file and where it stands; every method raises RankingFileError for another type."""

    place: str
    """such as "pairs.jsonl, line 3" """
    fields: Mapping[str, Any]

    def value(self, name: str) -> Any:
        """The field, of whichever type."""
        if name not in self.fields:
            raise RankingFileError(
                f"{self.place}: field {name!r} is missing, found {listed(self.fields)}; "
                "every row needs the same fields"
            )
        return self.fields[name]

    def text(self, name: str) -> str:
        """A field of text."""
        return self._text(name, self.value(name))

    def optional_text(self, name: str) -> str | None:
        """A field of text; None where it is missing or null."""
        value = self.fields.get(name)
        return None if value is None else self._text(name, value)

    def name(self) -> str | None:
        """The field ``id``, a text or a whole number, as text; None where it is missing or null."""
        value = self.fields.get("id")
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self.optional_text("id")

    def source(self, default: str) -> str:
        """The field ``source``, a text; the default where it is missing or null."""
        source = self.optional_text("source")
        return default if source is None else source

    def texts(self, name: str) -> tuple[str, ...]:
        """A field that is a list of texts."""
        return tuple(self._text(f"{name}[{index}]", value) for index, value in enumerate(self.elements(name)))

    def number(self, name: str) -> float:
        """A field that is a finite number."""
        return self._number(name, self.value(name))

    def numbers(self, name: str) -> tuple[float, ...]:
        """A field that is a list of finite numbers."""
        return tuple(
            self._number(f"{name}[{index}]", value) for index, value in enumerate(self.elements(name))
        )

    def elements(self, name: str) -> list[Any]:
        """A field that is a list, of whatever."""
        value = self.value(name)
        if not isinstance(value, list):
            raise self.wrong(name, value, "a list")
        return value

    def wrong(self, name: str, value: Any, wanted: str) -> RankingFileError:
        """The error for a field that is not what is wanted."""
        return RankingFileError(f"{self.place}: field {name!r} is {found(value)}; give {wanted}")

    def _text(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self.wrong(name, value, "a text in quotes")
        return value

    def _number(self, name: str, value: Any) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            with suppress(OverflowError):
                if math.isfinite(number := float(value)):
                    return number
        raise self.wrong(name, value, "a finite number, or leave the row out")


def found(value: Any) -> str:
    """A value of JSON in a few words, for an error."""
    return "null" if value is None else f"{type(value).__name__} {reprlib.repr(value)}"


def listed(names: Iterable[str]) -> str:
    """Names in quotes with commas between them."""
    return ", ".join(map(repr, names)) or "none"
