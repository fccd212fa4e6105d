"""Animated GIFs, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prefrl.viewer.gif import write_gif


def pictures(count: int) -> list[np.ndarray]:
    """A white square on black that moves right by a pixel a picture."""
    film = np.zeros((count, 20, 120, 3), np.uint8)
    for step, picture in enumerate(film):
        picture[5:15, step : step + 10] = 255
    return list(film)


def read(path: Path) -> tuple[np.ndarray, list[int]]:
    """The pictures, and for how many milliseconds each is shown."""
    frames, durations_ms = [], []
    with Image.open(path) as image:
        for index in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(index)
            frames.append(np.asarray(image.convert("RGB")))
            durations_ms.append(image.info["duration"])
        assert image.info["loop"] == 0
    return np.stack(frames), durations_ms


def test_what_is_written_is_what_is_seen(tmp_path: Path) -> None:
    film = pictures(7)
    write_gif(tmp_path / "film.gif", iter(film), 10, film[:1])
    frames, durations_ms = read(tmp_path / "film.gif")
    np.testing.assert_array_equal(frames, film)
    assert durations_ms == [100] * 6 + [1500]


@pytest.mark.parametrize(
    ("fps", "kept", "duration_ms"), [(30, 12, 30), (50, 12, 20), (100, 6, 20), (1, 12, 1000)]
)
def test_a_fast_film_keeps_its_speed(tmp_path: Path, fps: float, kept: int, duration_ms: int) -> None:
    film = pictures(12)
    write_gif(tmp_path / "film.gif", film, fps, film)
    frames, durations_ms = read(tmp_path / "film.gif")
    assert len(frames) == kept
    assert set(durations_ms[:-1]) == {duration_ms}


def test_a_film_of_nothing_is_refused_and_no_file_left(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pictures"):
        write_gif(tmp_path / "film.gif", [], 10, pictures(1))
    assert not list(tmp_path.iterdir())


def test_a_film_cut_short_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    path.write_bytes(b"old")

    def broken() -> object:
        yield pictures(1)[0]
        raise OSError("the environment is gone")

    with pytest.raises(OSError, match="gone"):
        write_gif(path, broken(), 10, pictures(1))  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
