"""Presets: named settings that are known to learn, unless their summary says otherwise.

Of the Atari presets, only pong-fast and breakout-fast have been run to the end.
"""

from __future__ import annotations

import difflib

from prefrl.presets.atari import ATARI
from prefrl.presets.behaviours import BEHAVIOURS
from prefrl.presets.control import CONTROL
from prefrl.presets.gridworlds import GRIDWORLDS
from prefrl.presets.preset import Preset
from prefrl.presets.text import TEXT

__all__ = ["PRESETS", "Preset", "get_preset"]

PRESETS: dict[str, Preset] = CONTROL | GRIDWORLDS | BEHAVIOURS | ATARI | TEXT


def get_preset(name: str) -> Preset:
    """The preset with this name; raises ValueError with the nearest names if there is none."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(PRESETS)}"
        raise ValueError(f"no preset is called {name!r}; {hint}")
    return PRESETS[name]
