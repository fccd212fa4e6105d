"""Renders simulator states after the fact, and tells which environments can be shown to people.

Rendering takes many times as long as a simulator step, a hundred times with MuJoCo. A state is only a few numbers: the
positions and velocities of MuJoCo, or the state of classic control. So states are recorded, and rendered when somebody
looks at them. Text episodes need neither: their text is in the observations and actions.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

__all__ = ["check_drawable", "close_rendering_env", "draw_state", "has_states", "shows_text", "state_of"]

_CLASSIC = "gymnasium.envs.classic_control"
_FREE_CAMERA = -1
_TRACKING_CAMERA = "track"
"""name of the camera that follows the robot, in Gymnasium's models"""


def check_drawable(env: gym.Env[Any, Any]) -> None:
    """Raise ValueError, naming its render modes, unless the environment can render arrays."""
    name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
    modes = env.metadata.get("render_modes", [])
    if "rgb_array" not in modes:
        known = f"it has the render modes {', '.join(map(str, modes))}" if modes else "it has no render modes"
        raise ValueError(
            f"environment {name} cannot be seen: {known}, and 'rgb_array' is needed; "
            "give the environment one, or see its true return with `prefrl eval`"
        )


def shows_text(env: gym.Env[Any, Any]) -> bool:
    """Whether segments are texts: the environment has ``segment_text(observations, actions)`` -> (prompt, response)."""
    return callable(getattr(env.unwrapped, "segment_text", None))


def has_states(env: gym.Env[Any, Any]) -> bool:
    """Whether `state_of` and `draw_state` support this environment."""
    # Duck typing: importing Gymnasium's class would load MuJoCo.
    inner = env.unwrapped
    is_mujoco = callable(getattr(inner, "set_state", None)) and hasattr(getattr(inner, "data", None), "qpos")
    return is_mujoco or type(inner).__module__.startswith(_CLASSIC)


def state_of(env: gym.Env[Any, Any]) -> np.ndarray:
    """The current state, shape (F,) float64."""
    inner: Any = env.unwrapped
    if type(inner).__module__.startswith(_CLASSIC):
        # The pendulum renders its last torque, which is None before the first step.
        torque = [] if not hasattr(inner, "last_u") else [np.nan if inner.last_u is None else inner.last_u]
        return np.array([*inner.state, *torque], np.float64)
    return np.concatenate([inner.data.qpos, inner.data.qvel])


def draw_state(env: gym.Env[Any, Any], state: np.ndarray) -> np.ndarray:
    """Render a state, shape (H, W, 3) uint8.

    Args:
        env: of the kind recorded, made with ``render_mode="rgb_array"`` and reset; its state is overwritten.
        state: from `state_of`.

    Raises:
        ValueError: if the state has another shape than the environment's own.
    """
    inner: Any = env.unwrapped
    if state.shape != (expected := state_of(env).shape):
        raise ValueError(
            f"a state of shape {state.shape} cannot be drawn by {inner}, whose states have shape {expected}; "
            "install the environment as it was when the run was started"
        )
    if type(inner).__module__.startswith(_CLASSIC):
        if hasattr(inner, "last_u"):
            state, torque = state[:-1], state[-1]
            inner.last_u = None if np.isnan(torque) else torque
        inner.state = state
        return np.asarray(env.render())
    _use_tracking_camera(inner)
    positions = inner.model.nq
    inner.set_state(state[:positions], state[positions:])
    return np.asarray(env.render())


def close_rendering_env(env: gym.Env[Any, Any]) -> None:
    """Close an environment that rendered. Classic control is left open: its ``close`` quits pygame's display."""
    if not type(env.unwrapped).__module__.startswith(_CLASSIC):
        env.close()


def _use_tracking_camera(inner: Any) -> None:
    """Follow the robot, if its model has a camera for that; otherwise it soon leaves the picture."""
    renderer = getattr(inner, "mujoco_renderer", None)
    if renderer is None:
        return
    cameras = [inner.model.camera(index).name for index in range(inner.model.ncam)]
    if renderer.camera_id in (None, _FREE_CAMERA) and _TRACKING_CAMERA in cameras:
        renderer.camera_id = cameras.index(_TRACKING_CAMERA)
