"""Animated GIFs, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prefrl.viewer.gif import write_gif


def square_frames(count: int) -> list[np.ndarray]:
    """A white square on black that moves right by one pixel per frame."""
    frames = np.zeros((count, 20, 120, 3), np.uint8)
    for step, frame in enumerate(frames):
        frame[5:15, step : step + 10] = 255
    return list(frames)


def read(path: Path) -> tuple[np.ndarray, list[int]]:
    """The frames, and the milliseconds each is shown."""
    frames, durations_ms = [], []
    with Image.open(path) as image:
        for index in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(index)
            frames.append(np.asarray(image.convert("RGB")))
            durations_ms.append(image.info["duration"])
        assert image.info["loop"] == 0
    return np.stack(frames), durations_ms


def test_frames_are_unchanged(tmp_path: Path) -> None:
    written = square_frames(7)
    write_gif(tmp_path / "a.gif", iter(written), 10, written[:1])
    frames, durations_ms = read(tmp_path / "a.gif")
    np.testing.assert_array_equal(frames, written)
    assert durations_ms == [100] * 6 + [1500]


@pytest.mark.parametrize(
    ("fps", "kept", "duration_ms"), [(30, 12, 30), (50, 12, 20), (100, 6, 20), (1, 12, 1000)]
)
def test_a_high_frame_rate_keeps_the_speed(tmp_path: Path, fps: float, kept: int, duration_ms: int) -> None:
    written = square_frames(12)
    write_gif(tmp_path / "a.gif", written, fps, written)
    frames, durations_ms = read(tmp_path / "a.gif")
    assert len(frames) == kept
    assert set(durations_ms[:-1]) == {duration_ms}


def test_no_frames_are_refused_and_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no frames"):
        write_gif(tmp_path / "a.gif", [], 10, square_frames(1))
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(b"old")

    def broken() -> object:
        yield square_frames(1)[0]
        raise OSError("the environment is gone")

    with pytest.raises(OSError, match="gone"):
        write_gif(path, broken(), 10, square_frames(1))  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
