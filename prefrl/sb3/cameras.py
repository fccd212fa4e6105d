"""Cameras that look into Stable-Baselines3's vector environments."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from prefrl.config import RunConfig
from prefrl.queries import initial_segments
from prefrl.recording.clip_recorder import Camera, ClipRecorder
from prefrl.recording.state_rendering import has_states, state_of
from prefrl.sb3.hidden_reward import layers
from prefrl.sb3.native_vec_env import NativeVecEnv

__all__ = ["find_camera", "make_clip_recorder"]

_MADE_ANYWHERE = ("gymnasium.", "prefrl_envs.")
"""modules whose environments everybody can make by their ids"""


def make_clip_recorder(venv: VecEnv, config: RunConfig) -> ClipRecorder:
    """What records clips of these environments in a run where people answer.

    Raises:
        ValueError: when nothing can be seen of them.
    """
    camera = find_camera(venv, is_named_with_module=":" in config.env.id)
    if camera is None:
        raise ValueError(
            "people are asked, and these environments draw nothing that they could be shown; make them with "
            "render_mode='rgb_array'"
        )
    return ClipRecorder(camera, config.queries.segment_steps, initial_segments(config))


def find_camera(venv: VecEnv, is_named_with_module: bool = False) -> Camera | None:
    """What can look at these environments in the cheapest way; None where there is nothing to look at.

    Args:
        venv: the environments.
        is_named_with_module: whether the run's settings say which module registers them.
    """
    inmost = list(layers(venv))[-1]
    if isinstance(inmost, NativeVecEnv):
        return None if inmost.screens is None else _ScreenCamera(inmost)
    # States are drawn later, by another process, which has to be able to make the environment.
    if (
        isinstance(inmost, DummyVecEnv)
        and all(map(has_states, inmost.envs))
        and (is_named_with_module or all(map(_is_known_everywhere, inmost.envs)))
    ):
        return _StateCamera(inmost)
    return _RenderCamera(venv) if venv.render_mode == "rgb_array" else None


def _is_known_everywhere(env: gym.Env[Any, Any]) -> bool:
    """Whether any process can make it by its id; what a script registered is known to that script alone."""
    maker = "" if env.spec is None else str(env.spec.entry_point)
    return maker.startswith(_MADE_ANYWHERE)


class _RenderCamera:
    """Has each environment draw itself."""

    def __init__(self, venv: VecEnv) -> None:
        self._venv = venv
        self.num_envs = venv.num_envs

    def capture(self, env: int) -> np.ndarray:
        """A picture, shape (H, W, 3) uint8.

        Raises:
            ValueError: when it is of another kind.
        """
        picture = np.asarray(self._venv.env_method("render", indices=[env])[0])
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise ValueError(
                f"environment {env} draws arrays of shape {picture.shape} and type {picture.dtype}; "
                "(height, width, 3) of uint8 is needed, as Gymnasium asks of render mode 'rgb_array'"
            )
        return picture


class _StateCamera:
    """Notes the state of simulators, to be drawn later."""

    def __init__(self, venv: DummyVecEnv) -> None:
        self._envs = venv.envs
        self.num_envs = venv.num_envs

    def capture(self, env: int) -> np.ndarray:
        """A state, shape (F,) float64."""
        return state_of(self._envs[env])


class _ScreenCamera:
    """Sees the coloured screens that run along with a native environment."""

    def __init__(self, venv: NativeVecEnv) -> None:
        assert venv.screens is not None
        self._venv = venv
        self.num_envs = venv.screens.num_envs

    def capture(self, env: int) -> np.ndarray:
        """A picture, shape (H, W, 3) uint8."""
        return self._venv.pictures[env, -1]
