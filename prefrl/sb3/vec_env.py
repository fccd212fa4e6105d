"""Vector environments that put the learned reward in the true one's place.

The true reward stops here. What goes on to the agent is the learned reward, or zero where the agent's buffer adds it;
of the info, only what SB3 itself needs. The true return of an episode travels in ``info["episode"]``, which SB3 logs
and never trains on.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from prefrl.recorder import SegmentRecorder
from prefrl.spaces import SpaceSpec

__all__ = ["PreferenceVecEnv", "RewardVecEnv", "StepReward"]

_KEPT_INFO = ("episode", "terminal_observation", "TimeLimit.truncated", "is_success", "action_mask")


class StepReward(Protocol):
    """Anything that predicts the reward of encoded (..., *obs), (..., *act) as an array (...)."""

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray | None:
        """Learned reward, or None before there is one."""


class _HiddenRewardVecEnv(VecEnvWrapper):
    """Remembers observations and actions, counts true returns, and lets no true reward through."""

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.observation_spec = SpaceSpec.of(venv.observation_space)
        self.action_spec = SpaceSpec.of(venv.action_space)
        self._observations = np.zeros(0)
        self._actions = np.zeros(0)
        self._returns = np.zeros(venv.num_envs)
        self._lengths = np.zeros(venv.num_envs, dtype=int)
        self._start_s = time.time()

    def reset(self) -> VecEnvObs:
        """Reset all environments."""
        observations = self.venv.reset()
        self._observations = self.observation_spec.encode(observations, (self.num_envs,))
        self._returns[:], self._lengths[:] = 0.0, 0
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Send actions; these, as the environment gets them, are what the reward is learned on."""
        self._actions = self.action_spec.encode(actions, (self.num_envs,)).copy()
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Rewards are the learned ones, or zeros; shape (N,) float32."""
        observations, true_rewards, dones, infos = self.venv.step_wait()
        self._count(true_rewards, dones, infos)
        rewards = self._exchange(true_rewards, dones, infos)
        # A copy: some vector environments hand out the array they write the next step into.
        self._observations = self.observation_spec.encode(observations, (self.num_envs,)).copy()
        kept = [{key: info[key] for key in _KEPT_INFO if key in info} for info in infos]
        return observations, rewards, dones, kept

    def _exchange(self, true_rewards: np.ndarray, dones: np.ndarray, infos: list[dict[str, Any]]) -> np.ndarray:
        """Take note of the step and give the rewards that the agent shall see."""
        raise NotImplementedError

    def _count(self, true_rewards: np.ndarray, dones: np.ndarray, infos: list[dict[str, Any]]) -> None:
        self._returns += true_rewards
        self._lengths += 1
        for env in np.flatnonzero(dones):
            episode = {
                "r": round(float(self._returns[env]), 6),
                "l": int(self._lengths[env]),
                "t": round(time.time() - self._start_s, 6),
            }
            infos[env].setdefault("episode", episode)
            self._returns[env], self._lengths[env] = 0.0, 0


class RewardVecEnv(_HiddenRewardVecEnv):
    """Gives any SB3 agent a learned reward in place of the true one.

    Args:
        venv: the vector environment, as the reward was trained on it (before VecNormalize or VecTransposeImage).
        reward: a `LearnedReward`, or one that follows a run.

    Raises:
        ValueError: when the reward was learned on other observations or actions.
    """

    def __init__(self, venv: VecEnv, reward: Any) -> None:
        super().__init__(venv)
        self.reward = reward
        for name in ("observation_spec", "action_spec"):
            learned, ours = getattr(reward, name), getattr(self, name)
            if learned != ours:
                raise ValueError(
                    f"the reward was learned with {name} {learned}, the environment has {ours}; "
                    "wrap the same kind of environment, before any wrapper that changes observations"
                )

    def _exchange(self, true_rewards: np.ndarray, dones: np.ndarray, infos: list[dict[str, Any]]) -> np.ndarray:
        return self.reward.predict(self._observations, self._actions)


class PreferenceVecEnv(_HiddenRewardVecEnv):
    """Records what the loop needs of every step, and hides the true reward from the agent.

    Args:
        venv: the vector environment.
        segment_steps: length of the segments to cut.
        env_id: for the segments' provenance.
        seed: likewise.
    """

    def __init__(self, venv: VecEnv, segment_steps: int, env_id: str, seed: int) -> None:
        super().__init__(venv)
        self.recorder = SegmentRecorder(
            self.observation_spec, self.action_spec, self.num_envs, segment_steps, env_id, seed
        )
        self.live_reward: StepReward | None = None
        """where the agent's buffer cannot add the reward itself, who predicts it at every step"""
        self.rollout: list[tuple[np.ndarray, np.ndarray]] | None = None
        """encoded (observations, actions) of every step since the buffer emptied it; None to keep none"""

    def take_rollout(self) -> tuple[np.ndarray, np.ndarray]:
        """Observations (n_steps, N, *obs) and executed actions (n_steps, N, *act) since the last call."""
        assert self.rollout is not None
        observations, actions = zip(*self.rollout, strict=True)
        self.rollout = []
        return np.stack(observations), np.stack(actions)

    def _exchange(self, true_rewards: np.ndarray, dones: np.ndarray, infos: list[dict[str, Any]]) -> np.ndarray:
        truncated = np.array([bool(info.get("TimeLimit.truncated", False)) for info in infos])
        inner = [(info.get("inner_terminated", False), info.get("inner_truncated", False)) for info in infos]
        hidden_terminated, hidden_truncated = np.array(inner, dtype=bool).T
        self.recorder.record(
            self._observations,
            self._actions,
            np.asarray(true_rewards, np.float32),
            (dones & ~truncated) | hidden_terminated,
            truncated | hidden_truncated,
        )
        for info in infos:
            if "episode" in info:
                self.recorder.episode(float(info["episode"]["r"]), int(info["episode"]["l"]))
        if self.rollout is not None:
            self.rollout.append((self._observations, self._actions))
        rewards = None if self.live_reward is None else self.live_reward.predict(self._observations, self._actions)
        return np.zeros(self.num_envs, np.float32) if rewards is None else rewards
