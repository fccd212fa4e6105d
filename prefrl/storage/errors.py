"""The errors of this package."""

from __future__ import annotations

__all__ = ["RunDirError", "StoreError"]


class StoreError(ValueError):
    """The store or an exported folder cannot be used as asked; the message says why and what to do."""


class RunDirError(ValueError):
    """A run directory, or a file in one, cannot be used as asked; the message says why and what to do."""
