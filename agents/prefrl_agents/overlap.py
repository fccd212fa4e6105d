"""Acting for the next rollout while learning from the last one.

The emulator and the policy's small forward passes leave most of a core idle, and so does learning: together they fill
two. The policy that acts is then one update behind the one that learns. PPO's ratio, which is of the policy that acted,
takes that into account; A2C takes it as A3C (Mnih et al. 2016) does, whose actors are behind as well.
"""

from __future__ import annotations

import copy
import threading
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv

from prefrl.sb3 import PreferenceVecEnv, RolloutSteps

__all__ = ["Overlap"]


class Overlap:
    """Collects the next rollout while the last one is learned from.

    Use is in turns: `collect`, `start` and learning, `collect` again.

    Args:
        model: PPO or A2C, set up to learn.
        venv: its environment, as the algorithm sees it.
        recording: the layer of it that remembers the rollout.

    Raises:
        ValueError: when the algorithm is another, or explores by noise that depends on the state.
    """

    def __init__(self, model: Any, venv: VecEnv, recording: PreferenceVecEnv) -> None:
        buffer = getattr(model, "rollout_buffer", None)
        if buffer is None or model.use_sde:
            raise ValueError("agent.overlap is for ppo and a2c without use_sde; set it to false")
        self._model, self._recording = model, recording
        self._n_steps = model.n_steps
        self._collector = Collector(model, venv, recording)
        self._filling, self._spare = copy.copy(buffer), buffer
        self._is_collecting = False
        recording.begin_training()

    def start(self, total_steps: int) -> None:
        """Begin the next rollout, by what the policy is now; of the whole run there are ``total_steps``."""
        steps_left = -(-(total_steps - self._model.num_timesteps) // self._model.n_envs)
        if steps_left > 0:
            self._filling.buffer_size = min(self._n_steps, steps_left)
            self._collector.start(self._filling)
            self._is_collecting = True

    def collect(self, total_steps: int) -> RolloutSteps:
        """The rollout that was started, once it is complete; the first one is started here."""
        if not self._is_collecting:
            self.start(total_steps)
        self._is_collecting = False
        ends = self._collector.wait()
        buffer, self._filling, self._spare = self._filling, self._spare, self._filling
        self._model.num_timesteps += buffer.buffer_size * self._model.n_envs
        return RolloutSteps(*self._recording.take_rollout(buffer.buffer_size), buffer, *ends)

    def close(self) -> None:
        """Wait for the rollout under way, so that nobody steps the environments any more."""
        if self._is_collecting:
            self._is_collecting = False
            with suppress(Exception):
                self._collector.wait()


class Collector:
    """Fills rollout buffers in a thread of its own, with a copy of the policy.

    Use is in turns: `start`, learn meanwhile, `wait`. In between, what the environment recorded may be read, and what
    is drawn at random does not depend on which thread is faster: acting alone uses torch's global generator.

    Args:
        model: the algorithm, set up to learn.
        venv: its environment, as the algorithm sees it.
        recording: the layer of it that remembers the rollout.
    """

    def __init__(self, model: OnPolicyAlgorithm, venv: VecEnv, recording: PreferenceVecEnv) -> None:
        self._model, self._venv, self._recording = model, venv, recording
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
        self._recording.begin_rollout()
        for _ in range(buffer.buffer_size):
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
