"""Gymnasium's vector environments as Stable-Baselines3's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

__all__ = ["NativeVecEnv"]


class NativeVecEnv(VecEnv):
    """Adapts an environment that steps all its copies itself, such as `prefrl_envs`'s Atari games.

    Where its metadata says ``limit_is_end``, an episode that reaches its limit has ended, and SB3 bootstraps nothing
    there: a text has been scored by then.

    Args:
        env: a Gymnasium vector environment that begins the next episode within the step that ends one
            (``AutoresetMode.SAME_STEP``).
        screens: twin of the first so many of its copies, to look at: given the same seeds and actions it goes the
            same way, and its observations are stacks of S pictures, (num_screens, S, H, W, 3) uint8, the newest last.

    Raises:
        ValueError: when it resets otherwise: SB3 would take a reset for a step.
    """

    def __init__(
        self, env: VectorEnv[Any, Any, Any], screens: VectorEnv[Any, Any, Any] | None = None
    ) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise ValueError(f"autoreset_mode of {env} is {mode}; {AutoresetMode.SAME_STEP} is needed")
        self.env, self.screens = env, screens
        self._limit_is_end = bool(env.metadata.get("limit_is_end", False))
        self.pictures = np.zeros(0, np.uint8)
        """what the screens show, as they observe it"""
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self._sent: np.ndarray | None = None

    def reset(self) -> VecEnvObs:
        """Reset all environments, with the seeds given since the last reset."""
        # SB3 seeds the environments with consecutive numbers; so does Gymnasium, from the first of them.
        observations, info = self.env.reset(seed=self._seeds[0])
        if self.screens is not None:
            self.pictures, _ = self.screens.reset(seed=self._seeds[0])
        self.reset_infos = split_info(info, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Note the actions, shape (N, *act)."""
        self._sent = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all environments."""
        assert self._sent is not None, "send actions first"
        observations, rewards, terminated, truncated, info = self.env.step(self._sent)
        if self.screens is not None:
            self.pictures, *_ = self.screens.step(self._sent[: self.screens.num_envs])
        dones = terminated | truncated
        infos = split_info(info, self.num_envs)
        for index in np.flatnonzero(dones):
            is_cut_off = truncated[index] and not terminated[index] and not self._limit_is_end
            infos[index]["TimeLimit.truncated"] = bool(is_cut_off)
            infos[index]["terminal_observation"] = infos[index].pop("final_obs")
        return observations, np.asarray(rewards, np.float32), dones, infos

    def close(self) -> None:
        """Close the environments."""
        self.env.close()
        if self.screens is not None:
            self.screens.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of the vector environment, which all its copies share; AttributeError if there is none."""
        # Gymnasium's wrappers of vector environments hand on none of what those have of their own.
        holder: Any = self.env if hasattr(self.env, attr_name) else self.env.unwrapped
        value = getattr(holder, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the vector environment; for all its copies or none."""
        self._check_all(indices)
        setattr(self.env.unwrapped, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the vector environment; for all its copies or none."""
        self._check_all(indices)
        result = self.get_attr(method_name)[0](*method_args, **method_kwargs)
        return [result] * self.num_envs

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Always False: there are no single environments to wrap."""
        return [False for _ in self._get_indices(indices)]

    def _check_all(self, indices: VecEnvIndices) -> None:
        if len(list(self._get_indices(indices))) != self.num_envs:
            raise ValueError(f"indices is {indices}; the {self.num_envs} environments are one, name them all")


def split_info(info: dict[str, Any], num_envs: int) -> list[dict[str, Any]]:
    """One dict an environment from Gymnasium's dict of arrays (N, ...), as its ``_KEY`` masks say."""
    infos: list[dict[str, Any]] = [{} for _ in range(num_envs)]
    for key, values in info.items():
        if key.startswith("_") or key == "final_info":
            continue
        present: Sequence[int] = np.flatnonzero(info.get(f"_{key}", np.ones(num_envs, bool))).tolist()
        for index in present:
            infos[index][key] = _entry(values, index)
    return infos


def _entry(values: Any, index: int) -> Any:
    if isinstance(values, dict):
        return {key: _entry(part, index) for key, part in values.items() if not key.startswith("_")}
    entry = values[index]
    return entry.item() if isinstance(entry, np.generic) else entry
