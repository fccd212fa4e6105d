"""An environment that logs executed actions, and a labeller whose reward is a known formula."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from prefrl.data.spaces import SpaceSpec
from prefrl.sb3 import PreferenceVecEnv, make_labeller

TRUE_REWARD = 12345.0


class SpyEnv(gym.Env[Any, Any]):
    """Random observations, a true reward that cannot be missed, and a log of what was really done.

    ``log`` holds every (observation, action that followed it), raw.
    """

    def __init__(
        self, observation_space: spaces.Space, action_space: spaces.Space, episode_steps: int | None
    ):
        self.observation_space, self.action_space = observation_space, action_space
        self.log: list[tuple[Any, Any]] = []
        self._episode_steps, self._steps = episode_steps, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self._steps = 0
        self._observation = self.observation_space.sample()
        return self._observation, {"true_reward": TRUE_REWARD}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.log.append((self._observation, np.array(action)))
        self._observation = self.observation_space.sample()
        self._steps += 1
        reward = TRUE_REWARD + self._steps
        info = {"reward": reward, "score": [reward], "deep": {"r": {"sum": reward}}, "is_success": reward}
        return self._observation, reward, False, self._steps == self._episode_steps, info


class FormulaReward:
    """A reward that is a known function of a step; versions can be set by hand."""

    def __init__(self, venv: PreferenceVecEnv, version: int) -> None:
        self.version = version
        self._action_ndim = len(venv.action_spec.shape)

    def reward(self, observation: np.ndarray, action: np.ndarray, version: int | None = None) -> float:
        """Reward of one encoded step; differs between any two steps, orders of entries and versions."""
        of_version = 10.0 * (self.version if version is None else version)
        return of_version + float(np.cos(_weigh(observation)) + 2.0 * np.cos(_weigh(action)))

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        assert self.version, "nobody asks before the first reward"
        lead = actions.shape[: actions.ndim - self._action_ndim]
        rewards = [self.reward(observations[step], actions[step]) for step in np.ndindex(*lead)]
        return np.array(rewards, np.float32).reshape(lead)


class LabellingCallback(BaseCallback):
    """The part of the loop that labels rollouts and replay buffers."""

    def __init__(self, reward: Any, relabel: bool = True) -> None:
        super().__init__()
        self.reward, self.relabel = reward, relabel
        self.labeller: Any = None

    def _on_training_start(self) -> None:
        if self.labeller is None:
            self.labeller = make_labeller(self.model, self.relabel)
        self.labeller.attach(self.reward)

    def _on_rollout_start(self) -> None:
        self.labeller.begin()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.labeller.label(self.labeller.take(), self.reward)

    def _on_training_end(self) -> None:
        self.labeller.detach()


def _weigh(array: np.ndarray) -> float:
    flat = np.asarray(array, np.float64).reshape(-1)
    return float(flat @ np.sin(1.0 + np.arange(flat.size)))


@pytest.fixture
def make_spies() -> Callable[..., VecEnv]:
    """Vector environments of `SpyEnv`; by default with Box observations and asymmetric Box actions."""

    def make(
        observation_space: spaces.Space | None = None,
        action_space: spaces.Space | None = None,
        num_envs: int = 2,
        episode_steps: int | None = None,
    ) -> VecEnv:
        observed = observation_space or spaces.Box(-1.0, 1.0, (3,), np.float32)
        acted = action_space or spaces.Box(-0.5, 2.0, (2,), np.float32)

        def make_one() -> SpyEnv:
            return SpyEnv(copy.deepcopy(observed), copy.deepcopy(acted), episode_steps)

        return DummyVecEnv([make_one] * num_envs)

    return make


@pytest.fixture
def wrap() -> Callable[[VecEnv], PreferenceVecEnv]:
    return lambda venv: PreferenceVecEnv(venv, segment_steps=5, env_id="Spy-v0", seed=0)


@pytest.fixture
def make_reward() -> Callable[..., FormulaReward]:
    def make(venv: PreferenceVecEnv, version: int = 1) -> FormulaReward:
        return FormulaReward(venv, version)

    return make


@pytest.fixture
def labelled() -> Callable[..., Callable[..., Any]]:
    """``learn`` of an algorithm whose rollouts are labelled by a reward; accepts additional callbacks."""

    def make(model: Any, reward: Any, relabel: bool = True) -> Callable[..., Any]:
        labelling = LabellingCallback(reward, relabel)

        def learn(steps: int, callback: Any = (), **arguments: Any) -> Any:
            return model.learn(steps, callback=[labelling, *callback], **arguments)

        return learn

    return make


@pytest.fixture
def rewards_by_log() -> Callable[..., np.ndarray]:
    """Rewards by the formula for the logged steps, shape (steps, N)."""

    def compute(reward: FormulaReward, spies: VecEnv) -> np.ndarray:
        observed, acted = SpaceSpec.of(spies.observation_space), SpaceSpec.of(spies.action_space)
        logs = [
            [reward.reward(observed.encode(o, ()), acted.encode(a, ())) for o, a in log]
            for log in spies.get_attr("log")
        ]
        return np.array(logs, np.float32).T

    return compute


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
