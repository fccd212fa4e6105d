"""Keyboard controls for playing environments."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import prefrl_envs
from prefrl.presets import PRESETS
from prefrl.viewer.controls import find_controls

LIMITS = np.array([1, 2, 3], np.float32)


class Space(gym.Env[Any, Any]):
    def __init__(self, action_space: gym.Space[Any]) -> None:
        self.action_space = action_space


@pytest.mark.parametrize(
    ("env_id", "held", "action"),
    [
        ("CartPole-v1", {"right"}, 1),
        ("MountainCar-v0", set(), 1),
        ("prefrl/PenguinIce-v0", {"down"}, 2),
        ("prefrl/MovingDot-v0", {"down"}, 3),
        ("prefrl/MovingDot-v0", {"x"}, 0),
        ("prefrl/RankedAnswers-v0", {"3"}, 2),
    ],
)
def test_keys_give_their_actions(env_id: str, held: set[str], action: int) -> None:
    assert prefrl_envs
    assert find_controls(gym.make(env_id)).action(held) == action


def test_keys_held_together_combine() -> None:
    pytest.importorskip("ale_py", reason="the games need the atari extra")
    env: Any = gym.make("prefrl/Pong-v0")
    controls, meanings = find_controls(env), env.unwrapped.get_action_meanings()
    found = {
        keys: meanings[controls.action(set(keys.split()))]
        for keys in ("", "up", "left", "space", "space right", "space up x")
    }
    assert found == {
        "": "NOOP",
        "up": "RIGHT",
        "left": "LEFT",
        "space": "FIRE",
        "space right": "RIGHTFIRE",
        "space up x": "RIGHTFIRE",
    }
    assert controls.legend == "arrows, space"


def test_each_joint_has_two_keys() -> None:
    controls = find_controls(Space(gym.spaces.Box(-LIMITS, LIMITS)))
    assert controls.action(set()).tolist() == [0, 0, 0]
    assert controls.action({"a", "c"}).tolist() == [1, 0, -3]
    assert controls.action({"z", "s", "d"}).tolist() == [-1, 2, 3]
    assert find_controls(Space(gym.spaces.Box(-2, 2, (1,)))).action({"left"}).tolist() == [-2]


@pytest.mark.parametrize(
    "space", [gym.spaces.Discrete(30), gym.spaces.Box(-1, 1, (17,)), gym.spaces.MultiBinary(3)]
)
def test_unsupported_action_spaces_are_refused(space: gym.Space[Any]) -> None:
    with pytest.raises(ValueError, match="no keys are known"):
        find_controls(Space(space))


# Text environments cannot be played.
@pytest.mark.parametrize(
    "name", [name for name in PRESETS if not name.endswith("-fast") and not name.startswith("text-")]
)
def test_every_preset_s_environment_can_be_played(name: str) -> None:
    config = PRESETS[name].config.env
    try:
        env = gym.make(config.id, **config.kwargs)
    except ModuleNotFoundError:
        pytest.skip("its extra is not installed")
    controls = find_controls(env)
    assert all(env.action_space.contains(action) for action in [controls.idle, *controls.keys.values()])
    env.close()
