"""The plug-in for Stable-Baselines3: learned rewards and the preference loop in the user's own script."""

from prefrl.sb3.buffers import install_buffer
from prefrl.sb3.callback import PreferenceCallback
from prefrl.sb3.vec_env import PreferenceVecEnv, RewardVecEnv

__all__ = ["PreferenceCallback", "PreferenceVecEnv", "RewardVecEnv", "install_buffer"]
