"""Registries of named objects that a setting chooses from: samplers, losses, teachers, algorithms and so on."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

__all__ = ["Registry", "import_named", "names_a_module"]

T = TypeVar("T")


class Registry(Generic[T]):
    """Built-in objects by name; ``module:name`` imports the user's own.

    To add an object to prefrl, add a row where the registry is built. To use one from outside, set ``module:name``;
    nothing has to be registered.

    Args:
        kind: kind of the objects, for error messages: "sampler".
        entries: the built-in objects by name.
    """

    def __init__(self, kind: str, entries: Mapping[str, T]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def find(self, name: str) -> T:
        """The object called ``name``, or the one that ``module:name`` imports.

        Raises:
            ValueError: when there is none; the message suggests the nearest name.
        """
        if name in self._entries:
            return self._entries[name]
        if names_a_module(name):
            return import_named(name, self.kind)
        near = difflib.get_close_matches(name, self._entries, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it must be one of {sorted(self._entries)}"
        raise ValueError(f"there is no {self.kind} {name!r}; {hint}; name your own as module:name")


def names_a_module(name: str) -> bool:
    """Whether a setting's value has the form ``module:name``, which imports code."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in [*module.split("."), attribute])


def import_named(reference: str, kind: str) -> T:  # type: ignore[type-var]  # the caller knows the type
    """The object that ``module:name`` refers to.

    Raises:
        ValueError: when the module cannot be imported or has no such name.
    """
    module, _, name = reference.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ValueError(
            f"{kind} {reference!r} needs the module {module!r}, which cannot be imported ({error}); start prefrl from "
            "the folder that holds it, or install it"
        ) from error
    except AttributeError as error:
        raise ValueError(f"{kind} {reference!r}: module {module!r} has no {name!r}") from error
