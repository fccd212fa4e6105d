"""SB3's buffers, with the learned reward added where it is needed.

On-policy: a whole rollout is labelled in one batch, just before advantages are computed. Off-policy: the
whole replay buffer is relabelled when a new version of the reward arrives (Lee et al. 2021, PEBBLE); pixels,
too many for that, are labelled when they are sampled (as Ibarz et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import (
    BaseBuffer,
    DictReplayBuffer,
    DictRolloutBuffer,
    ReplayBuffer,
    RolloutBuffer,
)
from stable_baselines3.common.vec_env import VecNormalize

from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import LabelledQuery
from prefrl.sb3.vec_env import PreferenceVecEnv, StepReward

__all__ = ["PREFERENCE_BUFFERS", "PreferenceReplay", "PreferenceRollout", "RewardLink"]

_RELABEL_CHUNK_STEPS = 16_384


class RewardLink(StepReward, Protocol):
    """What a buffer asks of the loop; `prefrl.loop.PolicyLink` is one."""

    @property
    def version(self) -> int:
        """Version of the learned reward in force; 0 before the first."""

    def sync(self) -> None:
        """Meet the loop: hand over segments, take the newest reward."""

    def sync_if_due(self) -> None:
        """The same, unless it was done a few steps ago."""

    def take_answers(self) -> list[LabelledQuery]:
        """The answers that came in since the last call."""

    def log_metrics(self, figures: Mapping[str, float]) -> None:
        """Keep an agent's own figures, by name, for the run's next metrics."""

    def beat(self, state: str, detail: str) -> None:
        """Say what the agent does before it acts, "fine-tuning" say, and how far it is."""


class PreferenceRollout:
    """Adds the learned reward to a rollout; SB3 has put only its timeout bootstrap there."""

    buffer_size: int
    rewards: np.ndarray
    advantages: np.ndarray
    returns: np.ndarray
    values: np.ndarray
    link: RewardLink
    preference_venv: PreferenceVecEnv
    finish: Callable[[th.Tensor, np.ndarray], None] | None = None
    """the algorithm's own way from rewards to advantages, ``finish_rollout``, where it has one"""
    _is_labelled = False

    def reset(self) -> None:
        """Begin a rollout."""
        super().reset()  # type: ignore[misc]
        self.preference_venv.begin_rollout()

    def compute_returns_and_advantage(self, last_values: th.Tensor, dones: np.ndarray) -> None:
        """Sync with the loop, label the rollout in one batch, then estimate advantages."""
        if self._is_labelled:
            super().compute_returns_and_advantage(last_values, dones)  # type: ignore[misc]
            return
        rollout = self.preference_venv.take_rollout(self.buffer_size)
        self.link.sync()
        self.label(*rollout, last_values, dones)

    def label(
        self, observations: np.ndarray, actions: np.ndarray, last_values: th.Tensor, dones: np.ndarray
    ) -> None:
        """Add the learned reward of the rollout's steps, then estimate advantages.

        Args:
            observations: shape (n_steps, N, *obs), encoded.
            actions: shape (n_steps, N, *act), as executed.
            last_values: values after the last step, N of them.
            dones: shape (N,), whether the last step ended an episode.
        """
        predicted = self.link.predict(observations, actions)
        if predicted is None:
            # No reward yet: zero advantages, and returns equal to the values, teach nothing.
            self.advantages[:] = 0.0
            self.returns = self.values.copy()
            return
        self.rewards += predicted
        self._is_labelled = True
        try:
            (self.finish or self.compute_returns_and_advantage)(last_values, dones)
        finally:
            self._is_labelled = False


class PreferenceRolloutBuffer(PreferenceRollout, RolloutBuffer):
    """SB3's `RolloutBuffer` on a learned reward."""


class PreferenceDictRolloutBuffer(PreferenceRollout, DictRolloutBuffer):
    """SB3's `DictRolloutBuffer` on a learned reward."""


class PreferenceReplay:
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
    relabel: bool
    """False labels a step once, with the first reward there is for it"""
    label_versions: np.ndarray
    """shape (buffer_size,) int32, the version each row was labelled with; 0 is not yet, its rewards are
    zero"""
    swept_version: int
    """version for which all rows were last gone through; 0 makes the next `add` do so"""

    @property
    def labels_when_sampled(self) -> bool:
        """True for pixels, which are too many to relabel whole."""
        return self.relabel and self.preference_venv.observation_spec.is_image

    def add(
        self,
        obs: Any,
        next_obs: Any,
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Store a step of all environments, labelled; relabel the rest if the reward is a new one."""
        row = self.pos
        super().add(obs, next_obs, action, np.zeros_like(reward), done, infos)  # type: ignore[misc]
        self.label_versions[row] = 0
        self.link.sync_if_due()
        if self.link.version == 0 or self.labels_when_sampled:
            return
        is_new = self.link.version != self.swept_version
        self._label_stale(
            np.arange(self.buffer_size if self.full else self.pos) if is_new else np.array([row])
        )
        self.swept_version = self.link.version

    def _label_stale(self, rows: np.ndarray) -> None:
        versions = self.label_versions[rows]
        stale = rows[versions != self.link.version if self.relabel else versions == 0]
        chunk = max(1, _RELABEL_CHUNK_STEPS // self.n_envs)
        for start in range(0, len(stale), chunk):
            self._label(stale[start : start + chunk])

    def _label(self, rows: np.ndarray) -> None:
        stored = self.observations
        picked = (
            {key: array[rows] for key, array in stored.items()} if isinstance(stored, dict) else stored[rows]
        )
        self.rewards[rows] = self._predict(picked, self.actions[rows])
        self.label_versions[rows] = self.link.version

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


class PreferenceReplayBuffer(PreferenceReplay, ReplayBuffer):
    """SB3's `ReplayBuffer` on a learned reward."""


class PreferenceDictReplayBuffer(PreferenceReplay, DictReplayBuffer):
    """SB3's `DictReplayBuffer` on a learned reward."""


PREFERENCE_BUFFERS: dict[type[BaseBuffer], type[Any]] = {
    RolloutBuffer: PreferenceRolloutBuffer,
    DictRolloutBuffer: PreferenceDictRolloutBuffer,
    ReplayBuffer: PreferenceReplayBuffer,
    DictReplayBuffer: PreferenceDictReplayBuffer,
}
"""SB3's buffer classes and their counterparts here; whoever writes another buffer adds its own"""


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
