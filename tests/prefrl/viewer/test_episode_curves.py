"""What the chart remembers over episodes."""

from __future__ import annotations

import numpy as np
import pytest

from prefrl.viewer import episode_curves as story_module
from prefrl.viewer.episode_curves import EpisodeCurves
from prefrl.viewer.reward_chart import Episode

FRAME = np.zeros((10, 10, 3), np.uint8)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Episode]:
    """The episodes that pictures were drawn of."""
    episodes: list[Episode] = []
    monkeypatch.setattr(story_module, "draw_picture", lambda frame, episode, size: episodes.append(episode))
    return episodes


def test_an_episode_begins_with_no_rewards_on_the_axes_of_those_before(drawn: list[Episode]) -> None:
    story = EpisodeCurves(horizon_steps=50)
    story.begin("one")
    for predicted, true in ((1.0, -10.0), (3.0, -20.0)):
        story.add(predicted, true)
    assert (story.steps, story.predicted_return, story.true_return) == (2, 4.0, -30.0)
    story.begin("two")
    assert (story.steps, story.predicted_return, story.true_return) == (0, 0.0, 0.0)
    story.add(2.0, -15.0)
    story.picture(FRAME, (100, 100))
    (episode,) = drawn
    assert (episode.caption, episode.horizon_steps) == ("two", 50)
    assert episode.predicted.values.tolist() == [2.0]
    assert episode.predicted.axis.low <= 1.0
    assert episode.predicted.axis.high >= 3.0
    assert episode.true.axis.low <= -20.0


def test_axes_can_be_widened_for_what_is_to_come(drawn: list[Episode]) -> None:
    story = EpisodeCurves()
    story.widen([5.0, -5.0], [0.5])
    story.begin("one")
    story.add(0.0, 0.0)
    story.picture(FRAME, (100, 100))
    assert (drawn[0].predicted.axis.low, drawn[0].predicted.axis.high) == (-5.0, 5.0)


def test_the_chart_grows_where_the_end_is_not_known_or_comes_later(drawn: list[Episode]) -> None:
    for horizon_steps in (None, 5):
        story = EpisodeCurves(horizon_steps)
        story.begin("one")
        for _ in range(130):
            story.add(0.0, 0.0)
            story.picture(FRAME, (100, 100))
    assert [drawn[step].horizon_steps for step in (0, 19, 20, 129)] == [20, 20, 25, 200]
    assert [drawn[130 + step].horizon_steps for step in (0, 4, 5, 129)] == [5, 5, 20, 200]
    assert all(episode.horizon_steps >= len(episode.true.values) for episode in drawn)
