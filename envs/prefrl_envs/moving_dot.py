"""A white dot on a black field that should be kept in the centre: a minimal task from pixels."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import spaces

from prefrl_envs import drawing
from prefrl_envs.base import FixedHorizonEnv, Info
from prefrl_envs.grid import OFFSETS

__all__ = ["MovingDot"]

MOVES = np.array([(0, 0), *OFFSETS])
MIN_SIZE = 36
FRAME_PIXELS = 288


class MovingDot(FixedHorizonEnv[np.ndarray]):
    """Move a dot to the centre of a field.

    The dot starts anywhere and stops at the border; the actions are stay, up, right, down, left. The observation is the
    field, shape (size, size, 1) uint8, with 255 at the dot. Dot and stride grow with the size, so the field is always
    about 17 strides wide. The reward of a step falls linearly with the number of moves to the centre, from 1 in the
    centre to 0 in a corner; it is a function of the observation before the action.

    Raises:
        ValueError: when ``size`` is below 36, the minimum of Stable-Baselines3's convolutional network.
    """

    def __init__(self, size: int = MIN_SIZE, horizon_steps: int = 50, render_mode: str | None = None) -> None:
        if size < MIN_SIZE:
            raise ValueError(
                f"size is {size}; at least {MIN_SIZE} pixels are needed for convolutional policies"
            )
        super().__init__(horizon_steps, render_mode)
        self.size = size
        self._stride_pixels, self._dot_pixels = size // 18, size // 9
        self._places = (size - self._dot_pixels) // self._stride_pixels + 1
        self._centre = self._places // 2
        self._position = np.full(2, self._centre)
        self.action_space = spaces.Discrete(len(MOVES))
        self.observation_space = spaces.Box(0, 255, (size, size, 1), dtype=np.uint8)

    def optimal_return(self) -> float:
        """Exact mean undiscounted return of the best policy."""
        offsets = np.abs(np.arange(self._places) - self._centre)
        distances = (offsets[:, None] + offsets).reshape(-1, 1)
        return float(
            self._closeness(np.maximum(distances - np.arange(self.horizon_steps), 0)).sum(axis=1).mean()
        )

    def _begin(self, options: Info) -> Info:
        self._position = self.np_random.integers(self._places, size=2)
        return {}

    def _advance(self, action: int) -> tuple[float, Info]:
        reward = float(self._closeness(np.abs(self._position - self._centre).sum()))
        self._position = np.clip(self._position + MOVES[action], 0, self._places - 1)
        return reward, {}

    def _closeness(self, distance: Any) -> Any:
        return 1.0 - distance / (2 * self._centre)

    def _observe(self) -> np.ndarray:
        field = np.zeros((self.size, self.size, 1), dtype=np.uint8)
        top, left = self._position * self._stride_pixels
        field[top : top + self._dot_pixels, left : left + self._dot_pixels] = 255
        return field

    def _draw(self) -> np.ndarray:
        frame = self._background.copy()
        scale = FRAME_PIXELS / self.size
        top, left = (self._position * self._stride_pixels * scale).round().astype(int)
        extent = round(self._dot_pixels * scale)
        frame[top : top + extent, left : left + extent] = drawing.WHITE
        return frame

    @cached_property
    def _background(self) -> np.ndarray:
        canvas = drawing.Canvas(1, 1, FRAME_PIXELS)
        canvas.rectangle(0, 0, 1, 1, drawing.BLACK)
        middle = (self._centre * self._stride_pixels + self._dot_pixels / 2) / self.size
        for radius, colour in ((0.12, drawing.ORANGE), (0.105, drawing.BLACK)):
            canvas.ellipse(middle, middle, radius, radius, colour)
        return canvas.frame()
