"""The window: the one module of prefrl that imports pygame."""

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
"""what SDL falls back on where there is no screen"""
_SMALLEST_WAIT_MS = 1
_PLAYED_KEYS = ("left", "right", "up", "down", "space", *"abcdefghijklmnoprstuvwxyz", *"123456789")
"""keys that may do something while an environment is played; Q leaves"""
_MODIFIERS = ("shift", "ctrl", "alt", "meta", "gui", "super", "lock", "alt gr")
"""how pygame's names of keys end that do nothing by themselves"""
_SCREEN_SHARE = 0.75
"""of the screen's width and height that a window takes"""


class NoDisplayError(RuntimeError):
    """A window cannot be opened on this machine; the message says why and what to do."""


class Window:
    """A resizable window that shows pictures and says what people do at it.

    It is opened once and never raised, so that it does not take the keyboard from what people are at; whether
    it does so when it opens is up to the desktop, and on Windows it does not.

    Args:
        title: of the window.
        size: width and height in pixels to open with; by default most of the screen.
        way_out: what to do instead where no window can be opened, for the message.

    Raises:
        NoDisplayError: when pygame is missing or there is no display.
    """

    def __init__(self, title: str, size: tuple[int, int] | None = None, way_out: str = "") -> None:
        pygame = self._pygame = _open_display(way_out)
        try:
            pygame.display.set_caption(title)
            pygame.display.set_mode(size or _most_of_the_screen(pygame), pygame.RESIZABLE)
        except pygame.error as error:
            raise _no_window(pygame, error, way_out) from error
        self.is_closed = False
        """True once people have closed it in a `wait`"""
        self._due_s = time.monotonic()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as people have drawn it."""
        width, height = self._pygame.display.get_surface().get_size()
        return width, height

    def show(self, picture: np.ndarray) -> None:
        """Show ``picture``, shape (H, W, 3) uint8, from the upper left corner."""
        self.paste(picture, (0, 0))
        self._pygame.display.flip()

    def paste(self, picture: np.ndarray, corner: tuple[int, int]) -> None:
        """Put ``picture`` with its upper left corner there, to be seen after the next `update`."""
        height, width = picture.shape[:2]
        surface = self._pygame.image.frombuffer(np.ascontiguousarray(picture), (width, height), "RGB")
        self._pygame.display.get_surface().blit(surface, corner)

    def update(self) -> None:
        """Show what was pasted."""
        self._pygame.display.flip()

    def events(self, seconds: float) -> list[Event]:
        """What people do; returns as soon as they do something, at the latest after so many seconds."""
        raw = self._pygame.event.get()
        if not raw and seconds > 0:
            raw = [self._pygame.event.wait(max(_SMALLEST_WAIT_MS, int(seconds * 1000)))]
        return [event for one in raw if (event := self._translated(one)) is not None]

    def held_keys(self) -> set[str]:
        """The keys that are held down now, by name as `Key` has them."""
        pygame = self._pygame
        held = pygame.key.get_pressed()
        return {name for name in _PLAYED_KEYS if held[pygame.key.key_code(name)]}

    def wait(self, seconds: float) -> None:
        """Let time pass until ``seconds`` after the last wait ended; Q, Escape and the close button end it.

        Counted from the last wait and not from now, so that the time it takes to draw is part of the rhythm.
        """
        now_s = time.monotonic()
        # After a pause longer than the rhythm, nothing is made up for.
        self._due_s = max(self._due_s + seconds, now_s)
        self._close_on(self.events(0.0))
        while not self.is_closed and (left_s := self._due_s - time.monotonic()) > 0:
            self._close_on(self.events(left_s))

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

    def _close_on(self, events: list[Event]) -> None:
        if any(event in (Key("q"), Key("escape"), Close()) for event in events):
            self.is_closed = True

    def _translated(self, event: Any) -> Event | None:
        pygame = self._pygame
        if event.type == pygame.KEYDOWN:
            # As typed, wherever the keyboard has it; but pad and arrows go by their names.
            typed = getattr(event, "unicode", "")
            name = pygame.key.name(event.key).strip("[]")
            if typed.isprintable() and typed.strip():
                return Key(typed.lower())
            # Alt and Tab, or Control and an arrow, are meant for the desktop.
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
    """Raise NoDisplayError, with ``way_out``, where no window could be opened."""
    _open_display(way_out).display.quit()


def _open_display(way_out: str) -> Any:
    pygame = _import_pygame(way_out)
    try:
        # An environment that drew in this process may have settled for no screen.
        pygame.display.quit()
        # The display alone: sound and joysticks are none of a viewer's business.
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


def _most_of_the_screen(pygame: Any) -> tuple[int, int]:
    width, height = pygame.display.get_desktop_sizes()[0]
    return round(width * _SCREEN_SHARE), round(height * _SCREEN_SHARE)


def _import_pygame(way_out: str) -> Any:
    # SDL and pygame read these when they are loaded; what people have set themselves stands.
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    os.environ.setdefault("SDL_WINDOW_NO_ACTIVATION_WHEN_SHOWN", "1")
    try:
        import pygame
    except ImportError as error:
        way_in = how_to_install("human")
        raise NoDisplayError(f"a window needs pygame; {way_in}{way_out and f', or {way_out}'}") from error
    return pygame
