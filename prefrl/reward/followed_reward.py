"""A learned reward that takes new versions from a run as they are published."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from prefrl.config import RewardConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Query, Segment
from prefrl.reward.learned_reward import LearnedReward, latest_reward
from prefrl.reward.tensor_files import RewardFileError

__all__ = ["FollowedReward"]


class FollowedReward:
    """The newest reward of a run directory or ``reward/`` folder: a `RewardSource` with all members of `LearnedReward`.

    Methods that predict look for a newer version first, at most every ``refresh_s`` seconds; properties do not.

    Raises:
        RewardFileError: when the folder has no reward yet, or a version published there cannot be read.
    """

    def __init__(self, folder: str | Path, refresh_s: float = 5.0, device: str | None = None) -> None:
        """Read the newest version; ``device`` is as in `LearnedReward.load`."""
        self._folder, self._device = Path(folder), device
        if not self._folder.is_dir():
            raise RewardFileError(f"only a folder can be followed, {folder} is none; load it without follow")
        self._refresh_s = refresh_s
        self.current = LearnedReward.load(self._folder, device=device)
        """the version in use"""
        self._next_refresh_s = time.monotonic() + refresh_s

    @property
    def version(self) -> int:
        """Version of the reward in use."""
        return self.current.version

    @property
    def observation_spec(self) -> SpaceSpec:
        """Layout of the observations."""
        return self.current.observation_spec

    @property
    def action_spec(self) -> SpaceSpec:
        """Layout of the actions."""
        return self.current.action_spec

    @property
    def config(self) -> RewardConfig:
        """Settings of the reward in use."""
        return self.current.config

    @property
    def device(self) -> torch.device:
        """Where the reward in use is evaluated."""
        return self.current.device

    def refresh(self) -> bool:
        """Take the newest version now; returns whether there was a newer one."""
        self._next_refresh_s = time.monotonic() + self._refresh_s
        newer = latest_reward(self._folder, newer_than=self.version, device=self._device)
        if newer is not None:
            self.current = newer
        return newer is not None

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """See `LearnedReward.predict`."""
        return self._fresh().predict(observations, actions)

    def text_rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """See `LearnedReward.text_rewards`."""
        return self._fresh().text_rewards(observations, actions)

    def predict_members(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """See `LearnedReward.predict_members`."""
        return self._fresh().predict_members(observations, actions)

    def segment_returns(self, segments: Sequence[Segment]) -> np.ndarray:
        """See `LearnedReward.segment_returns`."""
        return self._fresh().segment_returns(segments)

    def segment_logits(self, segments: Sequence[Segment]) -> np.ndarray:
        """See `LearnedReward.segment_logits`."""
        return self._fresh().segment_logits(segments)

    def preference_probabilities(self, queries: Sequence[Query]) -> np.ndarray:
        """See `LearnedReward.preference_probabilities`."""
        return self._fresh().preference_probabilities(queries)

    def disagreement(self, queries: Sequence[Query]) -> np.ndarray:
        """See `LearnedReward.disagreement`."""
        return self._fresh().disagreement(queries)

    def save(self, path: str | Path) -> None:
        """Write the reward in use; see `LearnedReward.save`."""
        self.current.save(path)

    def _fresh(self) -> LearnedReward:
        if time.monotonic() >= self._next_refresh_s:
            self.refresh()
        return self.current
