"""The picture of frame and chart, checked by its colours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.viewer.axis import nice_axis
from prefrl.viewer.reward_chart import Curve, Episode, draw_picture, shrink

PREDICTED, TRUE, GREEN = (213, 94, 0), (0, 114, 178), (0, 158, 115)


def curve(values: list[float]) -> Curve:
    return Curve(np.array(values), nice_axis(min(values), max(values)))


def episode(predicted: list[float], true: list[float], horizon_steps: int = 100) -> Episode:
    return Episode("Test-v0 · episode 1", curve(predicted), curve(true), horizon_steps)


def frame(height: int = 40, width: int = 40) -> np.ndarray:
    return np.full((height, width, 3), GREEN, np.uint8)


def box(picture: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels of this colour."""
    rows, columns = np.nonzero((np.abs(picture.astype(int) - colour) <= 3).all(axis=-1))
    assert len(rows), f"no pixel is {colour}"
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_the_frame_is_on_the_left_of_a_wide_picture_and_on_top_of_a_high_one() -> None:
    wide = draw_picture(frame(), episode([0, 1], [0, 1]), (800, 400))
    assert box(wide, GREEN)[2] < box(wide, PREDICTED)[0]
    high = draw_picture(frame(), episode([0, 1], [0, 1]), (400, 800))
    assert box(high, GREEN)[3] < box(high, PREDICTED)[1]


@pytest.mark.parametrize("size", [(960, 480), (320, 240), (400, 700), (1600, 900), (640, 200)])
@pytest.mark.parametrize(("height", "width"), [(40, 40), (400, 600), (210, 160)])
def test_the_frame_is_large_and_keeps_its_aspect_ratio(
    size: tuple[int, int], height: int, width: int
) -> None:
    picture = draw_picture(frame(height, width), episode([0, 1], [1, 0]), size)
    left, top, right, bottom = box(picture, GREEN)
    assert (right - left) / (bottom - top) == pytest.approx(width / height, rel=0.03)
    assert max((right - left) / size[0], (bottom - top) / size[1]) > 0.35


@given(
    st.integers(1, 700),
    st.integers(1, 500),
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    st.integers(1, 60),
)
@settings(max_examples=25, deadline=None)
def test_any_size_and_any_rewards_can_be_drawn(
    width: int, height: int, values: list[float], side: int
) -> None:
    picture = draw_picture(frame(side, 60), episode(values, values[::-1]), (width, height))
    assert (picture.shape, picture.dtype) == ((height, width, 3), np.dtype(np.uint8))


def test_a_curve_grows_to_the_right_with_the_steps() -> None:
    half = box(draw_picture(frame(), episode([0.0, 1.0] * 25, [0.0] * 50), (800, 400)), PREDICTED)
    whole = box(draw_picture(frame(), episode([0.0, 1.0] * 50, [0.0] * 100), (800, 400)), PREDICTED)
    assert whole[2] - whole[0] > 1.6 * (half[2] - half[0])


def plot(predicted: list[float], true: list[float]) -> np.ndarray:
    """The plot area, without readings and labels."""
    return draw_picture(frame(), episode(predicted, true, len(true)), (800, 400))[112:365, 440:735]


def test_each_curve_has_its_own_scale() -> None:
    inside = plot([0.0] * 50 + [0.01] * 50, [1000.0] * 50 + [0.0] * 50)
    assert box(inside, PREDICTED)[1] == pytest.approx(box(inside, TRUE)[1], abs=3)
    assert box(inside, PREDICTED)[3] == pytest.approx(box(inside, TRUE)[3], abs=3)


def test_a_higher_reward_is_drawn_higher_up() -> None:
    inside = plot([0.0] * 50 + [1.0] * 50, [0.5] * 100)
    assert box(inside[:, 200:], PREDICTED)[3] < box(inside[:, :100], PREDICTED)[1] - 50


def test_a_long_episode_keeps_its_peaks() -> None:
    values = [0.0] * 20_000
    values[7_777] = 1.0
    spiked, flat = plot(values, [0.0] * 20_000), plot([0.0] * 20_000, [0.0] * 20_000)
    assert box(spiked, PREDICTED)[1] < 10 < box(flat, PREDICTED)[1]


def test_a_small_picture_shows_only_the_frame() -> None:
    picture = draw_picture(frame(), episode([0, 1], [0, 1]), (120, 80))
    _, top, _, bottom = box(picture, GREEN)
    assert bottom - top > 30
    assert not (np.abs(picture.astype(int) - PREDICTED) <= 3).all(axis=-1).any()


def test_shrinking_keeps_the_aspect_ratio_and_never_enlarges() -> None:
    assert shrink(frame(400, 600), 300).shape == (200, 300, 3)
    assert shrink(frame(30, 20), 300).shape == (30, 20, 3)
