"""``prefrl play``, with SDL's dummy video driver."""

from __future__ import annotations

import threading
import time

import pygame
import pytest

from prefrl.cli import main


def leave_after(seconds: float) -> threading.Thread:
    def leave() -> None:
        while not pygame.display.get_init():
            time.sleep(0.01)
        time.sleep(seconds)
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_q, unicode="q"))

    thread = threading.Thread(target=leave)
    thread.start()
    return thread


@pytest.mark.parametrize("what", ["penguin", "CartPole-v1"])
def test_a_preset_or_environment_is_played_until_q(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    thread = leave_after(0.5)
    # CartPole falls and restarts in the meantime.
    assert main(["play", what, "--fps", "100"]) == 0
    thread.join()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere-v0"], "no environment is registered"),
        (["penguin", "--fps", "0"], "--fps is 0"),
        (["penguin", "--seed", "-1"], "--seed is -1"),
    ],
)
def test_invalid_options_are_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["play", *words]) == 1
    assert message in capsys.readouterr().err
