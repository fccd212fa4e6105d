"""Turns stored segments into what people are shown: frames or texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from prefrl.data.types import Segment
from prefrl.recording.state_rendering import close_rendering_env, draw_state, shows_text
from prefrl.storage import Store

__all__ = ["Item", "MakeEnv", "NotRenderableError", "SegmentRenderer", "Text", "clip_fps"]

DEFAULT_FPS = 30.0

_MAX_RENDER_FPS = 30.0
"""states are rendered at most this often, however short the simulator's steps are"""


@dataclass(frozen=True)
class Text:
    """A segment of an environment whose episodes are texts."""

    prompt: str
    response: str


Item = np.ndarray | Text
"""what people see of one segment: frames, shape (T, H, W, 3) uint8, or a text"""


class NotRenderableError(ValueError):
    """The store has neither a clip nor a text of the segment."""


MakeEnv = Callable[[str | None], gym.Env[Any, Any]]
"""makes the environment with a given render mode"""


def clip_fps(make_env: MakeEnv) -> float:
    """The environment's own steps per second; 30 if it does not say, or only the user's script can make it."""
    try:
        env = make_env(None)
    except ValueError:
        return DEFAULT_FPS
    fps = float(env.metadata.get("render_fps") or DEFAULT_FPS)
    env.close()
    return fps


class SegmentRenderer:
    """Renders segments from the store. Not thread-safe.

    Args:
        store: holds segments and clips.
        make_env: makes the environment. Called once, when the first segment without recorded frames is rendered.
        fps: the environment's steps per second.
    """

    def __init__(self, store: Store, make_env: MakeEnv, fps: float) -> None:
        self._store, self._make_env = store, make_env
        self._every = max(1, round(fps / _MAX_RENDER_FPS))
        self._env: gym.Env[Any, Any] | None = None

    def item(self, segment_id: str) -> Item:
        """Frames or text of a segment.

        Raises:
            NotRenderableError: if the segment has neither a clip nor a text.
            ValueError: if its clip comes from another environment.
        """
        clip = self._store.clip(segment_id)
        if clip is None:
            return self._text(self._store.segments([segment_id])[0])
        if clip.frames is not None:
            return clip.frames
        assert clip.states is not None
        env = self._environment("rgb_array")
        frames = [draw_state(env, state) for state in clip.states[:: self._every]]
        # One frame per step, so that all clips play at the same rate.
        return np.repeat(np.stack(frames), self._every, axis=0)[: len(clip)]

    def close(self) -> None:
        """Close the environment, if one was made."""
        if self._env is not None:
            close_rendering_env(self._env)

    def _environment(self, render_mode: str | None) -> gym.Env[Any, Any]:
        if self._env is None:
            self._env = self._make_env(render_mode)
            self._env.reset()
        return self._env

    def _text(self, segment: Segment) -> Text:
        # Text environments may have no render mode.
        env: Any = self._environment(None)
        if not shows_text(env):
            raise NotRenderableError(
                f"segment {segment.id[:12]} has no clip and {segment.provenance.env_id} no text; it was "
                "imported, or recorded by a run without people; start a new one with --oracle human"
            )
        return Text(*env.unwrapped.segment_text(segment.observations, segment.actions))
