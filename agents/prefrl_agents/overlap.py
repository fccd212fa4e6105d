"""Acting for the next rollout while learning from the last one.

The emulator and the policy's small forward passes leave most of a core idle, and so does learning: together they fill
two. The policy that acts is then one update behind the one that learns. PPO's ratio, which is of the policy that acted,
takes that into account; A2C takes it as A3C (Mnih et al. 2016) does, whose actors are behind as well.
"""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv

from prefrl.sb3 import PreferenceRollout, PreferenceVecEnv, RewardLink

__all__ = ["Overlap"]


class Overlap:
    """Learns from one rollout while the next is collected.

    Args:
        model: PPO or A2C, set up to learn.
        venv: its environment, as the algorithm sees it.
        recording: the layer of it that remembers the rollout.
        link: where the learned reward comes from.

    Raises:
        ValueError: when the algorithm is another, or explores by noise that depends on the state.
    """

    def __init__(self, model: Any, venv: VecEnv, recording: PreferenceVecEnv, link: RewardLink) -> None:
        buffer = getattr(model, "rollout_buffer", None)
        if not isinstance(buffer, PreferenceRollout) or model.use_sde:
            raise ValueError("agent.overlap is for ppo and a2c without use_sde; set it to false")
        self._model, self._recording, self._link = model, recording, link
        self._collector = Collector(model, venv)
        self._filling, self._spare = copy.copy(buffer), buffer
        self._ends: tuple[torch.Tensor, np.ndarray] | None = None
        """of the rollout that is complete; None before the first"""

    def step(self, total_steps: int) -> None:
        """Learn from one rollout; ``total_steps`` are those of the whole run."""
        model: Any = self._model
        if self._ends is None:
            self._collector.start(self._filling)
            self._ends = self._collector.wait()
        ends, buffer = self._ends, self._filling
        self._ends, self._filling, self._spare = None, self._spare, buffer
        model.num_timesteps += model.n_steps * model.n_envs
        # While nobody steps the environment, what it recorded is handed over.
        rollout = self._recording.take_rollout(model.n_steps)
        # Short rollouts come dozens of times a second, and the store is on a disk.
        self._link.sync_if_due()
        goes_on = model.num_timesteps < total_steps
        if goes_on:
            self._collector.start(self._filling)
        try:
            self._learn(buffer, rollout, ends, total_steps)
        finally:
            if goes_on:
                self._ends = self._collector.wait()

    def _learn(
        self,
        buffer: Any,
        rollout: tuple[np.ndarray, np.ndarray],
        ends: tuple[torch.Tensor, np.ndarray],
        total_steps: int,
    ) -> None:
        model: Any = self._model
        model._update_current_progress_remaining(model.num_timesteps, total_steps)
        buffer.label(*rollout, *ends)
        model.rollout_buffer = buffer
        if self._link.version:
            model.train()


class Collector:
    """Fills rollout buffers in a thread of its own, with a copy of the policy.

    Use is in turns: `start`, learn meanwhile, `wait`. In between, what the environment recorded may be read, and what
    is drawn at random does not depend on which thread is faster: acting alone uses torch's global generator.

    Args:
        model: the algorithm, set up to learn.
        venv: its environment, as the algorithm sees it.
    """

    def __init__(self, model: OnPolicyAlgorithm, venv: VecEnv) -> None:
        self._model, self._venv = model, venv
        self._actor = copy.deepcopy(model.policy)
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._ends: tuple[torch.Tensor, np.ndarray] | None = None

    def start(self, buffer: Any) -> None:
        """Begin to fill ``buffer`` by what the policy is now."""
        self._actor.load_state_dict(self._model.policy.state_dict())
        self._actor.set_training_mode(False)
        self._thread = threading.Thread(target=self._run, args=(buffer,), daemon=True)
        self._thread.start()

    def wait(self) -> tuple[torch.Tensor, np.ndarray]:
        """The values (N, 1) and episode ends (N,) after the last step, once the buffer is full.

        Raises:
            Exception: what stepping the environment raised.
        """
        assert self._thread is not None, "start a rollout first"
        self._thread.join()
        self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        assert self._ends is not None
        return self._ends

    def _run(self, buffer: Any) -> None:
        # Small batches gain nothing by more threads, which learning needs.
        torch.set_num_threads(1)
        try:
            self._ends = self._collect(buffer)
        except BaseException as error:
            # Raised again in the thread that waits.
            self._error = error

    @torch.no_grad()
    def _collect(self, buffer: Any) -> tuple[torch.Tensor, np.ndarray]:
        model: Any = self._model
        buffer.reset()
        for _ in range(model.n_steps):
            actions, values, log_probs = self._actor(obs_as_tensor(model._last_obs, model.device))
            taken = actions.cpu().numpy()
            observations, rewards, dones, infos = self._venv.step(self._executed(taken))
            rewards = np.asarray(rewards)
            for env in np.flatnonzero(dones):
                if infos[env].get("TimeLimit.truncated", False):
                    final, _ = self._actor.obs_to_tensor(infos[env]["terminal_observation"])
                    rewards[env] += model.gamma * self._actor.predict_values(final).item()
            if isinstance(model.action_space, spaces.Discrete):
                taken = taken.reshape(-1, 1)
            buffer.add(model._last_obs, taken, rewards, model._last_episode_starts, values, log_probs)
            model._last_obs, model._last_episode_starts = observations, dones
        return self._actor.predict_values(obs_as_tensor(model._last_obs, model.device)), dones

    def _executed(self, actions: np.ndarray) -> np.ndarray:
        space = self._model.action_space
        if not isinstance(space, spaces.Box):
            return actions
        if self._actor.squash_output:
            return self._actor.unscale_action(actions)
        return np.clip(actions, space.low, space.high)
