"""Events of a window."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Click", "Close", "Event", "Key", "Resize"]


@dataclass(frozen=True)
class Key:
    """A key was pressed."""

    name: str
    """"left", "right", "up", "down", "space", "backspace", "return", "escape"; else the character itself"""


@dataclass(frozen=True)
class Click:
    """The main mouse button was pressed."""

    x: int
    y: int
    """pixels from the upper left corner"""


@dataclass(frozen=True)
class Resize:
    """The window has a new size, or must be drawn again."""


@dataclass(frozen=True)
class Close:
    """The window's close button was clicked."""


Event = Key | Click | Resize | Close
