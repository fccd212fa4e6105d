"""The learned reward as an agent uses it: frozen, versioned, normalised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import torch
from torch import Tensor

from prefrl.config import RewardConfig
from prefrl.config.device import available_device, torch_device
from prefrl.config.modality import modality_of
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Query, Segment
from prefrl.reward.disagreement import disagreement
from prefrl.reward.inputs import check_array, chunk_steps, feature_tensor, observation_tensor
from prefrl.reward.losses import preference_probability, preference_scale
from prefrl.reward.networks import RewardNetwork
from prefrl.reward.reward_file import RewardContent, read_reward, write_reward
from prefrl.reward.source import leading_shape
from prefrl.reward.tensor_files import RewardFileError
from prefrl.storage.errors import RunDirError
from prefrl.storage.versions import latest_version

if TYPE_CHECKING:
    from prefrl.reward.followed_reward import FollowedReward

__all__ = ["LearnedReward", "aggregate", "latest_reward"]


class LearnedReward:
    """An ensemble's reward r(o, a), a `RewardSource`. Each member is normalised, then they are averaged.

    `predict`, `predict_members` and `text_rewards` are normalised, as the agent sees the reward; `segment_returns`,
    `segment_logits`, `preference_probabilities` and `disagreement` are not, as the loss saw it: normalising would
    change the preferences that the members predict. Arrays are on the CPU wherever the ensemble is.
    Source: Christiano et al. 2017, section 2.2.
    """

    def __init__(
        self,
        network: RewardNetwork,
        member_mean: Tensor,
        member_std: Tensor,
        *,
        version: int,
        observation_spec: SpaceSpec,
        action_spec: SpaceSpec,
        config: RewardConfig,
    ) -> None:
        """Freeze ``network`` on its device; ``member_mean`` and ``member_std`` (E,) are those of its step rewards."""
        self._network = network.eval().requires_grad_(False)
        self._member_mean, self._member_std = member_mean.to(self.device), member_std.to(self.device)
        self.version = version
        """1 is the first that a run publishes"""
        self.observation_spec, self.action_spec = observation_spec, action_spec
        self.config = config

    @property
    def device(self) -> torch.device:
        """Where the ensemble is evaluated."""
        return self._network.input_mean.device

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Normalised reward of each step, aggregated over the members by ``config.aggregate``.

        A text's reward is that of its last step; its other steps have reward 0.

        Args:
            observations: shape (*lead, *obs), as `SpaceSpec.encode` lays them out.
            actions: shape (*lead, *act), as `SpaceSpec.encode` lays them out.

        Returns:
            float32 of shape (*lead,), for any leading dimensions; computed in chunks of bounded memory.

        Raises:
            ValueError: when the arrays do not fit the spaces that the reward was trained on, or each other.
        """
        return aggregate(self.predict_members(observations, actions), self.config)

    def text_rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Normalised reward of whole texts, shape (M,) float32, whatever their last token.

        Args:
            observations: shape (M, 2 + L), each text before its last token (`prefrl.data.tokens`).
            actions: shape (M,), the last tokens.

        Raises:
            ValueError: when the arrays do not fit the texts the reward was trained on.
        """
        check_array(self.observation_spec, observations, "observations")
        check_array(self.action_spec, actions, "actions")
        return aggregate(self._normalised_rewards(observations, actions), self.config)

    def predict_members(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Normalised reward of each step by each member, float32 (E, *lead); see `predict`."""
        check_array(self.observation_spec, observations, "observations")
        check_array(self.action_spec, actions, "actions")
        lead = leading_shape(self, observations, actions)
        observations = observations.reshape(-1, *self.observation_spec.shape)
        actions = actions.reshape(-1, *self.action_spec.shape)
        is_scored = modality_of(self.observation_spec).is_scored(self.observation_spec, observations, actions)
        if is_scored is None:
            return self._normalised_rewards(observations, actions).reshape(self._network.num_members, *lead)
        rewards = np.zeros((self._network.num_members, len(actions)), np.float32)
        if is_scored.any():
            rewards[:, is_scored] = self._normalised_rewards(observations[is_scored], actions[is_scored])
        return rewards.reshape(self._network.num_members, *lead)

    def segment_returns(self, segments: Sequence[Segment]) -> np.ndarray:
        """Undiscounted return of each segment by each member, not normalised, float32 (E, C)."""
        if not segments:
            return np.zeros((self._network.num_members, 0), dtype=np.float32)
        return np.concatenate(
            [self._batch_returns(batch) for batch in self._segment_batches(segments)], axis=1
        )

    def segment_logits(self, segments: Sequence[Segment]) -> np.ndarray:
        """Each member's log-odds of each segment, float32 (E, C): their softmax over a query is the preference."""
        return self.segment_returns(segments) * np.float32(preference_scale(self.config))

    def preference_probabilities(self, queries: Sequence[Query]) -> np.ndarray:
        """Probability of each segment to be the preferred one of its query, by each member.

        Returns:
            float32 (E, Q, K), K that of the largest query; places that a query does not have are 0.
        """
        return preference_probability(torch.from_numpy(self._query_logits(queries))).numpy()

    def disagreement(self, queries: Sequence[Query]) -> np.ndarray:
        """How much the members differ on each query, float64 (Q,): `prefrl.reward.disagreement.disagreement`.

        The samplers of queries use the same definition.
        """
        logits = self._query_logits(queries)
        sizes = np.array([len(query.segments) for query in queries], np.int64)
        found = np.zeros(len(queries))
        for items in np.unique(sizes):
            found[sizes == items] = disagreement(logits[:, sizes == items, :items])
        return found

    def save(self, path: str | Path) -> None:
        """Write a safetensors file, all of it or none; it does not depend on the device."""
        content = RewardContent(
            self._network,
            self._member_mean,
            self._member_std,
            self.version,
            self.observation_spec,
            self.action_spec,
            self.config,
        )
        write_reward(Path(path), content)

    @overload
    @classmethod
    def load(
        cls, path: str | Path, *, follow: Literal[False] = False, device: str | None = None
    ) -> LearnedReward: ...
    @overload
    @classmethod
    def load(
        cls, path: str | Path, *, follow: Literal[True], device: str | None = None
    ) -> FollowedReward: ...
    @classmethod
    def load(
        cls, path: str | Path, *, follow: bool = False, device: str | None = None
    ) -> LearnedReward | FollowedReward:
        """Read a reward file, or the newest version in a ``reward/`` folder or a run directory.

        Args:
            path: file or folder.
            follow: for folders, return a `FollowedReward`, which takes new versions as they are published.
            device: cpu, cuda, cuda:N or auto; by default the one it was trained on, or auto if this machine lacks it.

        Raises:
            RewardFileError: when there is no reward, or it is damaged, or of another kind or format version.
            ValueError: when this machine lacks the device asked for.
        """
        if follow:
            from prefrl.reward.followed_reward import FollowedReward

            return FollowedReward(path, device=device)
        path = Path(path)
        if not path.is_dir():
            return cls._read(path, device)
        latest = latest_reward(path, device=device)
        if latest is None:
            raise RewardFileError(f"{path} has no learned reward yet; the first comes with the first answers")
        return latest

    @classmethod
    def _read(cls, path: Path, device: str | None) -> LearnedReward:
        content = read_reward(path)
        if device is None:
            target = available_device(content.config.device, "reward.device")
        else:
            target = torch_device(device, "device")
        return cls(
            content.network.to(target),
            content.member_mean,
            content.member_std,
            version=content.version,
            observation_spec=content.observation_spec,
            action_spec=content.action_spec,
            config=content.config,
        )

    def _query_logits(self, queries: Sequence[Query]) -> np.ndarray:
        """Log-odds (E, Q, K) of each query's segments by each member, -inf in places that a query does not have."""
        # Queries of one pool share segments, which are evaluated once; identity spares hashing their content.
        segments = {id(segment): segment for query in queries for segment in query.segments}
        column = {key: number for number, key in enumerate(segments)}
        logits = self.segment_logits(list(segments.values()))
        items = max((len(query.segments) for query in queries), default=0)
        by_query = np.full((len(logits), len(queries), items), -np.inf, dtype=np.float32)
        for number, query in enumerate(queries):
            by_query[:, number, : len(query.segments)] = logits[:, [column[id(s)] for s in query.segments]]
        return by_query

    def _normalised_rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        rewards = self._raw_rewards(observations, actions)
        normalised = (rewards - self._member_mean[:, None]) / self._member_std[:, None] * self.config.std
        return normalised.cpu().numpy()

    @torch.inference_mode()
    def _raw_rewards(self, observations: np.ndarray, actions: np.ndarray) -> Tensor:
        size = chunk_steps(self.observation_spec)
        chunks = [
            self._network(
                observation_tensor(self.observation_spec, observations[start : start + size]).to(self.device),
                feature_tensor(self.action_spec, actions[start : start + size]).to(self.device),
            )
            for start in range(0, max(len(observations), 1), size)
        ]
        return torch.cat(chunks, dim=1)

    def _segment_batches(self, segments: Sequence[Segment]) -> Iterator[list[Segment]]:
        limit = chunk_steps(self.observation_spec)
        batch: list[Segment] = []
        steps = 0
        for segment in segments:
            if batch and steps + len(segment) > limit:
                yield batch
                batch, steps = [], 0
            batch.append(segment)
            steps += len(segment)
        yield batch

    def _batch_returns(self, segments: list[Segment]) -> np.ndarray:
        for segment in segments:
            check_array(self.observation_spec, segment.observations, "segment's observations")
            check_array(self.action_spec, segment.actions, "segment's actions")
        observations = np.concatenate([segment.observations for segment in segments])
        rewards = self._raw_rewards(observations, np.concatenate([segment.actions for segment in segments]))
        starts = np.cumsum([0, *(len(segment) for segment in segments[:-1])])
        return np.add.reduceat(rewards.cpu().numpy(), starts, axis=1)


def aggregate(members: np.ndarray, config: RewardConfig) -> np.ndarray:
    """One reward (...) from the members' (E, ...): mean, worst, or mean minus a share of the variance.

    The last two keep a policy away from states where the members disagree, which are unlike the training data
    (Coste et al. 2023, WCO and UWO).
    """
    if config.aggregate == "worst":
        return np.asarray(members.min(axis=0))
    mean = members.mean(axis=0)
    if config.aggregate == "mean_minus_variance":
        mean = mean - config.variance_penalty * members.var(axis=0)
    return np.asarray(mean)


def latest_reward(folder: Path, newer_than: int = -1, device: str | None = None) -> LearnedReward | None:
    """The newest version in a ``reward/`` folder or a run directory; None unless above ``newer_than``.

    Args:
        folder: either of these.
        newer_than: a version.
        device: see `LearnedReward.load`.

    Raises:
        RewardFileError: when the published version cannot be read, or is not what was published.
    """
    nested = folder / "reward"
    try:
        latest = latest_version(nested if nested.is_dir() else folder, newer_than)
    except RunDirError as error:
        raise RewardFileError(str(error)) from error
    return None if latest is None else LearnedReward.load(latest[1], device=device)
