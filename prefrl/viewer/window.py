"""The window. The only module of prefrl that imports pygame."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Any

import numpy as np

from prefrl.viewer.events import Click, Close, Event, Key, Resize
from prefrl_envs.extras import how_to_install

__all__ = ["NoDisplayError", "Window", "check_display"]

_NO_DISPLAY = ("dummy", "offscreen")
"""SDL's drivers for machines without a screen"""
_SMALLEST_WAIT_MS = 1
_GAME_KEYS = ("left", "right", "up", "down", "space", *"abcdefghijklmnoprstuvwxyz", *"123456789")
"""keys that `held_keys` reports; Q leaves"""
_MODIFIERS = ("shift", "ctrl", "alt", "meta", "gui", "super", "lock", "alt gr")
"""endings of pygame's names of modifier keys"""
_SCREEN_SHARE = 0.75
"""default width and height of a window, as a share of the screen"""


class NoDisplayError(RuntimeError):
    """A window cannot be opened on this machine; the message says why and what to do instead."""


class Window:
    """A resizable window that shows pictures and reports events.

    It is never raised after it was opened, so that it does not take the keyboard focus from other windows. Whether it
    takes the focus when it opens depends on the desktop.

    Args:
        title: of the window.
        size: initial width and height in pixels; by default most of the screen.
        way_out: for the error message, what to do if no window can be opened.

    Raises:
        NoDisplayError: if pygame is missing or there is no display.
    """

    def __init__(self, title: str, size: tuple[int, int] | None = None, way_out: str = "") -> None:
        pygame = self._pygame = _open_display(way_out)
        try:
            pygame.display.set_caption(title)
            pygame.display.set_mode(size or _default_size(pygame), pygame.RESIZABLE)
        except pygame.error as error:
            raise _no_window(pygame, error, way_out) from error
        self.is_closed = False
        """whether it was closed by the user during `wait`"""
        self._due_s = time.monotonic()

    @property
    def size(self) -> tuple[int, int]:
        """Current width and height in pixels."""
        width, height = self._pygame.display.get_surface().get_size()
        return width, height

    def show(self, picture: np.ndarray) -> None:
        """Show ``picture``, shape (H, W, 3) uint8, in the upper left corner."""
        self.paste(picture, (0, 0))
        self._pygame.display.flip()

    def paste(self, picture: np.ndarray, corner: tuple[int, int]) -> None:
        """Copy ``picture``, shape (H, W, 3) uint8, to ``corner``; shown by the next `update`."""
        height, width = picture.shape[:2]
        surface = self._pygame.image.frombuffer(np.ascontiguousarray(picture), (width, height), "RGB")
        self._pygame.display.get_surface().blit(surface, corner)

    def update(self) -> None:
        """Show what was pasted."""
        self._pygame.display.flip()

    def events(self, seconds: float) -> list[Event]:
        """New events; waits for one for at most ``seconds``."""
        raw = self._pygame.event.get()
        if not raw and seconds > 0:
            raw = [self._pygame.event.wait(max(_SMALLEST_WAIT_MS, int(seconds * 1000)))]
        return [event for one in raw if (event := self._translate(one)) is not None]

    def held_keys(self) -> set[str]:
        """Names of the keys held down now, as in `Key`."""
        pygame = self._pygame
        held = pygame.key.get_pressed()
        return {name for name in _GAME_KEYS if held[pygame.key.key_code(name)]}

    def wait(self, seconds: float) -> None:
        """Wait until ``seconds`` after the end of the last wait; Q, Escape and the close button end it early.

        Measured from the last wait and not from now, so that the time spent drawing does not slow playback down.
        """
        now_s = time.monotonic()
        # After a longer pause, lost time is not made up for.
        self._due_s = max(self._due_s + seconds, now_s)
        self._close_on(self.events(0.0))
        while not self.is_closed and (left_s := self._due_s - time.monotonic()) > 0:
            self._close_on(self.events(left_s))

    def close(self) -> None:
        """Close the window; closing it twice does nothing."""
        self.is_closed = True
        self._pygame.display.quit()

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _close_on(self, events: list[Event]) -> None:
        if any(event in (Key("q"), Key("escape"), Close()) for event in events):
            self.is_closed = True

    def _translate(self, event: Any) -> Event | None:
        pygame = self._pygame
        if event.type == pygame.KEYDOWN:
            # The character typed, independent of the keyboard layout; number pad and arrows by name.
            typed = getattr(event, "unicode", "")
            name = pygame.key.name(event.key).strip("[]")
            if typed.isprintable() and typed.strip():
                return Key(typed.lower())
            # Alt+Tab or Control+arrow are shortcuts of the desktop.
            others = pygame.KMOD_CTRL | pygame.KMOD_ALT | pygame.KMOD_META
            if name.endswith(_MODIFIERS) or getattr(event, "mod", 0) & others:
                return None
            return Key("return" if name == "enter" else name)
        if event.type == pygame.MOUSEBUTTONDOWN and event.button == pygame.BUTTON_LEFT:
            return Click(*event.pos)
        if event.type in (pygame.VIDEORESIZE, pygame.WINDOWEXPOSED, pygame.WINDOWSIZECHANGED):
            return Resize()
        return Close() if event.type == pygame.QUIT else None


def check_display(way_out: str = "") -> None:
    """Raise NoDisplayError, with ``way_out`` in its message, if no window can be opened."""
    _open_display(way_out).display.quit()


def _open_display(way_out: str) -> Any:
    pygame = _import_pygame(way_out)
    try:
        # An environment that rendered in this process may have chosen a driver without a screen.
        pygame.display.quit()
        # Only the display: sound and joysticks are not used.
        pygame.display.init()
        driver = pygame.display.get_driver()
        if driver in _NO_DISPLAY and os.environ.get("SDL_VIDEODRIVER") != driver:
            raise pygame.error("no screen was found")
    except pygame.error as error:
        raise _no_window(pygame, error, way_out) from error
    return pygame


def _no_window(pygame: Any, error: Exception, way_out: str) -> NoDisplayError:
    pygame.display.quit()
    return NoDisplayError(f"a window cannot be opened ({error}){way_out and f'; {way_out}'}")


def _default_size(pygame: Any) -> tuple[int, int]:
    width, height = pygame.display.get_desktop_sizes()[0]
    return round(width * _SCREEN_SHARE), round(height * _SCREEN_SHARE)


def _import_pygame(way_out: str) -> Any:
    # SDL and pygame read these when they are loaded; the user's own values are kept.
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    os.environ.setdefault("SDL_WINDOW_NO_ACTIVATION_WHEN_SHOWN", "1")
    try:
        import pygame
    except ImportError as error:
        way_in = how_to_install("human")
        raise NoDisplayError(f"a window needs pygame; {way_in}{way_out and f', or {way_out}'}") from error
    return pygame
