"""What can be shown of an environment later than it happened: scenes drawn from a simulator's state, and texts.

Drawing a scene takes many times as long as a step of the simulator, with MuJoCo a hundred times; its state, MuJoCo's
positions and velocities or those of classic control, is a few numbers. The text of an episode of tokens is in its
observations and actions already.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

__all__ = ["check_drawable", "close_scene", "draw_state", "has_states", "has_texts", "state_of"]

_CLASSIC = "gymnasium.envs.classic_control"
_FREE = -1
_FOLLOWING = "track"
"""what Gymnasium's robots call the camera that goes along"""


def check_drawable(env: gym.Env[Any, Any]) -> None:
    """Raise ValueError, with the modes there are, unless the environment can be drawn as an array."""
    name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
    modes = env.metadata.get("render_modes", [])
    if "rgb_array" not in modes:
        known = f"it has the render modes {', '.join(map(str, modes))}" if modes else "it has no render modes"
        raise ValueError(
            f"environment {name} cannot be seen: {known}, and 'rgb_array' is needed; "
            "give the environment one, or see its true return with `prefrl eval`"
        )


def has_texts(env: gym.Env[Any, Any]) -> bool:
    """Whether its segments are texts: whether it has ``segment_text(observations, actions)`` -> (prompt, response)."""
    return callable(getattr(env.unwrapped, "segment_text", None))


def has_states(env: gym.Env[Any, Any]) -> bool:
    """Whether `state_of` and `draw_state` know this environment."""
    # By its looks: importing Gymnasium's class would load MuJoCo where nobody asks for it.
    inner = env.unwrapped
    is_mujoco = callable(getattr(inner, "set_state", None)) and hasattr(getattr(inner, "data", None), "qpos")
    return is_mujoco or type(inner).__module__.startswith(_CLASSIC)


def state_of(env: gym.Env[Any, Any]) -> np.ndarray:
    """The state as it is now, shape (F,) float64."""
    inner: Any = env.unwrapped
    if type(inner).__module__.startswith(_CLASSIC):
        # A pendulum's picture has an arrow for the torque, which there is none of before the first step.
        torque = [] if not hasattr(inner, "last_u") else [np.nan if inner.last_u is None else inner.last_u]
        return np.array([*inner.state, *torque], np.float64)
    return np.concatenate([inner.data.qpos, inner.data.qvel])


def draw_state(env: gym.Env[Any, Any], state: np.ndarray) -> np.ndarray:
    """A picture of the state, shape (H, W, 3) uint8.

    Args:
        env: of the same kind, made with ``render_mode="rgb_array"`` and reset; its state is overwritten.
        state: from `state_of`.

    Raises:
        ValueError: when the state is of another kind of environment.
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
    _follow(inner)
    positions = inner.model.nq
    inner.set_state(state[:positions], state[positions:])
    return np.asarray(env.render())


def close_scene(env: gym.Env[Any, Any]) -> None:
    """Let go of an environment that drew. Classic control's own way to close would shut every window there is."""
    if not type(env.unwrapped).__module__.startswith(_CLASSIC):
        env.close()


def _follow(inner: Any) -> None:
    """Let the camera follow the robot where its model has one that does; else it soon runs out of the picture."""
    renderer = getattr(inner, "mujoco_renderer", None)
    if renderer is None:
        return
    cameras = [inner.model.camera(index).name for index in range(inner.model.ncam)]
    if renderer.camera_id in (None, _FREE) and _FOLLOWING in cameras:
        renderer.camera_id = cameras.index(_FOLLOWING)
