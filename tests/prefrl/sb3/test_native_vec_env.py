"""Gymnasium's vector environments used as SB3's."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

from prefrl.sb3 import NativeVecEnv
from prefrl.sb3.native_vec_env import split_info


class Count(gym.Env[np.ndarray, np.int64]):
    """Counts up from a seeded start and terminates after 3 steps. The reward is the observation."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.start = self.count = int(self.np_random.integers(1000)) * 10
        return np.array([self.count], np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.count += 1
        ended = self.count - self.start == 3
        return np.array([self.count], np.float32), float(self.count), ended, False, {"mark": self.count}

    def double(self) -> int:
        return 2


def vector(limit: int | None = None) -> SyncVectorEnv:
    make = Count if limit is None else lambda: TimeLimit(Count(), limit)
    return SyncVectorEnv([make, make], autoreset_mode=AutoresetMode.SAME_STEP)


def step(venv: NativeVecEnv) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
    return venv.step(np.zeros(2, np.int64))  # type: ignore[return-value]


def test_episodes_end_and_begin_as_sb3_expects() -> None:
    venv = NativeVecEnv(vector())
    venv.seed(7)
    first = venv.reset()
    assert isinstance(first, np.ndarray)
    np.testing.assert_array_equal(first, NativeVecEnv(vector()).env.reset(seed=7)[0])
    taken = [step(venv) for _ in range(4)]
    assert [dones.tolist() for _, _, dones, _ in taken] == [[False] * 2, [False] * 2, [True] * 2, [False] * 2]
    observations, rewards, _, infos = taken[2]
    assert rewards.dtype == np.float32
    for index, info in enumerate(infos):
        assert info["terminal_observation"] == first[index] + 3 == rewards[index]
        assert info["TimeLimit.truncated"] is False
        assert observations[index] != first[index] + 3
    assert taken[3][0] == pytest.approx(observations + 1)
    assert "terminal_observation" not in taken[3][3][0]
    assert [info["mark"] for info in taken[3][3]] == taken[3][1].tolist()


def test_a_seed_applies_to_one_reset_only() -> None:
    venv = NativeVecEnv(vector())
    venv.seed(7)
    first, second = venv.reset(), venv.reset()
    assert not np.array_equal(first, second)


def test_truncation_is_distinguished_from_termination() -> None:
    venv = NativeVecEnv(vector(limit=2))
    venv.reset()
    step(venv)
    _, _, dones, infos = step(venv)
    assert dones.all()
    assert all(info["TimeLimit.truncated"] is True for info in infos)


def test_true_returns_are_in_the_info() -> None:
    for venv in (NativeVecEnv(RecordEpisodeStatistics(vector())), VecMonitor(NativeVecEnv(vector()))):
        first = venv.reset()
        *_, (_, _, _, infos) = [step(venv) for _ in range(3)]
        assert [info["episode"]["r"] for info in infos] == [3 * start + 6 for start in first[:, 0].tolist()]
        assert [info["episode"]["l"] for info in infos] == [3, 3]


def test_sb3_agents_can_learn() -> None:
    assert PPO("MlpPolicy", NativeVecEnv(vector()), n_steps=8, batch_size=16, n_epochs=1).learn(32)


def test_attributes_are_those_of_the_vector_environment() -> None:
    venv = NativeVecEnv(vector())
    assert venv.get_attr("num_envs") == [2, 2]
    assert not venv.has_attr("optimal_return")
    assert venv.env_is_wrapped(TimeLimit) == [False, False]
    venv.set_attr("mark", 3)
    assert venv.get_attr("mark", indices=[1]) == [3]
    with pytest.raises(ValueError, match=r"indices is \[0\]; the 2 environments are one, name them all"):
        venv.set_attr("mark", 4, indices=[0])


def test_other_autoreset_modes_are_refused() -> None:
    env = SyncVectorEnv([Count], autoreset_mode=AutoresetMode.NEXT_STEP)
    with pytest.raises(ValueError, match=r"is AutoresetMode.NEXT_STEP; .*SAME_STEP is needed"):
        NativeVecEnv(env)


def test_each_environment_gets_its_own_info() -> None:
    info = {
        "lives": np.array([3, 2]),
        "episode": {"r": np.array([1.5, 0.0]), "_r": np.array([True, False])},
        "_episode": np.array([True, False]),
        "final_info": {"lives": np.array([0, 0])},
    }
    assert split_info(info, 2) == [{"lives": 3, "episode": {"r": 1.5}}, {"lives": 2}]
