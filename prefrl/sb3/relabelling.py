"""Off-policy: the rewards in a replay buffer follow the newest learned reward.

The whole ring is relabelled when a new version arrives (Lee et al. 2021, PEBBLE). Pixels, too many for that, are
labelled when they are sampled (as Ibarz et al. 2018).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import (
    DictReplayBuffer,
    NStepReplayBuffer,
    ReplayBuffer,
)
from stable_baselines3.common.vec_env import VecNormalize

from prefrl.config.modality import modality_of
from prefrl.data.spaces import SpaceSpec
from prefrl.reward.source import RewardSource
from prefrl.sb3.vec_env import PreferenceVecEnv

__all__ = ["RELABELLED", "Relabeller", "StepLabeller", "check_layout"]

RELABELLED = (ReplayBuffer, DictReplayBuffer, NStepReplayBuffer)
"""buffers that hold each step's own reward, row by row, and nothing made of it"""
_RELABEL_CHUNK_STEPS = 16_384


class Relabeller:
    """Keeps the rewards of a replay buffer at the newest version of the learned reward.

    Args:
        model: an off-policy algorithm with one of the `RELABELLED` buffers.
        venv: the layer of its environment that records what is done.
        relabel: False labels a step once, with the first reward there is for it.

    The buffer gets an attribute ``label_versions``, shape (rows,) int32: the version that each row was labelled with. 0
    is not yet, its rewards are zero.

    Raises:
        ValueError: when what the buffer stores is not what the reward was learned on.
    """

    def __init__(self, model: BaseAlgorithm, venv: PreferenceVecEnv, relabel: bool = True) -> None:
        self._model, self._venv, self._relabel = model, venv, relabel
        check_layout(model, venv, self.buffer)
        if not hasattr(self.buffer, "label_versions"):
            # What is there already are rewards of another kind, true ones maybe.
            self.buffer.rewards[:] = 0.0
            self.buffer.label_versions = np.zeros(self.buffer.buffer_size, np.int32)
        elif relabel:
            # The versions of another loop's rewards say nothing about this one's.
            self.buffer.label_versions[:] = 0
        self._swept_version = 0
        """version for which all rows were last gone through"""
        self._is_sampled = (
            relabel
            and modality_of(venv.observation_spec).is_labelled_when_sampled
            and type(self.buffer) is ReplayBuffer
        )
        self._position = self._rows_written()

    @property
    def buffer(self) -> Any:
        """The replay buffer."""
        return self._model.replay_buffer  # type: ignore[attr-defined]  # of off-policy algorithms

    def attach(self, reward: RewardSource) -> None:
        """Begin to label."""
        if self._is_sampled:
            self._model.replay_buffer = _LabelledWhenSampled.of(self.buffer, self._predict, reward)  # type: ignore[attr-defined]
        self._venv.recorder.reward_version = reward.version
        self._position = self._rows_written()
        self._venv.begin_training()

    def detach(self) -> None:
        """Leave the buffer as SB3 made it, with the rewards that it has."""
        if isinstance(self.buffer, _LabelledWhenSampled):
            self._model.replay_buffer = self.buffer.plain()  # type: ignore[attr-defined]
        self._venv.end_training()

    def begin(self) -> None:
        """A rollout begins."""

    def take(self) -> None:
        """Nothing: what was collected is in the buffer."""

    def label(self, steps: None, reward: RewardSource) -> float | None:
        """Label what was added since the last call, and relabel the rest if the reward is a new one.

        Returns:
            the mean reward of what was added; None before the first.
        """
        self._venv.recorder.reward_version = reward.version
        added = self._added_rows()
        self.buffer.label_versions[added] = 0
        if self._is_sampled:
            self.buffer.reward = reward
            return None
        if not reward.version:
            self.buffer.rewards[added] = 0.0
            return None
        is_new = reward.version != self._swept_version
        rows = np.arange(self.buffer.size()) if is_new else added
        versions = self.buffer.label_versions[rows]
        stale = rows[versions != reward.version if self._relabel else versions == 0]
        chunk = max(1, _RELABEL_CHUNK_STEPS // self.buffer.n_envs)
        for start in range(0, len(stale), chunk):
            self._label(stale[start : start + chunk], reward)
        self._swept_version = reward.version
        return float(self.buffer.rewards[added].mean()) if len(added) else None

    def _rows_written(self) -> tuple[int, bool]:
        return self.buffer.pos, self.buffer.full

    def _added_rows(self) -> np.ndarray:
        (before, was_full), (now, is_full) = self._position, self._rows_written()
        self._position = now, is_full
        count = (now - before) % self.buffer.buffer_size
        if count == 0 and is_full and not was_full:
            count = self.buffer.buffer_size
        return (before + np.arange(count)) % self.buffer.buffer_size

    def _label(self, rows: np.ndarray, reward: RewardSource) -> None:
        stored = self.buffer.observations
        picked = (
            {key: array[rows] for key, array in stored.items()} if isinstance(stored, dict) else stored[rows]
        )
        self.buffer.rewards[rows] = self._predict(reward, picked, self.buffer.actions[rows])
        self.buffer.label_versions[rows] = reward.version

    def _predict(self, reward: RewardSource, observations: Any, actions: np.ndarray) -> np.ndarray:
        """Learned reward of steps laid out as SB3 stores them, shape (..., *stored) to (...)."""
        venv, lead = self._venv, actions.shape[:-1]
        return reward.predict(
            _canonical_observations(venv.observation_spec, observations, lead),
            _executed_actions(venv.action_space, venv.action_spec, actions),
        )


class _LabelledWhenSampled(ReplayBuffer):
    """A replay buffer whose samples carry the reward of the version in force."""

    reward: RewardSource
    _predict: Any

    @classmethod
    def of(cls, buffer: ReplayBuffer, predict: Any, reward: RewardSource) -> _LabelledWhenSampled:
        """The same buffer, its arrays shared."""
        made = object.__new__(cls)
        made.__dict__ |= buffer.__dict__
        made._predict, made.reward = predict, reward
        return made

    def plain(self) -> ReplayBuffer:
        """The buffer as SB3 knows it."""
        return _plain(
            {key: value for key, value in self.__dict__.items() if key not in ("reward", "_predict")}
        )

    def _get_samples(self, batch_inds: np.ndarray, env: VecNormalize | None = None) -> Any:
        samples = super()._get_samples(batch_inds, env)
        if not self.reward.version:
            return samples
        rewards = self._predict(
            self.reward, samples.observations.cpu().numpy(), samples.actions.cpu().numpy()
        )
        return samples._replace(rewards=th.as_tensor(rewards, device=samples.rewards.device).reshape(-1, 1))

    def __reduce__(self) -> tuple[Any, ...]:
        """SB3's ``save_replay_buffer`` writes the plain buffer, which loads without prefrl."""
        return _plain, (self.plain().__dict__,)


def _plain(state: dict[str, Any]) -> ReplayBuffer:
    buffer = object.__new__(ReplayBuffer)
    buffer.__dict__ |= state
    return buffer


class StepLabeller:
    """For buffers of other classes: the environment predicts the reward at every step, which cannot be relabelled.

    Args:
        venv: the layer of the algorithm's environment that records what is done.
    """

    def __init__(self, venv: PreferenceVecEnv) -> None:
        self._venv = venv

    def attach(self, reward: RewardSource) -> None:
        """Begin to label."""
        self.label(None, reward)

    def detach(self) -> None:
        """End it."""
        self._venv.end_training()

    def begin(self) -> None:
        """A rollout begins."""

    def take(self) -> None:
        """Nothing: the steps are labelled already."""

    def label(self, steps: None, reward: RewardSource) -> float | None:
        """Label the steps from here on with this reward."""
        self._venv.recorder.reward_version = reward.version
        self._venv.begin_training(reward)
        return None


def check_layout(model: BaseAlgorithm, venv: PreferenceVecEnv, buffer: Any) -> None:
    """Raise ValueError unless stored observations are those of ``venv``, so that they can be relabelled."""
    if not _is_same_layout(venv.observation_spec, SpaceSpec.of(buffer.observation_space)):
        raise ValueError(
            f"the replay buffer stores {buffer.observation_space}, the learned reward sees "
            f"{venv.observation_space}; put what changes the observations (VecFrameStack and the like) "
            "inside: loop.wrap(VecFrameStack(venv, 4))"
        )
    normalize = model.get_vec_normalize_env()
    if normalize is not None and normalize.norm_obs and venv.observation_spec.is_image:
        raise ValueError("VecNormalize would hide pixels from the learned reward; give it norm_obs=False")


def _is_same_layout(seen: SpaceSpec, stored: SpaceSpec) -> bool:
    if seen.parts:
        keys_agree = [key for key, _ in seen.parts] == [key for key, _ in stored.parts]
        return keys_agree and all(
            _is_same_layout(ours, theirs)
            for (_, ours), (_, theirs) in zip(seen.parts, stored.parts, strict=True)
        )
    return stored.shape == seen.shape or (seen.is_image and stored.shape == (seen.shape[2], *seen.shape[:2]))


def _canonical_observations(spec: SpaceSpec, stored: Any, lead: tuple[int, ...]) -> np.ndarray:
    """Undo SB3's layout (channels first, scalars as vectors); shape (*lead, *obs)."""
    if isinstance(stored, dict):
        return spec.encode(
            {key: _canonical_observations(part, stored[key], lead) for key, part in spec.parts}
        )
    if spec.is_image and stored.shape[len(lead) :] != spec.shape:
        stored = np.moveaxis(stored, -3, -1)
    return stored.reshape(*lead, *spec.shape).astype(spec.dtype, copy=False)


def _executed_actions(space: spaces.Space[Any], spec: SpaceSpec, stored: np.ndarray) -> np.ndarray:
    """Undo SB3's scaling of Box actions to [-1, 1]; shape (*lead, *act)."""
    actions = stored.reshape(*stored.shape[:-1], *spec.shape)
    if isinstance(space, spaces.Box):
        # In the order of SB3's own unscale_action, so that rounding is the same.
        actions = space.low + (0.5 * (actions + 1.0) * (space.high - space.low))
    return actions.astype(spec.dtype)
