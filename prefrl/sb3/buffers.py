"""SB3's buffers, with the learned reward added where it is needed.

On-policy: a whole rollout is labelled in one batch, just before advantages are computed. Off-policy: the whole replay
buffer is relabelled when a new version of the reward arrives (Lee et al. 2021, PEBBLE); pixels, too many for that, are
labelled when they are sampled (as Ibarz et al. 2018).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictReplayBuffer, DictRolloutBuffer, ReplayBuffer, RolloutBuffer
from stable_baselines3.common.vec_env import VecNormalize

from prefrl.spaces import SpaceSpec
from prefrl.sb3.vec_env import PreferenceVecEnv, StepReward

__all__ = ["RewardLink", "install_buffer"]

_RELABEL_CHUNK = 16_384


class RewardLink(StepReward, Protocol):
    """What a buffer asks of the loop; `prefrl.workers.PolicyLink` is one."""

    @property
    def version(self) -> int:
        """Version of the learned reward in force; 0 before the first."""

    def sync(self) -> None:
        """Meet the loop: hand over segments, take the newest reward."""

    def sync_if_due(self) -> None:
        """The same, unless it was done a few steps ago."""


class _PreferenceRollout:
    """Adds the learned reward to a rollout; SB3 has put only its timeout bootstrap there."""

    rewards: np.ndarray
    advantages: np.ndarray
    returns: np.ndarray
    values: np.ndarray
    link: RewardLink
    preference_venv: PreferenceVecEnv

    def compute_returns_and_advantage(self, last_values: th.Tensor, dones: np.ndarray) -> None:
        """Sync with the loop, label the rollout in one batch, then estimate advantages as ever."""
        self.link.sync()
        predicted = self.link.predict(*self.preference_venv.take_rollout())
        if predicted is None:
            # No reward yet: zero advantages and returns equal to the values leave policy and critic as they are.
            self.advantages[:] = 0.0
            self.returns = self.values.copy()
            return
        self.rewards += predicted
        super().compute_returns_and_advantage(last_values, dones)  # type: ignore[misc]


class PreferenceRolloutBuffer(_PreferenceRollout, RolloutBuffer):
    """SB3's `RolloutBuffer` on a learned reward."""


class PreferenceDictRolloutBuffer(_PreferenceRollout, DictRolloutBuffer):
    """SB3's `DictRolloutBuffer` on a learned reward."""


