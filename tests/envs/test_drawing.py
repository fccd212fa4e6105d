"""Shapes cover the right area, and text fits its stated width."""

import numpy as np
import pytest

from prefrl_envs import drawing
from prefrl_envs.ranked_answers import ANSWERS, FRAME_SHAPE, QUESTION


@pytest.mark.parametrize(
    ("shape", "arguments", "area"),
    [
        ("rectangle", (0.25, 0.25, 0.75, 0.75), 0.25),
        ("ellipse", (0.5, 0.5, 0.4, 0.2), np.pi * 0.4 * 0.2),
        ("polygon", ([(0.1, 0.1), (0.9, 0.1), (0.9, 0.9)],), 0.32),
        ("polygon", ([(0.9, 0.9), (0.9, 0.1), (0.1, 0.1)],), 0.32),
    ],
)
def test_shapes_cover_their_area(shape: str, arguments: tuple, area: float) -> None:
    canvas = drawing.Canvas(1, 1, 50)
    getattr(canvas, shape)(*arguments, drawing.WHITE)
    assert canvas.sprite()[..., 3].mean() / 255 == pytest.approx(area, abs=0.01)


def test_sprites_blend_by_their_opacity() -> None:
    frame = np.full((2, 3, 3), 100, dtype=np.uint8)
    sprite = np.array([[[200, 0, 50, 255], [200, 0, 50, 0]]], dtype=np.uint8)
    drawing.paste(frame, sprite, 1, 1)
    assert frame[1].tolist() == [[100] * 3, [200, 0, 50], [100] * 3]
    assert (frame[0] == 100).all()


def test_letters_are_drawn_pixel_by_pixel() -> None:
    frame = np.zeros((5, 7, 3), dtype=np.uint8)
    drawing.draw_text(frame, "h1", 0, 0, drawing.WHITE, scale=1)
    lines = ["".join(".#"[int(on)] for on in row) for row in frame.any(axis=2)]
    assert lines == ["#.#..#.", "#.#.##.", "###..#.", "#.#..#.", "#.#.###"]


def test_the_answers_fit_their_frame_and_use_known_letters() -> None:
    for line in (QUESTION, *ANSWERS):
        assert drawing.text_width(f"1 {line}", scale=2) <= FRAME_SHAPE[1] - 2 * 14
        assert set(line.upper()) <= set(drawing.GLYPHS)
