"""Episode ends are hidden from the agent, and reported in the info for evaluation."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit
from stable_baselines3.common.monitor import Monitor

from prefrl_envs import EndlessEpisodes, EndlessVector


class Countdown(gym.Env[np.ndarray, np.int64]):
    """Counts 3, 2, 1, 0 and terminates; each episode has its own random mark. The reward is 1 per step."""

    observation_space = gym.spaces.Box(0.0, 3.0, (2,))
    action_space = gym.spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.count, self.mark = 3, self.np_random.random()
        return self.observe(), {"mark": self.mark, "seed": seed}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.count -= 1
        return self.observe(), 1.0, self.count == 0, False, {"mark": self.mark, "count": self.count}

    def observe(self) -> np.ndarray:
        return np.array([self.count, self.mark], dtype=np.float32)


def steps(env: gym.Env, count: int, seed: int | None = 0) -> list:
    env.reset(seed=seed)
    return [env.step(0) for _ in range(count)]


def test_episode_ends_are_hidden_from_the_agent() -> None:
    taken = steps(EndlessEpisodes(Countdown()), 7)
    assert [step[0][0] for step in taken] == [2, 1, 3, 2, 1, 3, 2]
    assert all(step[2] is False and step[3] is False for step in taken)
    assert all(step[1] == 1.0 for step in taken)


def test_the_info_reports_the_inner_end() -> None:
    taken = steps(EndlessEpisodes(Countdown()), 4)
    assert [step[4]["inner_terminated"] for step in taken] == [False, False, True, False]
    assert not any(step[4]["inner_truncated"] for step in taken)
    assert ["final_observation" in step[4] for step in taken] == [False, False, True, False]
    observation, *_, info = taken[2]
    assert info["final_observation"][0] == 0
    assert info["mark"] == pytest.approx(observation[1])  # what describes a state describes the one returned
    assert info["count"] == 0  # and what was said of the step alone is kept


def test_truncation_is_reported_separately_without_penalty() -> None:
    env = EndlessEpisodes(TimeLimit(Countdown(), 2), termination_penalty=5.0)
    taken = steps(env, 4)
    assert [step[4]["inner_truncated"] for step in taken] == [False, True, False, True]
    assert not any(step[4]["inner_terminated"] for step in taken)
    assert [step[1] for step in taken] == [1.0] * 4


def test_termination_is_penalised() -> None:
    taken = steps(EndlessEpisodes(Countdown(), termination_penalty=5.0), 6)
    assert [step[1] for step in taken] == [1.0, 1.0, -4.0] * 2


def test_the_same_seed_gives_the_same_run_and_another_seed_does_not() -> None:
    first, second, other = (steps(EndlessEpisodes(Countdown()), 12, seed) for seed in (3, 3, 4))
    assert data_equivalence(first, second)
    assert not data_equivalence(first, other)


def test_inner_episodes_differ() -> None:
    taken = steps(EndlessEpisodes(Countdown()), 30)
    assert len({step[0][1] for step in taken}) == 11


def test_a_reset_without_a_seed_is_random() -> None:
    env = EndlessEpisodes(Countdown())
    seeds = [
        step[4]["seed"] for step in steps(env, 3, seed=0) + steps(env, 3, seed=None) if "seed" in step[4]
    ]
    assert len(set(seeds)) == 2


@pytest.mark.parametrize("recorder", [Monitor, RecordEpisodeStatistics])
def test_episode_statistics_of_inner_wrappers_have_no_penalty(recorder: Any) -> None:
    taken = steps(EndlessEpisodes(recorder(Countdown()), termination_penalty=5.0), 6)
    episodes = [step[4]["episode"] for step in taken if "episode" in step[4]]
    assert [(float(episode["r"]), int(episode["l"])) for episode in episodes] == [(3.0, 3), (3.0, 3)]


def test_the_wrapper_can_be_rebuilt_from_its_spec() -> None:
    env = EndlessEpisodes(gym.make("CartPole-v1"), termination_penalty=2.0)
    again = gym.make(env.spec)
    assert isinstance(again, EndlessEpisodes)
    assert data_equivalence(steps(env, 60), steps(again, 60))
    assert any(step[1] == -1.0 for step in steps(again, 60))


@pytest.mark.parametrize("penalty", [-1.0, float("nan"), float("inf")])
def test_invalid_penalties_are_refused(penalty: float) -> None:
    with pytest.raises(ValueError, match=f"termination_penalty is {penalty}"):
        EndlessEpisodes(Countdown(), penalty)


class Lives(Countdown):
    """Loses its second life at 2, its last at 0."""

    def observe(self) -> np.ndarray:
        self.lives = 2 if self.count == 3 else 1 if self.count else 0
        return super().observe()

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict]:
        observation, info = super().reset(**kwargs)
        return observation, {**info, "lives": self.lives}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        *step, info = super().step(action)
        return (*step, {**info, "lives": self.lives})


def test_losing_a_life_has_the_termination_penalty() -> None:
    taken = steps(EndlessEpisodes(Lives(), termination_penalty=5.0), 6)
    assert [step[1] for step in taken] == [-4.0, 1.0, -4.0, -4.0, 1.0, -4.0]


def vector(env: type[Countdown], mode: AutoresetMode = AutoresetMode.SAME_STEP) -> SyncVectorEnv:
    return SyncVectorEnv([env, lambda: TimeLimit(env(), 2)], autoreset_mode=mode)


def test_vector_environments_hide_ends_in_the_same_way() -> None:
    env = EndlessVector(vector(Lives), termination_penalty=5.0)
    env.reset(seed=[0, 0])
    taken = [env.step(np.zeros(2, np.int64)) for _ in range(4)]
    assert not any(step[2].any() or step[3].any() for step in taken)
    assert [step[1].tolist() for step in taken] == [[-4, -4], [1, 1], [-4, -4], [-4, 1]]
    assert taken[0][1].dtype == np.float32
    assert [step[4]["inner_terminated"].tolist() for step in taken] == [
        [False, False],
        [False, False],
        [True, False],
        [False, False],
    ]
    assert [step[4]["inner_truncated"].tolist() for step in taken] == [
        [False, False],
        [False, True],
        [False, False],
        [False, True],
    ]


def test_vector_environments_with_another_autoreset_mode_are_refused() -> None:
    with pytest.raises(ValueError, match=r"autoreset_mode is AutoresetMode.NEXT_STEP; .*SAME_STEP is needed"):
        EndlessVector(vector(Countdown, AutoresetMode.NEXT_STEP))