class _PreferenceReplay:
    """Keeps a replay buffer's rewards at the newest version of the learned reward."""

    observations: Any
    actions: np.ndarray
    rewards: np.ndarray
    pos: int
    full: bool
    buffer_size: int
    n_envs: int
    link: RewardLink
    preference_venv: PreferenceVecEnv
    relabel = True
    """False labels a step once, with the reward in force when it was stored"""
    labelled_version = 0

    @property
    def labels_when_sampled(self) -> bool:
        """True for pixels, which are too many to relabel whole."""
        return self.preference_venv.observation_spec.is_image

    def add(
        self,
        obs: Any,
        next_obs: Any,
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a step of all environments, labelled with the reward in force, and relabel the rest if it is new."""
        row = self.pos
        super().add(obs, next_obs, action, np.zeros_like(reward), done, infos)  # type: ignore[misc]
        self.link.sync_if_due()
        if self.labels_when_sampled or self.link.version == 0:
            return
        # A buffer that keeps old labels still has to label what it stored before the first reward.
        if self.labelled_version != self.link.version and (self.relabel or self.labelled_version == 0):
            self._relabel_all()
        else:
            self._label(slice(row, row + 1))
        self.labelled_version = self.link.version

    def _relabel_all(self) -> None:
        filled = self.buffer_size if self.full else self.pos
        chunk = max(1, _RELABEL_CHUNK // self.n_envs)
        for start in range(0, filled, chunk):
            self._label(slice(start, min(start + chunk, filled)))

    def _label(self, rows: slice) -> None:
        stored = self.observations
        picked = {key: array[rows] for key, array in stored.items()} if isinstance(stored, dict) else stored[rows]
        self.rewards[rows] = self._predict(picked, self.actions[rows])

    def _get_samples(self, batch_inds: np.ndarray, env: VecNormalize | None = None) -> Any:
        samples = super()._get_samples(batch_inds, env)  # type: ignore[misc]
        if not self.labels_when_sampled or self.link.version == 0:
            return samples
        rewards = self._predict(samples.observations.cpu().numpy(), samples.actions.cpu().numpy())
        return samples._replace(rewards=th.as_tensor(rewards, device=samples.rewards.device).reshape(-1, 1))

    def _predict(self, observations: Any, actions: np.ndarray) -> np.ndarray:
        """Learned reward of steps laid out as SB3 stores them, shape (..., *stored) to (...)."""
        venv, lead = self.preference_venv, actions.shape[:-1]
        predicted = self.link.predict(
            _canonical_observations(venv.observation_spec, observations, lead),
            _executed_actions(venv.action_space, venv.action_spec, actions),
        )
        assert predicted is not None
        return predicted

    def __getstate__(self) -> dict[str, Any]:
        """For SB3's ``save_replay_buffer``: everything but the live ends."""
        return {key: value for key, value in self.__dict__.items() if key not in ("link", "preference_venv")}


class PreferenceReplayBuffer(_PreferenceReplay, ReplayBuffer):
    """SB3's `ReplayBuffer` on a learned reward."""


class PreferenceDictReplayBuffer(_PreferenceReplay, DictReplayBuffer):
    """SB3's `DictReplayBuffer` on a learned reward."""


_COUNTERPARTS: dict[type, type] = {
    RolloutBuffer: PreferenceRolloutBuffer,
    DictRolloutBuffer: PreferenceDictRolloutBuffer,
    ReplayBuffer: PreferenceReplayBuffer,
    DictReplayBuffer: PreferenceDictReplayBuffer,
}


def install_buffer(model: BaseAlgorithm, link: RewardLink, relabel: bool = True) -> bool:
    """Let ``model``'s own buffer add the learned reward, contents and settings kept.

    Buffers of other classes (recurrent, hindsight, n-step) are left alone: the environment then predicts the reward
    at every step, which is slower and cannot relabel.

    Args:
        model: an SB3 algorithm whose environment contains a `PreferenceVecEnv`.
        link: where rewards come from.
        relabel: off-policy, relabel stored steps when a new version arrives.

    Returns:
        True when the buffer adds the reward, False when the environment does.

    Raises:
        ValueError: when the environment was not wrapped, or something in it would distort the reward.
    """
    venv = _preference_venv(model)
    venv.rollout, venv.live_reward = None, None
    name = "rollout_buffer" if hasattr(model, "rollout_buffer") else "replay_buffer"
    buffer = getattr(model, name)
    if type(buffer) in _COUNTERPARTS.values():
        installed = buffer
    elif type(buffer) in _COUNTERPARTS:
        ours = _COUNTERPARTS[type(buffer)]
        installed = ours.__new__(ours)
        installed.__dict__.update(buffer.__dict__)
        setattr(model, name, installed)
    else:
        venv.live_reward = link
        return False
    installed.link, installed.preference_venv = link, venv
    if name == "rollout_buffer":
        venv.rollout = []
    else:
        installed.relabel, installed.labelled_version = relabel, 0
    return True


def _preference_venv(model: BaseAlgorithm) -> PreferenceVecEnv:
    layer: Any = model.get_env()
    while layer is not None:
        if isinstance(layer, VecNormalize):
            if layer.norm_reward:
                raise ValueError("VecNormalize would rescale the learned reward; give it norm_reward=False")
            if layer.norm_obs and SpaceSpec.of(layer.observation_space).is_image:
                raise ValueError("VecNormalize over images hides them from the learned reward; give it norm_obs=False")
        if isinstance(layer, PreferenceVecEnv):
            return layer
        layer = getattr(layer, "venv", None)
    raise ValueError("the agent's environment is not wrapped; build the agent on loop.wrap(venv)")


def _canonical_observations(spec: SpaceSpec, stored: Any, lead: tuple[int, ...]) -> np.ndarray:
    """Undo SB3's layout (channels first, scalars as vectors); shape (*lead, *obs)."""
    if isinstance(stored, dict):
        return spec.encode({key: _canonical_observations(part, stored[key], lead) for key, part in spec.parts})
    if spec.is_image and stored.shape[len(lead) :] != spec.shape:
        stored = np.moveaxis(stored, -3, -1)
    return stored.reshape(*lead, *spec.shape).astype(spec.dtype, copy=False)


def _executed_actions(space: spaces.Space[Any], spec: SpaceSpec, stored: np.ndarray) -> np.ndarray:
    """Undo SB3's scaling of Box actions to [-1, 1]; shape (*lead, *act)."""
    actions = stored.reshape(*stored.shape[:-1], *spec.shape)
    if isinstance(space, spaces.Box):
        actions = space.low + 0.5 * (actions + 1.0) * (space.high - space.low)
    return actions.astype(spec.dtype)
