"""The plug-in for Stable-Baselines3: learned rewards and the preference loop in the user's own script."""

from prefrl.sb3.buffers import RewardLink
from prefrl.sb3.callback import PreferenceCallback
from prefrl.sb3.install import install_buffer
from prefrl.sb3.vec_env import PreferenceVecEnv, RewardVecEnv

__all__ = ["PreferenceCallback", "PreferenceVecEnv", "RewardLink", "RewardVecEnv", "install_buffer"]
