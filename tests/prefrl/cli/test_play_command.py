"""``prefrl play``, with SDL's dummy video driver."""

from __future__ import annotations

import itertools

import pygame
import pytest

from prefrl.cli import main


@pytest.mark.parametrize("what", ["penguin", "CartPole-v1"])
def test_a_preset_or_environment_is_played_until_q(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    flip, shown = pygame.display.flip, itertools.count(1)

    def leave_at_60() -> None:
        flip()
        if next(shown) == 60:
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_q, unicode="q"))

    monkeypatch.setattr(pygame.display, "flip", leave_at_60)
    # CartPole falls over meanwhile, and begins anew.
    assert main(["play", what, "--fps", "1000"]) == 0
    assert next(shown) == 61


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
