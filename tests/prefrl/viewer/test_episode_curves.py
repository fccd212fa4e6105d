"""Reward curves over several episodes."""

from __future__ import annotations

import numpy as np
import pytest

from prefrl.viewer import episode_curves
from prefrl.viewer.episode_curves import EpisodeCurves
from prefrl.viewer.reward_chart import Episode

FRAME = np.zeros((10, 10, 3), np.uint8)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Episode]:
    """The episodes drawn, as passed to `draw_picture`."""
    episodes: list[Episode] = []
    monkeypatch.setattr(episode_curves, "draw_picture", lambda frame, episode, size: episodes.append(episode))
    return episodes


def test_an_episode_begins_empty_and_keeps_the_axes(drawn: list[Episode]) -> None:
    curves = EpisodeCurves(horizon_steps=50)
    curves.begin("one")
    for predicted, true in ((1.0, -10.0), (3.0, -20.0)):
        curves.add(predicted, true)
    assert (curves.steps, curves.predicted_return, curves.true_return) == (2, 4.0, -30.0)
    curves.begin("two")
    assert (curves.steps, curves.predicted_return, curves.true_return) == (0, 0.0, 0.0)
    curves.add(2.0, -15.0)
    curves.picture(FRAME, (100, 100))
    (episode,) = drawn
    assert (episode.caption, episode.horizon_steps) == ("two", 50)
    assert episode.predicted.values.tolist() == [2.0]
    assert episode.predicted.axis.low <= 1.0
    assert episode.predicted.axis.high >= 3.0
    assert episode.true.axis.low <= -20.0


def test_axes_can_be_widened_in_advance(drawn: list[Episode]) -> None:
    curves = EpisodeCurves()
    curves.widen([5.0, -5.0], [0.5])
    curves.begin("one")
    curves.add(0.0, 0.0)
    curves.picture(FRAME, (100, 100))
    assert (drawn[0].predicted.axis.low, drawn[0].predicted.axis.high) == (-5.0, 5.0)


def test_the_chart_grows_if_the_length_is_unknown_or_exceeded(drawn: list[Episode]) -> None:
    for horizon_steps in (None, 5):
        curves = EpisodeCurves(horizon_steps)
        curves.begin("one")
        for _ in range(130):
            curves.add(0.0, 0.0)
            curves.picture(FRAME, (100, 100))
    assert [drawn[step].horizon_steps for step in (0, 19, 20, 129)] == [20, 20, 25, 200]
    assert [drawn[130 + step].horizon_steps for step in (0, 4, 5, 129)] == [5, 5, 20, 200]
    assert all(episode.horizon_steps >= len(episode.true.values) for episode in drawn)
