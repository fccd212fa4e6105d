"""A rollout of tokens, kept as the texts that they make up."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import DictRolloutBuffer
from torch import Tensor

from prefrl_agents.text.policy import TokenBatch

__all__ = ["TokenRolloutBuffer", "TokenSamples"]


_LEAST_STD = 1e-8


@dataclass(frozen=True)
class TokenSamples:
    """A minibatch of M steps, as SB3's samples, but its observations are whole texts."""

    observations: TokenBatch
    actions: Tensor
    """shape (M,) int64"""
    old_values: Tensor
    old_log_prob: Tensor
    advantages: Tensor
    returns: Tensor


@dataclass(frozen=True)
class _Span:
    """The part of a text that was written in this rollout: steps ``first`` to ``end`` of one environment."""

    env: int
    first: int
    end: int
    before: np.ndarray
    """what stood there before step ``first``, the prompt included; int64"""


class TokenRolloutBuffer(DictRolloutBuffer):
    """SB3's rollout buffer for texts: a text is kept once, not once for each of its tokens.

    Minibatches are whole texts, as many as have ``batch_size`` steps. ``shape_rewards``, where set, is called with
    the buffer before advantages are estimated, and may change its rewards.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.shape_rewards: Callable[[TokenRolloutBuffer], None] | None = None
        self.whitens = False
        """whether advantages are scaled to mean 0 and deviation 1 over the rollout, as SB3 does over minibatches"""
        self._begun: list[tuple[int, int, np.ndarray]] = []
        super().__init__(*args, **kwargs)

    def reset(self) -> None:
        """Begin a rollout."""
        # SB3's own would take memory for the beginning of a text at every step.
        kept, self.obs_shape = self.obs_shape, {}
        super().reset()
        self.obs_shape = kept
        self._begun = []

    def add(  # type: ignore[override]  # as SB3's own for dictionaries
        self,
        obs: dict[str, np.ndarray],
        action: np.ndarray,
        reward: np.ndarray,
        episode_start: np.ndarray,
        value: Tensor,
        log_prob: Tensor,
    ) -> None:
        """Store a step of all environments; see SB3."""
        begins = np.ones(self.n_envs, bool) if self.pos == 0 else np.asarray(episode_start, bool)
        for env in np.flatnonzero(begins):
            length = int(np.reshape(obs["length"][env], ()))
            self._begun.append((int(env), self.pos, np.array(obs["input_ids"][env][:length], np.int64)))
        super().add({}, action, reward, episode_start, value, log_prob)

    def compute_returns_and_advantage(self, last_values: Tensor, dones: np.ndarray) -> None:
        """Let `shape_rewards` have its way, then estimate advantages as ever."""
        self.ends = np.concatenate([self.episode_starts[1:], np.asarray(dones, np.float32)[None]]).astype(
            bool
        )
        if self.shape_rewards is not None:
            self.shape_rewards(self)
        super().compute_returns_and_advantage(last_values, dones)
        if self.whitens and self.advantages.size > 1:
            centred = self.advantages - self.advantages.mean()
            self.advantages = centred / (self.advantages.std(ddof=1) + _LEAST_STD)

    @property
    def spans(self) -> list[_Span]:
        """The texts of the rollout, in the order they began."""
        spans, end = [], np.full(self.n_envs, self.pos)
        for env, first, before in reversed(self._begun):
            spans.append(_Span(env, first, int(end[env]), before))
            end[env] = first
        return spans[::-1]

    def batches(self, batch_size: int, spans: Sequence[_Span]) -> Iterator[Sequence[_Span]]:
        """Parts of ``spans``, in order, each with at least ``batch_size`` steps but for the last."""
        start = steps = 0
        for index, piece in enumerate(spans):
            steps += piece.end - piece.first
            if steps >= batch_size:
                yield spans[start : index + 1]
                start, steps = index + 1, 0
        if steps:
            yield spans[start:]

    def token_batch(self, spans: Sequence[_Span]) -> TokenBatch:
        """The texts, with their steps in order."""
        actions = self.actions.reshape(self.buffer_size, self.n_envs)
        longest = max(len(piece.before) + piece.end - piece.first for piece in spans)
        ids = np.zeros((len(spans), longest), np.int64)
        texts, positions = [], []
        for row, piece in enumerate(spans):
            known, count = len(piece.before), piece.end - piece.first
            ids[row, :known] = piece.before
            ids[row, known : known + count] = actions[piece.first : piece.end, piece.env]
            texts.append(np.full(count, row))
            positions.append(np.arange(known, known + count))
        tensors = (ids, np.concatenate(texts), np.concatenate(positions))
        return TokenBatch(*(torch.from_numpy(array).to(self.device) for array in tensors))

    def steps_of(self, spans: Sequence[_Span]) -> tuple[np.ndarray, np.ndarray]:
        """Step and environment (M,) of all steps of ``spans``, as `token_batch` has them."""
        steps = np.concatenate([np.arange(piece.first, piece.end) for piece in spans])
        envs = np.concatenate([np.full(piece.end - piece.first, piece.env) for piece in spans])
        return steps, envs

    def get(self, batch_size: int | None = None) -> Generator[TokenSamples, None, None]:  # type: ignore[override]
        """Minibatches of whole texts in random order."""
        spans = self.spans
        shuffled = [spans[index] for index in torch.randperm(len(spans)).tolist()]
        for part in self.batches(batch_size or self.buffer_size * self.n_envs, shuffled):
            batch, steps = self.token_batch(part), self.steps_of(part)
            arrays = (self.values, self.log_probs, self.advantages, self.returns)
            yield TokenSamples(batch, batch.tokens, *(self.to_torch(array[steps]) for array in arrays))
