"""No number of the true reward reaches an agent, its buffers or the learned reward, but the sum an episode
logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer, RolloutBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from prefrl import PreferenceCallback
from prefrl.config import AgentConfig, EnvConfig, QueryConfig, RewardConfig, RunConfig, RuntimeConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.loop import StopFlag
from prefrl.loop.assemble import make_others, make_policy
from prefrl.loop.serial import run_serially
from prefrl.reward import LearnedReward
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir
from prefrl_agents.factory import build_agent

CANARY = 12345.0
LIMIT = 1000.0
"""threshold: all that an agent may see is far below, all parts of the true reward are above"""
SMALL = RunConfig(
    queries=QueryConfig(segment_steps=5, batch=4),
    reward=RewardConfig(hidden=(8,), initial_epochs=2, epochs_per_update=1),
    labels=8,
    steps=480,
)


class CanaryEnv(gym.Env[np.ndarray, Any]):
    """Small observations; true rewards of 12345 and more, which are repeated throughout the info."""

    def __init__(self, discrete: bool) -> None:
        self.observation_space = spaces.Box(-1.0, 1.0, (3,), np.float32)
        self.action_space = spaces.Discrete(3) if discrete else spaces.Box(-2.0, 2.0, (1,), np.float32)
        self.count = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        return self._observation(), {"reward": CANARY}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.count += 1
        reward = CANARY + self.count % 17
        info = {"reward": reward, "score": [reward], "deep": {"true": np.array(reward)}, "is_success": reward}
        info |= {"original_reward": -reward, "terminal_info": {"reward": reward}}
        return self._observation(), reward, False, self.count % 11 == 0, info

    def _observation(self) -> np.ndarray:
        return self.np_random.uniform(-1, 1, 3).astype(np.float32)


def numbers(thing: Any) -> Iterator[float]:
    """The largest magnitude of every array and number in nested containers."""
    if isinstance(thing, Mapping):
        for value in thing.values():
            yield from numbers(value)
    elif isinstance(thing, (list, tuple)):
        for value in thing:
            yield from numbers(value)
    elif isinstance(thing, torch.Tensor):
        yield from numbers(thing.detach().cpu().numpy())
    elif isinstance(thing, (np.ndarray, np.generic, int, float)):
        array = np.asarray(thing)
        if array.size and array.dtype.kind in "fiub":
            yield float(np.abs(array.astype(np.float64)).max())


class Watch:
    """Inspects everything passed to agents and rewards; ``caught`` names the leaks."""

    def __init__(self) -> None:
        self.caught: list[str] = []
        self.looks = 0

    def look(self, where: str, *things: Any) -> None:
        self.looks += 1
        if any(number >= LIMIT for number in numbers(things)):
            self.caught.append(where)

    def look_at_infos(self, infos: Any) -> None:
        for info in infos:
            rest = dict(info)
            episode = dict(rest.pop("episode", {}))
            if episode:
                assert episode.pop("r") > 10 * CANARY, "the sum is logged"
            self.look("info", rest, episode)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Watches all inputs of SB3's algorithms and of learned rewards."""
    watch = Watch()

    def spy_on(owner: Any, name: str, before: Any) -> None:
        original = getattr(owner, name)

        def spied(self: Any, *arguments: Any, **named: Any) -> Any:
            before(*arguments, *named.values())
            return original(self, *arguments, **named)

        monkeypatch.setattr(owner, name, spied)

    spy_on(BaseAlgorithm, "_update_info_buffer", lambda infos, *_: watch.look_at_infos(infos))
    for buffer in (RolloutBuffer, ReplayBuffer, DictReplayBuffer):
        # The last argument of a replay buffer's are infos, looked at already.
        spy_on(buffer, "add", lambda *shown: watch.look("buffer.add", *shown[:5]))
    spy_on(LearnedReward, "predict_members", lambda *shown: watch.look("learned reward", *shown))
    return watch


def look_at_buffers(watch: Watch, model: Any) -> None:
    buffer = getattr(model, "rollout_buffer", None) or model.replay_buffer
    arrays = {name: value for name, value in vars(buffer).items() if isinstance(value, np.ndarray)}
    assert {"rewards", "observations", "actions"} <= set(arrays)
    for name, array in arrays.items():
        watch.look(f"buffer.{name}", array)


