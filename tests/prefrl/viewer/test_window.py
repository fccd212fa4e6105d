"""The window, with SDL's dummy video driver."""

from __future__ import annotations

import builtins
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pygame
import pytest

from prefrl.viewer.events import Key
from prefrl.viewer.window import NoDisplayError, Window


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Iterator[Window]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with Window("test", (40, 30)) as window:
        yield window


def test_a_picture_is_shown_unchanged(window: Window) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    window.show(picture)
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
    np.testing.assert_array_equal(shown, picture)
    assert window.size == (40, 30)


@pytest.mark.parametrize(
    ("event", "closes"),
    [
        (pygame.event.Event(pygame.QUIT), True),
        (pygame.event.Event(pygame.KEYDOWN, key=pygame.K_q), True),
        (pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE), True),
        (pygame.event.Event(pygame.KEYDOWN, key=pygame.K_a), False),
        (pygame.event.Event(pygame.MOUSEMOTION, pos=(1, 1), rel=(0, 0), buttons=(0, 0, 0)), False),
    ],
)
def test_q_escape_and_the_close_button_close(window: Window, event: Any, closes: bool) -> None:
    pygame.event.post(event)
    window.wait(0.0)
    assert window.is_closed == closes


@pytest.mark.parametrize(
    ("key", "typed", "mod", "name"),
    [
        (pygame.K_KP_ENTER, "\r", 0, "return"),
        (pygame.K_LEFT, "", 0, "left"),
        (pygame.K_LEFT, "", pygame.KMOD_LCTRL, None),
        (pygame.K_LALT, "", pygame.KMOD_LALT, None),
        (pygame.K_LSHIFT, "", pygame.KMOD_LSHIFT, None),
        (pygame.K_TAB, "\t", pygame.KMOD_LALT, None),
        (pygame.K_a, "A", pygame.KMOD_LSHIFT, "a"),
        (pygame.K_KP1, "1", pygame.KMOD_NUM, "1"),
        (pygame.K_EQUALS, "+", pygame.KMOD_LSHIFT, "+"),
        (pygame.K_2, "²", pygame.KMOD_RALT, "²"),
    ],
)
def test_keys_are_named_by_their_character_and_desktop_shortcuts_ignored(
    window: Window, key: int, typed: str, mod: int, name: str | None
) -> None:
    pygame.event.clear()
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, unicode=typed, mod=mod))
    assert window.events(0.0) == ([] if name is None else [Key(name)])


def test_a_window_opens_after_an_environment_has_rendered_offscreen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "offscreen")
    pygame.display.quit()
    pygame.display.init()
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with Window("test", (40, 30)):
        assert pygame.display.get_driver() == "dummy"


def test_closing_ends_a_wait(window: Window) -> None:
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    window.wait(3600.0)
    assert window.is_closed


def test_the_window_can_be_resized_and_does_not_start_sound(window: Window) -> None:
    assert pygame.display.get_surface().get_flags() & pygame.RESIZABLE
    assert pygame.mixer.get_init() is None


def test_closing_twice_does_nothing(window: Window) -> None:
    window.close()
    window.close()
    assert window.is_closed


def test_without_pygame_the_error_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def no_pygame(name: str, *rest: Any) -> Any:
        if name == "pygame":
            raise ImportError(name)
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_pygame)
    with pytest.raises(NoDisplayError, match=r'pip install -e "\.\[human\]" .*, or use --gif'):
        Window("test", way_out="use --gif")


def test_without_a_screen_the_error_names_the_way_out() -> None:
    # In a separate process: SDL looks for screens only once.
    code = "from prefrl.viewer.window import Window; Window('test', way_out='use --gif')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PATH": "/usr/bin", "HOME": "/"}
    )
    assert done.returncode == 1
    last_line = done.stderr.strip().splitlines()[-1]
    assert "NoDisplayError: a window cannot be opened" in last_line
    assert last_line.endswith("; use --gif")
