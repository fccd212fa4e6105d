"""Vector environments that put the learned reward in the true one's place.

The agent gets the learned reward, or zero where its buffer adds it.
"""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs

from prefrl.data.spaces import SpaceSpec
from prefrl.recording.clip_recorder import ClipRecorder
from prefrl.recording.segment_recorder import SegmentRecorder
from prefrl.reward.source import RewardSource
from prefrl.sb3.hidden_reward import HiddenRewardVecEnv

__all__ = ["PluggedReward", "PreferenceVecEnv", "RewardVecEnv"]


class PluggedReward(Protocol):
    """What `RewardVecEnv` asks of a reward; `prefrl.LearnedReward` is one."""

    @property
    def observation_spec(self) -> SpaceSpec:
        """Layout of the observations it was learned on."""

    @property
    def action_spec(self) -> SpaceSpec:
        """Layout of the actions it was learned on."""

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Learned reward of encoded (..., *obs), (..., *act) as an array (...)."""


class RewardVecEnv(HiddenRewardVecEnv):
    """Gives any SB3 agent a learned reward in place of the true one.

    Args:
        venv: the vector environment, as the reward was trained on it. VecNormalize, VecFrameStack and the
            like go around this wrapper if they were around ``loop.wrap``, else inside; VecNormalize always
            goes around.
        reward: a `LearnedReward`, or one that follows a run.

    Raises:
        ValueError: when the reward was learned on other observations or actions, or ``venv`` cannot be
            wrapped.
    """

    def __init__(self, venv: VecEnv, reward: PluggedReward) -> None:
        super().__init__(venv)
        self.reward = reward
        for name in ("observation_spec", "action_spec"):
            learned, ours = getattr(reward, name), getattr(self, name)
            if learned != ours:
                raise ValueError(
                    f"the reward was learned with {name} {learned}, the environment has {ours}; "
                    "wrap the same kind of environment, before any wrapper that changes observations"
                )

    def _exchange(
        self,
        true_rewards: np.ndarray,
        dones: np.ndarray,
        infos: list[dict[str, Any]],
        episodes: dict[int, dict[str, Any]],
    ) -> np.ndarray:
        return self.reward.predict(self._observations, self._actions)


class PreferenceVecEnv(HiddenRewardVecEnv):
    """Records what the loop needs of every step, and hides the true reward from the agent.

    Args:
        venv: the vector environment.
        segment_steps: length of the segments to cut.
        env_id: for the segments' provenance.
        seed: likewise.
        within_episodes: whether no segment crosses an episode's end.
        film: takes pictures of ``venv``, for runs where people answer.

    Raises:
        ValueError: when ``venv`` cannot be wrapped.
    """

    def __init__(
        self,
        venv: VecEnv,
        segment_steps: int,
        env_id: str,
        seed: int,
        within_episodes: bool = False,
        film: ClipRecorder | None = None,
    ) -> None:
        super().__init__(venv)
        specs = self.observation_spec, self.action_spec
        self.recorder = SegmentRecorder(
            *specs, self.num_envs, segment_steps, env_id, seed, within_episodes, film
        )
        self._step_reward: RewardSource | None = None
        self._rollout: list[tuple[np.ndarray, np.ndarray]] | None = None
        self._in_training = False
        self._may_warn = True

    def begin_training(self, step_reward: RewardSource | None = None) -> None:
        """From here on steps are the agent's experience.

        Args:
            step_reward: predicts the reward at every step, for agents whose buffer cannot be labelled.
        """
        self._step_reward = step_reward
        self._in_training, self._may_warn = True, False

    def end_training(self) -> None:
        """From here on steps are somebody looking at the agent: nothing is recorded, rewards are zero."""
        self._in_training, self._rollout = False, None

    def begin_rollout(self) -> None:
        """Remember observations and actions from the next step on."""
        self._rollout = []

    def take_rollout(self, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Observations (n_steps, N, *obs) and executed actions (n_steps, N, *act) since `begin_rollout`.

        Raises:
            RuntimeError: when another number of steps was recorded.
        """
        rollout, self._rollout = self._rollout or [], None
        if len(rollout) != n_steps:
            raise RuntimeError(
                f"{len(rollout)} of the rollout's {n_steps} steps were recorded; pass the loop to every call "
                "of learn(..., callback=loop), and step the training environment by nothing else meanwhile"
            )
        observations, actions = zip(*rollout, strict=True)
        return np.stack(observations), np.stack(actions)

    def step_async(self, actions: np.ndarray) -> None:
        """Send actions."""
        if self._in_training:
            self.recorder.capture()
        super().step_async(actions)

    def reset(self) -> VecEnvObs:
        """Reset all environments; the episodes under way are recorded as truncated."""
        self.recorder.interrupt()
        return super().reset()

    def _exchange(
        self,
        true_rewards: np.ndarray,
        dones: np.ndarray,
        infos: list[dict[str, Any]],
        episodes: dict[int, dict[str, Any]],
    ) -> np.ndarray:
        zeros = np.zeros(self.num_envs, np.float32)
        if not self._in_training:
            self._warn_of_missing_loop()
            return zeros
        self._record(true_rewards, dones, infos)
        for episode in episodes.values():
            self.recorder.episode(float(episode["r"]), int(episode["l"]))
        if self._rollout is not None:
            self._rollout.append((self._observations, self._actions))
        if self._step_reward is None:
            return zeros
        return self._step_reward.predict(self._observations, self._actions)

    def _record(self, true_rewards: np.ndarray, dones: np.ndarray, infos: list[dict[str, Any]]) -> None:
        truncated = np.array([bool(info.get("TimeLimit.truncated", False)) for info in infos])
        hidden = [(info.get("inner_terminated", False), info.get("inner_truncated", False)) for info in infos]
        hidden_terminated, hidden_truncated = np.array(hidden, dtype=bool).T
        self.recorder.record(
            self._observations,
            self._actions,
            np.asarray(true_rewards, np.float32),
            (dones & ~truncated) | hidden_terminated,
            truncated | hidden_truncated,
        )

    def _warn_of_missing_loop(self) -> None:
        if self._may_warn:
            self._may_warn = False
            warnings.warn(
                "stepping an environment of the preference loop outside training: its rewards are zero and "
                "nothing is recorded. To train, pass the loop: learn(..., callback=loop)",
                stacklevel=4,
            )
