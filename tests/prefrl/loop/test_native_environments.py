"""Atari games as the agent of a run acts in them."""

import dataclasses

import numpy as np
import pytest

from prefrl.config import EnvConfig
from prefrl.loop.environments import is_native, make_native_environment
from prefrl.presets import get_preset
from prefrl.sb3 import NativeVecEnv, PreferenceVecEnv
from prefrl_agents.factory import evaluation_environments

pytest.importorskip("ale_py", reason="the games need the atari extra")

STEPS = 700


class Judge:
    """Takes what the oracle sees of each step."""

    def __init__(self, venv: PreferenceVecEnv) -> None:
        self.rewards: list[np.ndarray] = []
        record = venv.recorder.record

        def recorded(
            observations: np.ndarray, actions: np.ndarray, rewards: np.ndarray, *ends: np.ndarray
        ) -> None:
            self.rewards.append(rewards)
            record(observations, actions, rewards, *ends)

        venv.recorder.record = recorded  # type: ignore[method-assign]


def play(config: EnvConfig, actions: int) -> tuple[Judge, list, PreferenceVecEnv]:
    venv = PreferenceVecEnv(
        NativeVecEnv(make_native_environment(config, 2, for_training=True)), 25, config.id, seed=0
    )
    judge = Judge(venv)
    venv.begin_training(None)
    venv.seed(0)
    venv.reset()
    rng = np.random.default_rng(0)
    return judge, [venv.step(rng.integers(actions, size=2)) for _ in range(STEPS)], venv


def test_the_agent_sees_no_reward_no_end_and_no_lives() -> None:
    _, taken, _ = play(get_preset("breakout").config.env, actions=4)
    for _, rewards, dones, infos in taken:
        assert not rewards.any()
        assert not dones.any()
        assert all(set(info) <= {"episode"} for info in infos)


def test_the_oracle_sees_points_and_a_penalty_for_each_life() -> None:
    judge, taken, venv = play(get_preset("breakout").config.env, actions=4)
    rewards = np.array(judge.rewards)
    assert set(np.unique(rewards)) <= {-1.0, 0.0, 1.0}
    episodes = venv.recorder.take_episodes()
    assert episodes
    assert len(episodes) == sum("episode" in info for *_, infos in taken for info in infos)
    # Breakout gives five lives a game: every finished one cost five.
    assert (rewards == -1).sum() >= 5 * len(episodes)
    assert sum(true_return for _, true_return, _ in episodes) > 0


def test_returns_are_not_clipped_where_rewards_are() -> None:
    config = dataclasses.replace(get_preset("space-invaders").config.env, termination_penalty=0.0)
    judge, _, venv = play(config, actions=6)
    returns = [true_return for _, true_return, _ in venv.recorder.take_episodes()]
    rewards = np.array(judge.rewards)
    assert rewards.max() == 1.0
    assert returns
    assert max(returns) > rewards.sum()  # an invader is worth 5 points at least


def test_evaluation_is_in_the_game_as_it_is() -> None:
    venv = evaluation_environments(get_preset("space-invaders").config)(2)
    venv.seed(0)
    venv.reset()
    rng = np.random.default_rng(0)
    taken = [venv.step(rng.integers(6, size=2)) for _ in range(STEPS)]
    assert max(rewards.max() for _, rewards, _, _ in taken) >= 5
    ends = [info for _, _, dones, infos in taken for info, done in zip(infos, dones, strict=True) if done]
    assert ends
    assert all({"episode", "terminal_observation"} <= set(info) for info in ends)


def test_the_ordinary_path_can_be_asked_for() -> None:
    config = get_preset("pong").config.env
    assert is_native(config)
    assert not is_native(dataclasses.replace(config, native=False))
    assert not is_native(EnvConfig("Pendulum-v1"))
    assert not is_native(EnvConfig("CartPole-v1")), "Gymnasium's own resets in a step of its own"
