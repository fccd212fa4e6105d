"""The window: the one module of prefrl that imports pygame."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Any

import numpy as np

__all__ = ["NoDisplayError", "Window"]

_NO_DISPLAY = ("dummy", "offscreen")
"""what SDL falls back on where there is no screen"""
_SMALLEST_WAIT_MS = 1


class NoDisplayError(RuntimeError):
    """A window cannot be opened on this machine; the message says why and what to do."""


class Window:
    """A resizable window that shows pictures. Q, Escape and the close button close it; ``is_closed`` tells.

    It is opened once and never raised, so that it does not take the keyboard from what people are at; whether
    it does so when it opens is up to the desktop, and on Windows it does not.

    Args:
        title: of the window.
        size: width and height in pixels to open with.
        way_out: what to do instead where no window can be opened, for the message.

    Raises:
        NoDisplayError: when pygame is missing or there is no display.
    """

    def __init__(self, title: str, size: tuple[int, int] = (960, 480), way_out: str = "") -> None:
        pygame = self._pygame = _import_pygame(way_out)
        try:
            # The display alone: sound and joysticks are none of a viewer's business.
            pygame.display.init()
            driver = pygame.display.get_driver()
            if driver in _NO_DISPLAY and os.environ.get("SDL_VIDEODRIVER") != driver:
                raise pygame.error("no screen was found")
            pygame.display.set_caption(title)
            pygame.display.set_mode(size, pygame.RESIZABLE)
        except pygame.error as error:
            pygame.display.quit()
            raise NoDisplayError(
                f"a window cannot be opened ({error}){way_out and f'; {way_out}'}"
            ) from error
        self.is_closed = False
        """True once people have closed it"""
        self._due_s = time.monotonic()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as people have drawn it."""
        width, height = self._pygame.display.get_surface().get_size()
        return width, height

    def show(self, picture: np.ndarray) -> None:
        """Show ``picture``, shape (H, W, 3) uint8, from the upper left corner."""
        surface = self._pygame.surfarray.make_surface(picture.swapaxes(0, 1))
        self._pygame.display.get_surface().blit(surface, (0, 0))
        self._pygame.display.flip()

    def wait(self, seconds: float) -> None:
        """Handle events until ``seconds`` after the last wait ended, or until the window is closed.

        Counted from the last wait and not from now, so that the time it takes to draw is part of the rhythm.
        """
        now_s = time.monotonic()
        # After a pause longer than the rhythm, nothing is made up for.
        self._due_s = max(self._due_s + seconds, now_s)
        self._handle(self._pygame.event.get())
        while not self.is_closed and (left_s := self._due_s - time.monotonic()) > 0:
            self._handle([self._pygame.event.wait(max(_SMALLEST_WAIT_MS, int(left_s * 1000)))])

    def close(self) -> None:
        """Close the window; harmless when closed already."""
        self.is_closed = True
        self._pygame.display.quit()

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _handle(self, events: list[Any]) -> None:
        pygame = self._pygame
        for event in events:
            is_key = event.type == pygame.KEYDOWN and event.key in (pygame.K_q, pygame.K_ESCAPE)
            if is_key or event.type == pygame.QUIT:
                self.is_closed = True


def _import_pygame(way_out: str) -> Any:
    # SDL and pygame read these when they are loaded; what people have set themselves stands.
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    os.environ.setdefault("SDL_WINDOW_NO_ACTIVATION_WHEN_SHOWN", "1")
    try:
        import pygame
    except ImportError as error:
        way_in = 'install it with: pip install "prefrl[human]"'
        raise NoDisplayError(f"a window needs pygame; {way_in}{way_out and f', or {way_out}'}") from error
    return pygame
