"""What people are shown of a query: pictures in motion, or texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image

from prefrl.data.types import Segment
from prefrl.recording.state_rendering import close_scene, draw_state, has_texts
from prefrl.storage import Store

__all__ = ["Item", "MakeEnv", "NothingToSeeError", "SegmentRenderer", "Text", "clip_fps", "fit"]

DEFAULT_FPS = 30.0

_DRAWN_FPS = 30.0
"""scenes are drawn no more often, however short a simulator's steps are"""
_PIXEL_ART = 2.0
"""pictures enlarged this much or more keep their hard edges"""


@dataclass(frozen=True)
class Text:
    """A segment of an environment whose episodes are texts."""

    prompt: str
    response: str


Item = np.ndarray | Text
"""frames (T, H, W, 3) uint8, or a text"""


class NothingToSeeError(ValueError):
    """Of a segment there is neither a clip nor a text."""


MakeEnv = Callable[[str | None], gym.Env[Any, Any]]
"""from a render mode"""


def clip_fps(make_env: MakeEnv) -> float:
    """Steps a second, as the environment goes; 30 for one of somebody's own script, that has no name to make it by."""
    try:
        env = make_env(None)
    except ValueError:
        return DEFAULT_FPS
    fps = float(env.metadata.get("render_fps") or DEFAULT_FPS)
    env.close()
    return fps


class SegmentRenderer:
    """Makes what people see of a segment from what the store has of it. For one thread.

    Args:
        store: holds segments and clips.
        make_env: makes the environment; called when it is first needed, which clips of frames never do.
        fps: steps a second, as the environment goes.
    """

    def __init__(self, store: Store, make_env: MakeEnv, fps: float) -> None:
        self._store, self._make_env = store, make_env
        self._every = max(1, round(fps / _DRAWN_FPS))
        self._env: gym.Env[Any, Any] | None = None

    def item(self, segment_id: str) -> Item:
        """What is to be seen of a segment.

        Raises:
            NothingToSeeError: when there is nothing of it.
            ValueError: when what there is comes from another environment.
        """
        clip = self._store.clip(segment_id)
        if clip is None:
            return self._text(self._store.segments([segment_id])[0])
        if clip.frames is not None:
            return clip.frames
        assert clip.states is not None
        drawn = [draw_state(self._environment("rgb_array"), state) for state in clip.states[:: self._every]]
        # As many as there are steps, so that all clips keep the same time.
        return np.repeat(np.stack(drawn), self._every, axis=0)[: len(clip)]

    def close(self) -> None:
        """Let go of the environment, where one was made."""
        if self._env is not None:
            close_scene(self._env)

    def _environment(self, render_mode: str | None) -> gym.Env[Any, Any]:
        if self._env is None:
            self._env = self._make_env(render_mode)
            self._env.reset()
        return self._env

    def _text(self, segment: Segment) -> Text:
        # Environments of texts need not draw.
        env: Any = self._environment(None)
        if not has_texts(env):
            raise NothingToSeeError(
                f"segment {segment.id[:12]} has no clip and {segment.provenance.env_id} no text; it was "
                "imported, or recorded by a run without people; start a new one with --oracle human"
            )
        return Text(*env.unwrapped.segment_text(segment.observations, segment.actions))


def fit(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Frames (T, H, W, 3) scaled to the largest that fits into (width, height), their shape kept."""
    height, width = frames.shape[1:3]
    scale = min(size[0] / width, size[1] / height)
    scaled = max(1, round(width * scale)), max(1, round(height * scale))
    if scale >= _PIXEL_ART:
        rows, columns = (
            np.arange(new) * old // new for new, old in zip(scaled[::-1], (height, width), strict=True)
        )
        # Taken, and not indexed, they lie in memory as they are shown.
        return frames.take(rows, axis=1).take(columns, axis=2)
    return np.stack([_resized(frame, scaled) for frame in frames])


def _resized(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
