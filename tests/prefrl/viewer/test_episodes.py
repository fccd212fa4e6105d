"""Running episodes with predicted rewards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from prefrl.data.spaces import SpaceSpec
from prefrl.recording.state_rendering import check_drawable
from prefrl.viewer.episodes import check_reward, run_episode


class Countdown(gym.Env[Any, Any]):
    """Ends after ``steps`` steps, with rewards 10, 11, ...; reuses one array for all observations."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi", "rgb_array"]}

    def __init__(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], steps: int = 3
    ) -> None:
        self.observation_space, self.action_space, self._steps = observation_space, action_space, steps
        self._clock = np.zeros(2, np.float32)
        self.frame = np.zeros((4, 4, 3), np.uint8)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._clock[:] = 0, seed or 0
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self._clock[0] += 1
        return self._observe(), 9.0 + float(self._clock[0]), bool(self._clock[0] == self._steps), False, {}

    def render(self) -> Any:
        self.frame = np.full_like(self.frame, self._clock[0])
        return self.frame

    def _observe(self) -> Any:
        if isinstance(self.observation_space, spaces.Box):
            return self._clock
        self.observation_space.seed(int(self._clock[0]))
        return self.observation_space.sample()


@dataclass
class RecordingReward:
    """A reward that keeps its inputs."""

    observation_spec: SpaceSpec
    action_spec: SpaceSpec
    inputs: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        self.inputs.append((observations.copy(), actions.copy()))
        return np.asarray(len(self.inputs) / 2, np.float32)


BOX = spaces.Box(-9, 9, (2,), np.float32)


def reward_of(env: gym.Env[Any, Any]) -> RecordingReward:
    return RecordingReward(SpaceSpec.of(env.observation_space), SpaceSpec.of(env.action_space))


def test_a_step_has_the_frame_and_observation_before_the_action() -> None:
    env = Countdown(BOX, spaces.Discrete(3))
    reward = reward_of(env)
    steps = list(run_episode(env, lambda observation: np.int64(2), reward, seed=7))
    assert [step.true_reward for step in steps] == [10.0, 11.0, 12.0]
    assert [step.predicted_reward for step in steps] == [0.5, 1.0, 1.5]
    assert [int(step.frame[0, 0, 0]) for step in steps] == [0, 1, 2]
    assert [observation.tolist() for observation, _ in reward.inputs] == [[0, 7], [1, 7], [2, 7]]
    assert [action.tolist() for _, action in reward.inputs] == [2, 2, 2]


def test_an_episode_can_be_limited() -> None:
    env = Countdown(BOX, spaces.Discrete(3))
    assert len(list(run_episode(env, lambda _: np.int64(0), reward_of(env), 0, max_steps=2))) == 2


@pytest.mark.parametrize(
    "observation_space",
    [
        spaces.Discrete(5),
        spaces.MultiDiscrete([3, 4]),
        spaces.MultiDiscrete([[3, 4], [2, 2]]),
        spaces.MultiBinary(3),
        spaces.Dict({"a": spaces.Discrete(3), "b": spaces.Box(0, 1, (2, 2), np.float32)}),
        spaces.Tuple((spaces.Discrete(3), spaces.MultiBinary(2))),
    ],
)
@pytest.mark.parametrize("action_space", [spaces.Discrete(2), spaces.Box(-1, 1, (2,), np.float32)])
def test_the_reward_gets_any_space_encoded(observation_space: Any, action_space: Any) -> None:
    env = Countdown(observation_space, action_space)
    reward = reward_of(env)
    seen: list[Any] = []

    def choose(observation: Any) -> Any:
        seen.append(observation)
        return action_space.sample()

    assert len(list(run_episode(env, choose, reward, seed=0))) == 3
    for (observation, action), original in zip(reward.inputs, seen, strict=True):
        assert observation.shape == reward.observation_spec.shape
        assert action.shape == reward.action_spec.shape
        np.testing.assert_array_equal(observation, reward.observation_spec.encode(original, ()))


@pytest.mark.parametrize("frame", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_frames_of_another_shape_or_dtype_are_refused(frame: np.ndarray) -> None:
    env = Countdown(BOX, spaces.Discrete(3))
    env.frame = frame
    with pytest.raises(ValueError, match="Countdown draws arrays of shape"):
        next(run_episode(env, lambda _: np.int64(0), reward_of(env), seed=0))


def test_an_environment_that_cannot_render_names_its_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    env = Countdown(BOX, spaces.Discrete(3))
    check_drawable(env)
    monkeypatch.setitem(Countdown.metadata, "render_modes", ["human", "ansi"])
    with pytest.raises(ValueError, match="the render modes human, ansi, and 'rgb_array' is needed"):
        check_drawable(env)
    monkeypatch.setitem(Countdown.metadata, "render_modes", [])
    with pytest.raises(ValueError, match="no render modes"):
        check_drawable(env)


def test_a_reward_of_other_spaces_is_refused() -> None:
    env = Countdown(BOX, spaces.Discrete(3))
    check_reward(env, reward_of(env))
    with pytest.raises(ValueError, match="learned with actions of"):
        check_reward(env, reward_of(Countdown(BOX, spaces.Discrete(4))))
