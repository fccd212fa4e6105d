"""What a preset is."""

from __future__ import annotations

from dataclasses import dataclass

from prefrl.config import RunConfig

__all__ = ["Preset"]


@dataclass(frozen=True)
class Preset:
    """A run's settings with a line on what they are for."""

    config: RunConfig
    summary: str
