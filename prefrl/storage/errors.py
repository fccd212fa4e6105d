"""The one error of this package."""

from __future__ import annotations

__all__ = ["StoreError"]


class StoreError(ValueError):
    """The store or an exported folder cannot be used as asked; the message says why and what to do."""
