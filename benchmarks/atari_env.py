"""Atari's Pong as an ordinary Gymnasium environment with images as the learned reward takes them.

Importing registers ``prefrl-benchmarks/Pong-v0``; ``gymnasium.make(PONG)`` imports by itself.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation, TransformObservation

__all__ = ["PONG", "make_pong"]

PONG = "benchmarks.atari_env:prefrl-benchmarks/Pong-v0"
"""the id that makes it from anywhere"""
_ID = PONG.partition(":")[2]


def make_pong(**kwargs: Any) -> gym.Env[Any, Any]:
    """Pong with frames skipped, shrunk to grey 84 x 84 and stacked; observations (84, 84, 4) uint8."""
    import ale_py

    gym.register_envs(ale_py)
    emulator = gym.make(
        "ALE/Pong-v5", frameskip=1, repeat_action_probability=0.0, disable_env_checker=True, **kwargs
    )
    stacked = FrameStackObservation(AtariPreprocessing(emulator), 4)
    space = spaces.Box(0, 255, (84, 84, 4), np.uint8)
    return TransformObservation(stacked, lambda frames: np.moveaxis(frames, 0, -1), space)


if _ID not in gym.registry:
    gym.register(_ID, entry_point=f"{__name__}:make_pong", disable_env_checker=True)
