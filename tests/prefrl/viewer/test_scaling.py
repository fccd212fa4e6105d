"""Frames scaled to the room they have."""

from __future__ import annotations

import numpy as np
import pytest

from prefrl.labelling.rendering import Text
from prefrl.viewer.layout import page_layout
from prefrl.viewer.scaling import WindowFit, fit_frames


@pytest.mark.parametrize("shape", [(210, 160), (50, 50), (400, 600), (9, 300)])
@pytest.mark.parametrize("room", [(100, 100), (333, 200), (1000, 900)])
def test_frames_fit_and_keep_their_aspect_ratio(shape: tuple[int, int], room: tuple[int, int]) -> None:
    height, width = fit_frames(np.zeros((2, *shape, 3), np.uint8), room).shape[1:3]
    assert height <= room[1]
    assert width <= room[0]
    assert width / height == pytest.approx(shape[1] / shape[0], rel=0.1)
    # At least half of the room is used, in one direction.
    assert max(height / room[1], width / room[0]) > 0.5


def test_small_frames_keep_hard_pixel_edges() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3), dtype=np.uint8)
    np.testing.assert_array_equal(fit_frames(frames, (12, 13)), frames.repeat(3, axis=1).repeat(3, axis=2))
    # Also with a fractional factor, every pixel is one of the frame's.
    assert {tuple(pixel) for pixel in fit_frames(frames, (14, 14)).reshape(-1, 3)} == {
        tuple(pixel) for pixel in frames.reshape(-1, 3)
    }


def test_enlarged_frames_are_contiguous() -> None:
    # Otherwise every frame shown would be copied first, which takes longer than everything else a key does.
    assert fit_frames(np.zeros((2, 30, 20, 3), np.uint8), (400, 300)).flags.c_contiguous


def test_items_are_fitted_to_the_window_and_texts_left_alone() -> None:
    fit = WindowFit((640, 360))
    items = np.zeros((3, 20, 10, 3), np.uint8), Text("a", "b")
    small, text = fit(items)
    assert text == items[1]
    assert isinstance(small, np.ndarray)
    left, top, right, bottom = page_layout((640, 360), 2).items[0]
    assert small.shape[1] == bottom - top
    assert small.shape[2] <= right - left
    fit.size = 1600, 900
    large = fit(items)[0]
    assert isinstance(large, np.ndarray)
    assert large.shape[1] > small.shape[1]
