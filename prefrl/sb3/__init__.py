"""The plug-in for Stable-Baselines3: learned rewards and the preference loop in the user's own script."""

from prefrl.sb3.buffers import PREFERENCE_BUFFERS, PreferenceRollout, RewardLink
from prefrl.sb3.callback import PreferenceCallback
from prefrl.sb3.cameras import find_camera, make_clip_recorder
from prefrl.sb3.install import install_buffer
from prefrl.sb3.native_vec_env import NativeVecEnv
from prefrl.sb3.vec_env import PreferenceVecEnv, RewardVecEnv

__all__ = [
    "PREFERENCE_BUFFERS",
    "NativeVecEnv",
    "PreferenceCallback",
    "PreferenceRollout",
    "PreferenceVecEnv",
    "RewardLink",
    "RewardVecEnv",
    "find_camera",
    "install_buffer",
    "make_clip_recorder",
]
