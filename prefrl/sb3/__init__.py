"""The plug-in for Stable-Baselines3: learned rewards and the preference loop in the user's own script."""

from prefrl.sb3.attach import Labeller, RolloutLength, make_labeller, preference_venv
from prefrl.sb3.callback import PreferenceCallback
from prefrl.sb3.cameras import find_camera, make_clip_recorder
from prefrl.sb3.native_vec_env import NativeVecEnv
from prefrl.sb3.rollout_labelling import RolloutSteps, label_rollout
from prefrl.sb3.vec_env import PreferenceVecEnv, RewardVecEnv

__all__ = [
    "Labeller",
    "NativeVecEnv",
    "PreferenceCallback",
    "PreferenceVecEnv",
    "RewardVecEnv",
    "RolloutLength",
    "RolloutSteps",
    "find_camera",
    "label_rollout",
    "make_clip_recorder",
    "make_labeller",
    "preference_venv",
]
