"""Answers as films, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prefrl.labelling.rendering import Text
from prefrl.viewer.answer_film import answer_pictures, write_film


def film(shade: int, steps: int) -> np.ndarray:
    shades = 20 * np.arange(steps, dtype=np.uint8) + shade
    return np.broadcast_to(shades[:, None, None, None], (steps, 40, 60, 3)).copy()


def test_all_items_are_shown_step_by_step_the_shorter_one_waiting() -> None:
    pictures = answer_pictures([film(50, 4), film(150, 2)], [0], "ann: left")
    assert len(pictures) == 4
    height, width, _ = pictures[0].shape
    middles = [(int(p[height // 2, width // 4, 0]), int(p[height // 2, 3 * width // 4, 0])) for p in pictures]
    assert middles == [(50, 150), (70, 170), (90, 170), (110, 170)]
    assert height % 2 == width % 2 == 0


def test_the_answer_is_written_and_the_best_marked() -> None:
    items = [film(50, 1)] * 3
    plain = answer_pictures(items, [], "ann: can't tell")[0]
    assert (answer_pictures(items, [1], "ann: can't tell")[0] != plain).any()
    assert (answer_pictures(items, [], "ann: equal")[0] != plain).any()


def test_texts_are_one_picture() -> None:
    assert len(answer_pictures([Text("Why?", "So."), Text("Why?", "Thus.")], [0], "ann: left")) == 1


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_film_comes_back_with_its_pictures(tmp_path: Path, kind: str) -> None:
    pictures = answer_pictures([film(50, 5), film(150, 5)], [1], "ann: right")
    path = tmp_path / f"1.{kind}"
    write_film(path, pictures, 10.0)
    if kind == "gif":
        with Image.open(path) as image:
            assert image.n_frames == 5  # type: ignore[attr-defined]
            return
    cv2 = pytest.importorskip("cv2", reason="MP4 needs OpenCV")
    reader = cv2.VideoCapture(str(path))
    assert reader.get(cv2.CAP_PROP_FPS) == 10.0
    frames = []
    while (found := reader.read())[0]:
        frames.append(found[1][:, :, ::-1].astype(int))
    assert len(frames) == 5
    assert np.abs(frames[2] - pictures[2]).mean() < 4
    assert list(tmp_path.iterdir()) == [path]
