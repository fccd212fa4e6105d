"""Films the environments while agents act in them, so that people can be shown what a segment holds."""

from __future__ import annotations

import time
from typing import Protocol

import numpy as np

from prefrl.data.clips import Clip, encode_clip

__all__ = ["Camera", "ClipRecorder"]

MOST_OF_THE_TIME = 0.03
"""share of the time that may go into filming"""
_LONGEST_SIDE_PIXELS = 420
"""larger pictures are reduced by a whole number: many are held at once, and a clip fills half a window at most"""


class Camera(Protocol):
    """Looks at environments that stand side by side."""

    @property
    def num_envs(self) -> int:
        """The first so many of the environments can be seen."""

    def capture(self, env: int) -> np.ndarray:
        """This environment as it is now: a picture (H, W, 3) uint8, or a state (F,) float64 to be drawn later."""


class ClipRecorder:
    """The newest pictures of every environment, from which clips are cut.

    Whether an environment is filmed is decided anew with each of its segments: always, until there are enough clips
    to begin with; then as long as filming has taken no more than its share of the time.

    Args:
        camera: takes the pictures.
        segment_steps: T.
        first_clips: so many are filmed whatever it takes.
    """

    def __init__(self, camera: Camera, segment_steps: int, first_clips: int) -> None:
        self._camera, self._first_clips = camera, first_clips
        self._pictures: list[list[np.ndarray | None]] = [
            [None] * camera.num_envs for _ in range(segment_steps)
        ]
        self._is_filmed = np.zeros(camera.num_envs, bool)
        self._begun = self._clips = 0
        self._start_s, self._spent_s = time.perf_counter(), 0.0

    def capture(self, row: int, begins: np.ndarray) -> None:
        """Take the pictures of a step that is about to be made.

        Args:
            row: which of the T newest steps this one replaces.
            begins: shape (N,) bool, whose segment begins with it.
        """
        started_s = time.perf_counter()
        for env in np.flatnonzero(begins[: len(self._is_filmed)]):
            self._is_filmed[env] = self._may_film(started_s)
            self._begun += int(self._is_filmed[env])
        self._pictures[row] = [
            _reduced(self._camera.capture(env)) if is_filmed else None
            for env, is_filmed in enumerate(self._is_filmed.tolist())
        ]
        self._spent_s += time.perf_counter() - started_s

    def cut(self, env: int, rows: np.ndarray) -> bytes | None:
        """The encoded clip of these steps, in this order; None where not all of them were filmed."""
        if env >= len(self._is_filmed):
            return None
        started_s = time.perf_counter()
        pictures = [picture for row in rows if (picture := self._pictures[row][env]) is not None]
        if len(pictures) < len(rows):
            return None
        stacked = np.stack(pictures)
        clip = Clip(states=stacked) if stacked.ndim == 2 else Clip(frames=stacked)
        encoded = encode_clip(clip)
        self._count(started_s)
        return encoded

    def _count(self, started_s: float) -> None:
        now_s = time.perf_counter()
        self._clips += 1
        self._spent_s += now_s - started_s
        if self._clips <= self._first_clips:
            # What the first clips took is not to be made up for.
            self._start_s, self._spent_s = now_s, 0.0

    def _may_film(self, now_s: float) -> bool:
        is_first = self._begun < self._first_clips
        return is_first or self._spent_s <= MOST_OF_THE_TIME * (now_s - self._start_s)


def _reduced(picture: np.ndarray) -> np.ndarray:
    factor = -(-max(picture.shape[:2]) // _LONGEST_SIDE_PIXELS) if picture.ndim == 3 else 1
    if factor == 1:
        # Environments may draw into the same array again.
        return picture.copy()
    from PIL import Image  # needed only by those who show clips to people

    return np.asarray(Image.fromarray(picture).reduce(factor))
