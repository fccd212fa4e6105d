"""Faulty environments: refused before a run is created, or at the step that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import A2C
from stable_baselines3.common.vec_env import DummyVecEnv

from prefrl import PreferenceCallback, RewardVecEnv
from prefrl.data.spaces import SpaceSpec

BOX = spaces.Box(-1.0, 1.0, (2,), np.float32)
ZEROS = np.zeros(2, np.float32)


class FaultyEnv(gym.Env[Any, Any]):
    """A valid environment, except for a chosen fault."""

    def __init__(
        self,
        observation_space: spaces.Space = BOX,
        action_space: spaces.Space = BOX,
        first: Any = ZEROS,
        second: Any = ZEROS,
        reward: Any = 0.0,
        raises_in: str = "",
        from_step: int = 1,
        values: int = 5,
    ) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        self._first, self._second, self._reward = first, second, reward
        self._raises_in, self._from_step, self._steps = raises_in, from_step, 0
        self._values = values
        self._fail_in("make")

    def _fail_in(self, place: str) -> None:
        if self._raises_in == place:
            raise KeyError(f"broken in {place}")

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self._fail_in("reset")
        return self._first, {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self._fail_in("step")
        self._steps += 1
        is_faulty = self._steps >= self._from_step
        observation, reward = (self._second, self._reward) if is_faulty else (ZEROS, 0.0)
        returned: Any = (observation, reward, False, False, {})[5 - self._values :]
        return returned


TEXT, SEQUENCE = spaces.Text(5), spaces.Sequence(BOX)
FAULTS: list[tuple[dict[str, Any], list[str]]] = [
    ({"raises_in": "make"}, ["cannot be made", "KeyError", "broken in make"]),
    ({"raises_in": "reset"}, ["fails at its first reset", "broken in reset", "check_env"]),
    ({"raises_in": "step"}, ["fails at its first step", "broken in step", "check_env"]),
    ({"first": np.zeros(3)}, ["first reset", "shape (3,)", "(2,)"]),
    ({"first": None}, ["first reset"]),
    ({"first": [[0.0], [0.0, 1.0]]}, ["first reset"]),
    ({"first": np.array([0.0, np.nan])}, ["first reset", "observation", "not finite", "nan"]),
    ({"second": np.zeros((2, 2, 2))[..., 0, :1]}, ["first step", "shape (2, 1)"]),
    ({"second": np.array([np.inf, 0.0])}, ["first step", "observation", "not finite", "inf"]),
    ({"reward": np.nan}, ["first step", "true reward", "not finite"]),
    ({"reward": -np.inf}, ["first step", "true reward", "not finite"]),
    ({"reward": "much"}, ["first step", "much"]),
    ({"reward": [1.0, 2.0]}, ["first step"]),
    ({"reward": np.array([1.0])}, ["first step", "shape (1,)", "a single number is needed"]),
    ({"values": 4}, ["first step", "step returns 4 values, Gymnasium asks for 5"]),
    (
        {"observation_space": spaces.Discrete(3, start=2), "first": 2, "second": 5},
        ["first step", "the category 5 is out of the space's range, 2 to 4"],
    ),
    ({"observation_space": spaces.Discrete(3), "first": -1}, ["first reset", "the category -1", "0 to 2"]),
    (
        {
            "observation_space": spaces.Dict(a=spaces.Discrete(2), b=BOX),
            "first": {"a": 2, "b": ZEROS},
        },
        ["first reset", "the category 2", "0 to 1"],
    ),
    ({"second": np.array([0.0, np.nan]), "from_step": 15}, ["first steps (15)", "not finite"]),
    ({"observation_space": TEXT}, ["Text", "no fixed-size array", "use Box"]),
    ({"observation_space": SEQUENCE}, ["Sequence", "no fixed-size array"]),
    ({"action_space": TEXT}, ["Text", "no fixed-size array"]),
    ({"observation_space": spaces.Dict(a=BOX, b=TEXT)}, ["Text", "no fixed-size array"]),
    ({"observation_space": spaces.Tuple((BOX, SEQUENCE))}, ["Sequence", "no fixed-size array"]),
    ({"action_space": spaces.Dict(a=BOX)}, ["ppo needs Box or Discrete", "Dict"]),
    (
        {"observation_space": spaces.Tuple((BOX, BOX)), "first": (ZEROS,) * 2, "second": (ZEROS,) * 2},
        ["ppo", "Tuple"],
    ),
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("faults", "said"), FAULTS)
def test_train_refuses_before_anything_is_created(
    prefrl: Callable[..., Any],
    nothing_starts: None,
    register: Callable[[Callable[..., gym.Env]], str],
    tmp_path: Path,
    faults: dict[str, Any],
    said: list[str],
) -> None:
    env_id = register(lambda: FaultyEnv(**faults))
    prefrl("train", "--env", env_id, "--run", tmp_path / "run").refuses(*said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"second": np.array([np.nan, 0.0])}, r"observation of environment \d is not finite at step"),
        ({"second": np.array([0.0, -np.inf])}, r"observation of environment \d is not finite at step"),
        ({"reward": np.nan}, r"true reward of environment \d is not finite at step"),
        ({"reward": np.inf}, r"true reward of environment \d is not finite at step"),
    ],
)
@pytest.mark.filterwarnings("ignore:You are using a CUDA:UserWarning")
def test_a_later_environment_failure_names_the_step(
    tmp_path: Path, faults: dict[str, Any], said: str
) -> None:
    loop = PreferenceCallback(run=tmp_path / "run", labels=4)
    venv = DummyVecEnv([lambda: gym.wrappers.TimeLimit(FaultyEnv(from_step=40, **faults), 500)] * 2)
    model = A2C("MlpPolicy", loop.wrap(venv), device="cpu")
    with pytest.raises(ValueError, match=said):
        model.learn(2_000, callback=loop)


@pytest.mark.parametrize("space", [TEXT, SEQUENCE, spaces.Graph(BOX, None)])
def test_the_callback_refuses_spaces_without_arrays(space: spaces.Space) -> None:
    with pytest.raises(ValueError, match="no fixed-size array; use Box"):
        SpaceSpec.of(space)


@pytest.mark.parametrize("venv", [None, gym.make("Pendulum-v1"), "Pendulum-v1"])
def test_the_callback_wraps_only_vector_environments(venv: Any) -> None:
    with pytest.raises((ValueError, AttributeError), match="VecEnv is needed"):
        PreferenceCallback().wrap(venv)


def test_a_reward_for_other_observations_is_refused(trained: Any) -> None:
    from prefrl import LearnedReward

    venv = DummyVecEnv([FaultyEnv])
    with pytest.raises(ValueError, match=r"observation_spec .* the environment has"):
        RewardVecEnv(venv, LearnedReward.load(trained.path))
