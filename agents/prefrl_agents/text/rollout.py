"""A rollout buffer for texts: each text is stored once, not once for each of its tokens."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import DictRolloutBuffer
from torch import Tensor

from prefrl_agents.text.policy import TokenBatch

__all__ = ["TokenRolloutBuffer", "TokenSamples"]


@dataclass(frozen=True)
class TokenSamples:
    """A minibatch of M steps: the fields of SB3's samples, with whole texts as observations."""

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
    """token ids before step ``first``, the prompt included; int64"""

    @property
    def num_tokens(self) -> int:
        """Length of the text at step ``end``."""
        return len(self.before) + self.end - self.first


class TokenRolloutBuffer(DictRolloutBuffer):
    """SB3's rollout buffer for texts. Minibatches are whole texts, of at least ``batch_size`` steps together."""

    ends: np.ndarray
    """shape (n_steps, N) bool, whether a text ended at that step; known from `mark_ends` on"""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._begun: list[tuple[int, int, np.ndarray]] = []
        super().__init__(*args, **kwargs)

    def reset(self) -> None:
        """Begin a rollout."""
        # SB3's buffer would store the text so far at every step.
        kept, self.obs_shape = self.obs_shape, {}
        super().reset()
        self.obs_shape = kept
        self._begun = []
        self.ends = np.zeros((self.buffer_size, self.n_envs), bool)

    def add(  # type: ignore[override]  # as SB3's buffer for dictionaries
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

    def mark_ends(self, dones: np.ndarray) -> None:
        """Set `ends`, given which environments' texts ended at the last step, shape (N,)."""
        last = np.asarray(dones, np.float32)[None]
        self.ends = np.concatenate([self.episode_starts[1:], last]).astype(bool)

    @property
    def spans(self) -> list[_Span]:
        """The texts of the rollout, in the order in which they began."""
        spans, end = [], np.full(self.n_envs, self.pos)
        for env, first, before in reversed(self._begun):
            spans.append(_Span(env, first, int(end[env]), before))
            end[env] = first
        return spans[::-1]

    def batches(self, batch_size: int, spans: Sequence[_Span]) -> Iterator[Sequence[_Span]]:
        """Split ``spans``, in order, into parts of at least ``batch_size`` steps each; the last may have fewer."""
        start = steps = 0
        for index, span in enumerate(spans):
            steps += span.end - span.first
            if steps >= batch_size:
                yield spans[start : index + 1]
                start, steps = index + 1, 0
        if steps:
            yield spans[start:]

    def token_batch(self, spans: Sequence[_Span]) -> TokenBatch:
        """The texts of ``spans`` as token ids, with the steps of each in order."""
        actions = self.actions.reshape(self.buffer_size, self.n_envs)
        longest = max(span.num_tokens for span in spans)
        ids = np.zeros((len(spans), longest), np.int64)
        texts, positions = [], []
        for row, span in enumerate(spans):
            known, count = len(span.before), span.end - span.first
            ids[row, :known] = span.before
            ids[row, known : known + count] = actions[span.first : span.end, span.env]
            texts.append(np.full(count, row))
            positions.append(np.arange(known, known + count))
        tensors = (ids, np.concatenate(texts), np.concatenate(positions))
        return TokenBatch(*(torch.from_numpy(array).to(self.device) for array in tensors))

    def steps_of(self, spans: Sequence[_Span]) -> tuple[np.ndarray, np.ndarray]:
        """Step and environment, each (M,), of all steps of ``spans``, in the order of `token_batch`."""
        steps = np.concatenate([np.arange(span.first, span.end) for span in spans])
        envs = np.concatenate([np.full(span.end - span.first, span.env) for span in spans])
        return steps, envs

    def get(self, batch_size: int | None = None) -> Generator[TokenSamples, None, None]:  # type: ignore[override]
        """Minibatches of whole texts in random order."""
        spans = self.spans
        shuffled = [spans[index] for index in torch.randperm(len(spans)).tolist()]
        for part in self.batches(batch_size or self.buffer_size * self.n_envs, shuffled):
            batch, steps = self.token_batch(part), self.steps_of(part)
            arrays = (self.values, self.log_probs, self.advantages, self.returns)
            yield TokenSamples(batch, batch.tokens, *(self.to_torch(array[steps]) for array in arrays))
