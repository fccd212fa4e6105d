"""Answers as video files, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prefrl.labelling.rendering import Text
from prefrl.viewer.answer_video import answer_frames, write_video


def clip(shade: int, steps: int) -> np.ndarray:
    shades = 20 * np.arange(steps, dtype=np.uint8) + shade
    return np.broadcast_to(shades[:, None, None, None], (steps, 40, 60, 3)).copy()


def test_items_are_shown_step_by_step_and_a_shorter_one_waits() -> None:
    frames = answer_frames([clip(50, 4), clip(150, 2)], [0], "ann: left")
    assert len(frames) == 4
    height, width, _ = frames[0].shape
    middles = [(int(p[height // 2, width // 4, 0]), int(p[height // 2, 3 * width // 4, 0])) for p in frames]
    assert middles == [(50, 150), (70, 170), (90, 170), (110, 170)]
    assert height % 2 == width % 2 == 0


def test_the_answer_is_shown_and_the_best_marked() -> None:
    items = [clip(50, 1)] * 3
    plain = answer_frames(items, [], "ann: can't tell")[0]
    assert (answer_frames(items, [1], "ann: can't tell")[0] != plain).any()
    assert (answer_frames(items, [], "ann: equal")[0] != plain).any()


def test_texts_are_a_single_frame() -> None:
    assert len(answer_frames([Text("Why?", "So."), Text("Why?", "Thus.")], [0], "ann: left")) == 1


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_video_has_its_frames(tmp_path: Path, kind: str) -> None:
    frames = answer_frames([clip(50, 5), clip(150, 5)], [1], "ann: right")
    path = tmp_path / f"1.{kind}"
    write_video(path, frames, 10.0)
    if kind == "gif":
        with Image.open(path) as image:
            assert image.n_frames == 5  # type: ignore[attr-defined]
            return
    cv2 = pytest.importorskip("cv2", reason="MP4 needs OpenCV")
    reader = cv2.VideoCapture(str(path))
    assert reader.get(cv2.CAP_PROP_FPS) == 10.0
    decoded = []
    while (found := reader.read())[0]:
        decoded.append(found[1][:, :, ::-1].astype(int))
    assert len(decoded) == 5
    assert np.abs(decoded[2] - frames[2]).mean() < 4
    assert list(tmp_path.iterdir()) == [path]
