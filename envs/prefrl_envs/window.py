"""The window of render mode "human". It is the only module here that needs pygame, which it imports on first use."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled

from prefrl_envs.extras import how_to_install

__all__ = ["Window"]


class Window:
    """A window that shows one frame after another, no faster than ``frames_per_s``.

    Raises:
        DependencyNotInstalled: when pygame is missing.
    """

    def __init__(self, title: str, frames_per_s: int) -> None:
        try:
            import pygame
        except ImportError as error:
            raise DependencyNotInstalled(
                f'render_mode="human" needs pygame; {how_to_install("human")}'
            ) from error
        pygame.display.init()
        self._pygame = pygame
        self._title = title
        self._frames_per_s = frames_per_s
        self._clock = pygame.time.Clock()
        self._screen: Any = None

    def show(self, frame: np.ndarray) -> None:
        """Show ``frame``, shape (H, W, 3) uint8, and wait until the next one is due."""
        if self._screen is None:
            self._screen = self._pygame.display.set_mode((frame.shape[1], frame.shape[0]))
            self._pygame.display.set_caption(self._title)
        self._pygame.event.pump()  # otherwise the desktop reports that the window does not respond
        self._pygame.surfarray.blit_array(self._screen, frame.transpose(1, 0, 2))
        self._pygame.display.flip()
        self._clock.tick(self._frames_per_s)

    def close(self) -> None:
        """Close the window."""
        self._pygame.display.quit()
