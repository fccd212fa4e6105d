"""The errors of this package."""

from __future__ import annotations

import math

__all__ = ["RunDirError", "StoreError", "check_finite"]


class StoreError(ValueError):
    """The store or an exported folder cannot be used as asked; the message says why and what to do."""


class RunDirError(ValueError):
    """A run directory, or a file in one, cannot be used as asked; the message says why and what to do."""


def check_finite(what: str, value: float) -> None:
    """Raise StoreError, which names ``what``, unless the number is finite."""
    if not math.isfinite(value):
        raise StoreError(f"{what} is {value}; a finite number is needed")
