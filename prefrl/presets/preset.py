"""The type of a preset."""

from __future__ import annotations

from dataclasses import dataclass

from prefrl.config import RunConfig

__all__ = ["Preset"]


@dataclass(frozen=True)
class Preset:
    """The settings of a run, with a one-line summary."""

    config: RunConfig
    summary: str
