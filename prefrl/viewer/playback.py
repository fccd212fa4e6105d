"""Playback of clips: speed, pause, and the step to show now."""

from __future__ import annotations

__all__ = ["Playback"]

_SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
_HOLD_S = 0.4
"""how long the last frame stays before the clips restart"""


class Playback:
    """Plays clips in step, in a loop.

    Args:
        fps: steps per second at normal speed.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._speed = _SPEEDS.index(1.0)
        self.is_paused = False
        self._position_s = 0.0
        """at normal speed"""
        self._last_s: float | None = None

    def restart(self) -> None:
        """Play from the first step."""
        self._position_s, self._last_s = 0.0, None

    def change_speed(self, by: int) -> None:
        """Change the speed by a number of levels, within the fastest and the slowest."""
        self._speed = min(max(self._speed + by, 0), len(_SPEEDS) - 1)

    def step(self, now_s: float, steps: int) -> int:
        """The step to show now, of clips with this number of steps."""
        if not self.is_paused and self._last_s is not None:
            self._position_s += (now_s - self._last_s) * _SPEEDS[self._speed]
        self._last_s = now_s
        if self._position_s > steps / self._fps + _HOLD_S:
            self._position_s = 0.0
        return min(int(self._position_s * self._fps), max(0, steps - 1))

    @property
    def next_s(self) -> float | None:
        """Seconds until the next step; None while paused."""
        if self.is_paused:
            return None
        until_next_s = (int(self._position_s * self._fps) + 1) / self._fps - self._position_s
        return max(until_next_s, 0.5 / self._fps) / _SPEEDS[self._speed]
