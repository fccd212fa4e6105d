"""What every wrapper here does to an environment: the true reward stops, the rest goes on.

Of the info, only what SB3 itself needs goes on. The true return of an episode travels in
``info["episode"]``, which SB3 logs and never trains on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from prefrl.data.spaces import SpaceSpec
from prefrl.recording.segment_recorder import check_finite

__all__ = ["HiddenRewardVecEnv", "check_wrappable", "layers"]

_KEPT_INFO = ("terminal_observation", "TimeLimit.truncated")
_KEPT_EPISODE = ("r", "l", "t")


def layers(venv: VecEnv | None) -> Iterator[VecEnv]:
    """The vector environment and those it wraps, from the outside in."""
    while venv is not None:
        yield venv
        venv = venv.venv if isinstance(venv, VecEnvWrapper) else None


class HiddenRewardVecEnv(VecEnvWrapper):
    """Remembers observations and actions, counts true returns, and lets no true reward through."""

    def __init__(self, venv: VecEnv) -> None:
        check_wrappable(venv)
        super().__init__(venv)
        self.observation_spec, self.action_spec = SpaceSpec.pair(venv.observation_space, venv.action_space)
        self._observations = np.zeros(0)
        self._actions = np.zeros(0)
        self._returns = np.zeros(venv.num_envs)
        self._lengths_steps = np.zeros(venv.num_envs, dtype=int)
        self._steps = 0
        self._start_s = time.time()

    def reset(self) -> VecEnvObs:
        """Reset all environments."""
        observations = self.venv.reset()
        self._observe(observations)
        self._returns[:], self._lengths_steps[:] = 0.0, 0
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Send actions; these, as the environment gets them, are what the reward is learned on."""
        encoded = self.action_spec.encode(actions, (self.num_envs,))
        check_finite("action", encoded, self._steps)
        self._actions = encoded.copy()
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Rewards are the learned ones, or zeros; shape (N,) float32.

        Raises:
            ValueError: when the environments give an observation or reward that is not finite.
        """
        observations, true_rewards, dones, infos = self.venv.step_wait()
        check_finite("true reward", true_rewards, self._steps)
        episodes = self._count(true_rewards, dones, infos)
        rewards = self._exchange(true_rewards, dones, infos, episodes)
        self._check_final(dones, infos)
        self._observe(observations)
        self._steps += self.num_envs
        kept = [_kept(info, episodes.get(env)) for env, info in enumerate(infos)]
        return observations, rewards, dones, kept

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the environments; ``compute_reward``, which tells the true reward, is refused."""
        if method_name == "compute_reward":
            raise ValueError(
                "compute_reward would tell the agent the true reward; learn without HerReplayBuffer"
            )
        return self.venv.env_method(method_name, *method_args, indices=indices, **method_kwargs)

    def _exchange(
        self,
        true_rewards: np.ndarray,
        dones: np.ndarray,
        infos: list[dict[str, Any]],
        episodes: dict[int, dict[str, Any]],
    ) -> np.ndarray:
        """Take note of the step and of the episodes it ended, by environment; give the agent's rewards."""
        raise NotImplementedError

    def _observe(self, observations: VecEnvObs) -> None:
        encoded = self.observation_spec.encode(observations, (self.num_envs,))
        # Checked on arrival: a policy given NaN fails before the next step does, and says less.
        check_finite("observation", encoded, self._steps)
        # A copy: some vector environments hand out the array they write the next step into.
        self._observations = encoded.copy()

    def _check_final(self, dones: np.ndarray, infos: list[dict[str, Any]]) -> None:
        for env in np.flatnonzero(dones):
            if infos[env].get("terminal_observation") is not None:
                final = np.zeros_like(self._observations)
                final[env] = self.observation_spec.encode(infos[env]["terminal_observation"], ())
                check_finite("final observation", final, self._steps)

    def _count(
        self, true_rewards: np.ndarray, dones: np.ndarray, infos: list[dict[str, Any]]
    ) -> dict[int, dict[str, Any]]:
        """True return, length and time of the episodes that ended, hidden ones too, by environment.

        A Monitor's own account is preferred: it leaves out what wrappers around it add to the reward.
        """
        self._returns += true_rewards
        self._lengths_steps += 1
        episodes: dict[int, dict[str, Any]] = {}
        for env, info in enumerate(infos):
            if "episode" in info:
                episodes[env] = {key: info["episode"][key] for key in _KEPT_EPISODE if key in info["episode"]}
            elif dones[env] or _is_hidden_end(info):
                elapsed_s = round(time.time() - self._start_s, 6)
                length_steps = int(self._lengths_steps[env])
                episodes[env] = {"r": round(float(self._returns[env]), 6), "l": length_steps, "t": elapsed_s}
        ended = list(episodes)
        self._returns[ended], self._lengths_steps[ended] = 0.0, 0
        return episodes


def check_wrappable(venv: VecEnv) -> None:
    """Raise ValueError unless the reward of ``venv`` can be hidden."""
    if not isinstance(venv, VecEnv):
        raise ValueError(
            f"a Stable-Baselines3 VecEnv is needed, got {type(venv).__name__}; make one with make_vec_env"
        )
    for layer in layers(venv):
        if isinstance(layer, VecNormalize):
            # SB3 would find it inside, and take the true rewards of its last step for the replay buffer.
            raise ValueError(
                "VecNormalize inside would hide the real observations from the learned reward and show the "
                "agent true rewards; put it around: VecNormalize(loop.wrap(venv), norm_reward=False)"
            )
        if isinstance(layer, HiddenRewardVecEnv):
            raise ValueError(
                f"the environment's true reward is already hidden by {type(layer).__name__}; wrap it once"
            )


def _is_hidden_end(info: dict[str, Any]) -> bool:
    return bool(info.get("inner_terminated", False) or info.get("inner_truncated", False))


def _kept(info: dict[str, Any], episode: dict[str, Any] | None) -> dict[str, Any]:
    """The part of an info that the agent may see: true returns and successes are for its log."""
    kept = {key: info[key] for key in _KEPT_INFO if key in info}
    if "is_success" in info:
        kept["is_success"] = bool(info["is_success"])
    return kept if episode is None else kept | {"episode": episode}