ALGORITHMS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ppo": (PPO, {"n_steps": 40, "batch_size": 40, "n_epochs": 1}),
    "a2c": (A2C, {"n_steps": 20}),
    "dqn": (DQN, {"learning_starts": 50, "buffer_size": 400, "train_freq": 10}),
    "sac": (SAC, {"learning_starts": 50, "buffer_size": 400, "train_freq": 10, "batch_size": 16}),
}


@pytest.mark.parametrize("around", [None, VecNormalize])
@pytest.mark.parametrize("relabel", [True, False])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_true_rewards_do_not_leak_through_the_callback(
    name: str, relabel: bool, around: Any, watch: Watch, tmp_path: Path
) -> None:
    config = RunConfig(**{**vars(SMALL), "agent": AgentConfig(relabel=relabel)})
    loop = PreferenceCallback(run=tmp_path / "run", config=config)
    algorithm, arguments = ALGORITHMS[name]
    venv: VecEnv = loop.wrap(make_vec_env(lambda: CanaryEnv(name == "dqn"), 2))
    venv = venv if around is None else around(venv, norm_reward=False)
    model = algorithm("MlpPolicy", venv, device="cpu", seed=0, **arguments)

    def look(local: dict[str, Any], _: Any) -> bool:
        shown = ("new_obs", "rewards", "dones", "actions", "values", "buffer_actions")
        watch.look("locals", {key: local[key] for key in shown if key in local})
        watch.look_at_infos(local["infos"])
        return True

    model.learn(480, callback=[loop, _function_callback(look)])
    look_at_buffers(watch, model)
    assert watch.caught == []
    assert watch.looks > 400
    assert loop.reward is not None
    assert loop.run is not None
    with Store.open(loop.run.store) as store:
        kept = store.segments([entry.id for entry in store.pool(5)])
    assert all((segment.true_rewards >= CANARY).all() for segment in kept), "the oracle does see it"


def _function_callback(function: Any) -> Any:
    from stable_baselines3.common.callbacks import ConvertCallback

    return ConvertCallback(function)


@pytest.fixture(params=[True, False], ids=["endless", "episodes"])
def endless(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def registered() -> Iterator[None]:
    for discrete in (True, False):
        gym.register(f"Canary-{discrete}-v0", lambda discrete=discrete: CanaryEnv(discrete))
    yield
    for discrete in (True, False):
        del gym.registry[f"Canary-{discrete}-v0"]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_true_rewards_do_not_leak_through_the_agent_of_a_run(
    name: str,
    endless: bool,
    watch: Watch,
    registered: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {
        "env": EnvConfig(f"Canary-{name == 'dqn'}-v0", num_envs=2, endless=endless, termination_penalty=5.0),
        "agent": AgentConfig(name, hyperparameters=ALGORITHMS[name][1]),  # type: ignore[arg-type]
        "runtime": RuntimeConfig(launcher="serial"),
    }
    config = RunConfig(**{**vars(SMALL), **settings})
    run = RunDir.create(tmp_path / "run", config)
    env = CanaryEnv(name == "dqn")
    run.write_specs(SpaceSpec.of(env.observation_space), SpaceSpec.of(env.action_space))
    Store.open(run.store, create=True).close()
    with Store.open(run.store) as store:
        others = make_others(run, store, config, StopFlag())
        policy = make_policy(run, store, config, build_agent, StopFlag())
        agent: Any = policy.agent
        # The evaluation, in the ordinary environment, is not training.
        monkeypatch.setattr(policy, "_finish", others.stop.set)
        run_serially(policy, others, lambda: None)
    look_at_buffers(watch, agent.model)
    assert watch.caught == []
    assert watch.looks > 200
    assert policy.channels.reward.version > 0
    policy.close()


def test_the_watch_detects_a_leak(watch: Watch) -> None:
    venv = make_vec_env(lambda: CanaryEnv(False), 2)
    model = A2C("MlpPolicy", venv, device="cpu").learn(20)
    assert {"buffer.add", "info"} <= set(watch.caught)
    look_at_buffers(watch, model)
    assert "buffer.rewards" in watch.caught
