"""Scripted rewards score what they document, and nothing else."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import prefrl_envs


def make(env_id: str, **kwargs: Any) -> Any:
    needed = {"prefrl/PendulumSpin-v0": "gymnasium", "prefrl/EnduroLevel-v0": "ale_py"}.get(env_id, "mujoco")
    pytest.importorskip(needed, reason=f"needs {needed}")
    return gym.make(env_id, **kwargs)


@pytest.mark.slow
@pytest.mark.parametrize("env_id", prefrl_envs.BEHAVIOUR_IDS)
@pytest.mark.filterwarnings("ignore:.*WARN.*:UserWarning")
def test_passes_gymnasiums_checker(env_id: str) -> None:
    env = make(env_id)
    check_env(env.unwrapped, skip_render_check=True)
    steps, is_over = 0, False
    env.reset(seed=0)
    env.action_space.seed(0)
    while not is_over:
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert np.isfinite(reward)
        steps, is_over = steps + 1, terminated or truncated
    # By the clock; a day of Enduro begins after up to 30 frames of nothing.
    assert steps in ((200, 500) if env_id != "prefrl/EnduroLevel-v0" else range(3300, 3360))


def test_spin_rewards_speed_and_direction() -> None:
    env = make("prefrl/PendulumSpin-v0")
    env.reset(seed=0)
    for speed in (4.0, -4.0):
        env.unwrapped.state = np.array([0.0, speed])
        observation, reward, *_ = env.step(np.zeros(1, np.float32))
        assert reward == observation[2] / 8
        assert np.sign(reward) == np.sign(speed)


def backflip_score(turn_rad: float, height: float) -> tuple[float, dict[str, Any]]:
    """Score of a step in which the torso turns backwards by this angle at this height."""
    env = make("prefrl/HopperBackflip-v0")
    inner = env.unwrapped
    env.reset(seed=0)

    def turn(action: Any) -> tuple[Any, ...]:
        positions = inner.data.qpos.copy()
        positions[1], positions[2] = height, positions[2] - turn_rad
        inner.set_state(positions, inner.data.qvel)
        return np.zeros(11), 0.0, False, False, {}

    inner.step = turn
    _, reward, _, _, info = env.step(np.zeros(3))
    return float(reward), info


def test_backflip_rewards_turning_backwards_in_the_air() -> None:
    assert backflip_score(0.5, height=3.0)[0] == pytest.approx(0.5 + 0.02)
    assert backflip_score(-0.5, height=3.0)[0] == pytest.approx(-0.5 + 0.02)


def test_backflip_rewards_only_height_on_the_ground() -> None:
    lying, standing = (backflip_score(0.05, height)[0] for height in (0.3, 1.2))
    assert 0 < lying < standing <= 0.02


def test_full_backward_turns_in_the_air_count_as_flips() -> None:
    assert backflip_score(13.0, height=3.0)[1]["flips"] == 2
    assert backflip_score(-13.0, height=3.0)[1]["flips"] == 0
    assert backflip_score(13.0, height=0.1)[1]["flips"] == 0


@pytest.mark.parametrize(
    ("foot_height", "pitch", "speed", "score"),
    [
        (0.8, 0.0, 2.0, 1.6667),
        (0.4, 0.0, 2.0, 1.1667),
        (0.2, 0.0, 2.0, 0.6667),
        (0.05, 0.0, 2.0, 0.6667),
        (0.8, 3.0, 2.0, 0),
        (0.8, 0.0, -1.0, 0.6667),
        (0.8, 0.0, 9.0, 2),
    ],
)
def test_one_leg_rewards_speed_and_a_high_front_foot(
    foot_height: float, pitch: float, speed: float, score: float
) -> None:
    env = make("prefrl/CheetahOneLeg-v0")
    inner = env.unwrapped
    env.reset(seed=0)

    def hold(action: Any) -> tuple[Any, ...]:
        inner.data.qpos[2] = pitch
        inner.data.geom("ffoot").xpos[2] = foot_height
        return np.zeros(17), 0.0, False, False, {"x_velocity": speed}

    inner.step = hold
    assert float(env.step(np.zeros(6))[1]) == pytest.approx(score, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("daytime", ["day", "night"])
def test_level_rewards_driving_beside_another_car(daytime: str) -> None:
    env = make("prefrl/EnduroLevel-v0")
    env.reset(seed=0)
    console = env.unwrapped.ale
    scores, is_near = [], []
    for step in range(700 if daytime == "day" else 2800):
        speed, wanted = int(console.getRAM()[22]), (60, 12, 24, 30, 20)[step // 40 % 5]
        score = env.step(1 if speed < wanted - 1 else 4 if speed > wanted + 1 else 0)[1]
        if daytime == "day" or step >= 2100:
            scores.append(score)
            # Memory holds the cars on the road from the nearest to the farthest, in seven places.
            is_near.append(bool(console.getRAM()[27:29].any()))
    assert set(scores) == {0.0, 1.0}
    assert 0.1 < np.mean(scores) < 0.4
    near, far = (
        np.mean([s for s, n in zip(scores, is_near, strict=True) if n == there]) for there in (True, False)
    )
    assert far < 0.01 < 0.2 < near
