"""Records clips while agents act, so that people can be shown what happens in a segment."""

from __future__ import annotations

import time
from typing import Protocol

import numpy as np

from prefrl.data.clips import Clip, encode_clip

__all__ = ["Camera", "ClipRecorder"]

MAX_TIME_SHARE = 0.03
"""share of the time that may be spent on recording clips"""
_MAX_SIDE_PIXELS = 420
"""larger frames are reduced by a whole factor: many are held in memory, and a clip fills at most half a window"""


class Camera(Protocol):
    """Captures environments that are stepped side by side."""

    @property
    def num_envs(self) -> int:
        """Only the first ``num_envs`` environments can be captured."""

    def capture(self, env: int) -> np.ndarray:
        """Environment ``env`` as it is now: a frame (H, W, 3) uint8, or a state (F,) float64 to be rendered later."""


class ClipRecorder:
    """Holds the newest T captures of every environment, and cuts clips from them.

    Whether an environment is captured is decided at the start of each of its segments: always for the first clips, then
    only while recording has taken at most `MAX_TIME_SHARE` of the time.

    Args:
        camera: captures the environments.
        segment_steps: length of a segment, T.
        first_clips: number of clips recorded regardless of the time they take.
    """

    def __init__(self, camera: Camera, segment_steps: int, first_clips: int) -> None:
        self._camera, self._first_clips = camera, first_clips
        self._captures: list[list[np.ndarray | None]] = [
            [None] * camera.num_envs for _ in range(segment_steps)
        ]
        """by row and environment"""
        self._is_captured = np.zeros(camera.num_envs, bool)
        self._clips_begun = self._clips_cut = 0
        self._start_s, self._spent_s = time.perf_counter(), 0.0

    def capture(self, row: int, begins: np.ndarray) -> None:
        """Capture the environments before a step.

        Args:
            row: which of the T newest steps this one replaces.
            begins: shape (N,) bool, whether a segment of the environment begins with this step.
        """
        started_s = time.perf_counter()
        for env in np.flatnonzero(begins[: len(self._is_captured)]):
            self._is_captured[env] = self._may_record(started_s)
            self._clips_begun += int(self._is_captured[env])
        self._captures[row] = [
            _reduced(self._camera.capture(env)) if is_captured else None
            for env, is_captured in enumerate(self._is_captured.tolist())
        ]
        self._spent_s += time.perf_counter() - started_s

    def cut(self, env: int, rows: np.ndarray) -> bytes | None:
        """The encoded clip of the steps in ``rows``, in this order; None unless all of them were captured."""
        if env >= len(self._is_captured):
            return None
        started_s = time.perf_counter()
        captures = [capture for row in rows if (capture := self._captures[row][env]) is not None]
        if len(captures) < len(rows):
            return None
        stacked = np.stack(captures)
        clip = Clip(states=stacked) if stacked.ndim == 2 else Clip(frames=stacked)
        encoded = encode_clip(clip)
        self._account(started_s)
        return encoded

    def _account(self, started_s: float) -> None:
        """Count a clip, and the time since ``started_s``."""
        now_s = time.perf_counter()
        self._clips_cut += 1
        self._spent_s += now_s - started_s
        if self._clips_cut <= self._first_clips:
            # The time that the first clips took does not count against later ones.
            self._start_s, self._spent_s = now_s, 0.0

    def _may_record(self, now_s: float) -> bool:
        is_first = self._clips_begun < self._first_clips
        return is_first or self._spent_s <= MAX_TIME_SHARE * (now_s - self._start_s)


def _reduced(capture: np.ndarray) -> np.ndarray:
    factor = -(-max(capture.shape[:2]) // _MAX_SIDE_PIXELS) if capture.ndim == 3 else 1
    if factor == 1:
        # Environments may render into the same array again.
        return capture.copy()
    from PIL import Image  # only needed where clips are shown to people

    return np.asarray(Image.fromarray(capture).reduce(factor))
