"""A rollout buffer for images that copies bytes as rarely as possible."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from prefrl_agents.fast_cnn import FastNatureCNN

__all__ = ["FastRolloutBuffer"]


class FastRolloutBuffer(RolloutBuffer):
    """SB3's `RolloutBuffer` for `FastCnnPolicy`: images are stored once, in the blocks that the network reads.

    Pass it as ``rollout_buffer_class`` together with that policy. Memory is allocated once, on the policy's device,
    and only minibatches are copied.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._blocks: torch.Tensor | None = None
        # Its own generator, with the algorithm's seed: minibatches may be drawn while another thread acts.
        self._generator = torch.Generator().manual_seed(torch.initial_seed())
        super().__init__(*args, **kwargs)

    def __copy__(self) -> FastRolloutBuffer:
        """An empty buffer of the same settings, for another rollout."""
        copied = object.__new__(type(self))
        copied.__dict__ |= self.__dict__ | {"_blocks": None}
        return copied

    def reset(self) -> None:
        """Begin a rollout."""
        if self._blocks is None or len(self._blocks) < self.buffer_size:
            # SB3's buffer would allocate this memory again for every rollout.
            shape = FastNatureCNN.blocks(torch.zeros((1, *self.obs_shape), dtype=torch.uint8)).shape[1:]
            self._blocks = torch.zeros(
                (self.buffer_size, self.n_envs, *shape), dtype=torch.uint8, device=self.device
            )
        kept, self.obs_shape = self.obs_shape, (0,)
        super().reset()
        self.obs_shape = kept

    def add(self, obs: np.ndarray, *args: Any, **kwargs: Any) -> None:
        """Store a step of all environments, its images as blocks."""
        assert self._blocks is not None
        images = torch.from_numpy(np.ascontiguousarray(obs)).to(self.device)
        self._blocks[self.pos] = FastNatureCNN.blocks(images)
        super().add(np.zeros((self.n_envs, 0), np.uint8), *args, **kwargs)

    def get(self, batch_size: int | None = None) -> Generator[RolloutBufferSamples, None, None]:
        """Minibatches in random order; their observations are blocks."""
        assert self.full, "the rollout is not complete"
        size = self.buffer_size * self.n_envs
        indices = torch.randperm(size, generator=self._generator).numpy()
        batch_size = batch_size or size
        for start in range(0, size, batch_size):
            yield self._get_samples(indices[start : start + batch_size])

    def _get_samples(self, batch_inds: np.ndarray, env: VecNormalize | None = None) -> RolloutBufferSamples:
        assert self._blocks is not None
        steps, envs = np.divmod(batch_inds, self.n_envs)
        rows = torch.from_numpy(batch_inds).to(self.device)
        actions = self.actions[steps, envs].astype(np.float32, copy=False)
        scalars = [
            array[steps, envs] for array in (self.values, self.log_probs, self.advantages, self.returns)
        ]
        # Many times faster than indexing, which moves byte by byte.
        blocks = self._blocks.flatten(0, 1).index_select(0, rows)
        return RolloutBufferSamples(blocks, *map(self.to_torch, [actions, *scalars]))
