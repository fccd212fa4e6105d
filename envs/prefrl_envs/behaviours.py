"""Behaviours that no environment rewards, each with a scripted reward that stands in for a person.

A scripted reward scores the behaviour from the simulator's state or the screen, and replaces the environment's own
reward. A synthetic oracle judges by it, so that learning the behaviour can be measured without a person, who would be
shown the same clips.

Backflip, one leg and driving level with other cars are the novel behaviours of Christiano et al. 2017, section 3.2. In
the paper they were taught by people only; the scripted rewards are ours.
"""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np

from prefrl_envs.atari import make_atari

__all__ = [
    "Backflip",
    "Level",
    "OneLeg",
    "Spin",
    "make_backflip",
    "make_level",
    "make_one_leg",
    "make_spin",
]

Step = tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]

FULL_TURN = 2 * np.pi
_STANDING_HEIGHT_M = 1.25
"""height of a standing hopper's torso"""
_UPRIGHT_BONUS = 0.02
"""score, in radians, of a step with the torso at that height"""
_GALLOP_FOOT_M, _LIFTED_FOOT_M = 0.2, 0.6
"""heights of a cheetah's front foot: the maximum in a gallop, and that of a leg held up"""
_FULL_SPEED_M_PER_S = 3.0
_CAR_ROWS = slice(139, 149)
"""rows of Enduro's screen, 210 high, that show the upper half of the agent's car"""
_MARGIN_PIXELS = 8
"""width of the black margin at the left of the screen"""
_MIN_CONTRAST, _MIN_COLOUR = 60, 25
"""thresholds: difference from the ground, summed over three channels of 0 to 255, and highest minus lowest channel"""
_MIN_CAR_PIXELS = 8
"""minimum number of pixels of a car, of which only the lights may be visible"""


class ScriptedReward(gym.Wrapper[Any, Any, Any, Any]):
    """Replaces the reward by a scripted score. Episodes end only at the time limit."""

    def step(self, action: Any) -> Step:
        """Take a step; its reward is the scripted score."""
        observation, _, terminated, truncated, info = self.env.step(action)
        return observation, self._score(observation, info), terminated, truncated, info

    def _score(self, observation: Any, info: dict[str, Any]) -> float:
        """Score of the step just taken."""
        raise NotImplementedError


class Spin(ScriptedReward):
    """A pendulum that spins counter-clockwise, the faster the better."""

    def _score(self, observation: Any, info: dict[str, Any]) -> float:
        # Angular velocity, of 8 rad/s at most.
        return float(observation[2]) / 8.0


class Backflip(ScriptedReward):
    """A hopper that does backflips.

    The score of a step is how far the hopper turned backwards, in radians, while no part of it touched the ground. So
    the clip with more of a flip wins, and rolling on the ground scores nothing. A small bonus for a high torso makes
    landing on the foot better than lying down. ``info["flips"]`` counts the full turns in the air within the episode.
    """

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._angle, self._turned = self._pitch(), 0.0
        return observation, info | {"flips": 0}

    def _score(self, observation: Any, info: dict[str, Any]) -> float:
        previous_angle, self._angle = self._angle, self._pitch()
        data = self._data()
        turn = previous_angle - self._angle if data.ncon == 0 else 0.0
        self._turned += turn
        info["flips"] = max(0, int(self._turned / FULL_TURN))
        return float(turn) + _UPRIGHT_BONUS * float(np.clip(data.qpos[1] / _STANDING_HEIGHT_M, 0.0, 1.0))

    def _pitch(self) -> float:
        """Angle of the torso in radians, increasing forwards; it counts whole turns."""
        return float(self._data().qpos[2])

    def _data(self) -> Any:
        return self.env.unwrapped.data  # type: ignore[attr-defined]  # MujocoEnv's own


class OneLeg(ScriptedReward):
    """A cheetah that runs forward on its back leg, with the front foot held high.

    The score is the forward speed divided by 3 metres per second, clipped to [-1, 1], plus the height of the front
    foot, from 0 at 0.2 m, the maximum in a gallop, to 1 at 0.6 m. It is 0 while the cheetah lies on its back.
    """

    def _score(self, observation: Any, info: dict[str, Any]) -> float:
        data = self.env.unwrapped.data  # type: ignore[attr-defined]  # MujocoEnv's own
        height = float(data.geom("ffoot").xpos[2])
        lifted = float(np.clip((height - _GALLOP_FOOT_M) / (_LIFTED_FOOT_M - _GALLOP_FOOT_M), 0.0, 1.0))
        is_upright = abs(float(data.qpos[2])) < np.pi / 2
        speed = float(np.clip(info["x_velocity"], -_FULL_SPEED_M_PER_S, _FULL_SPEED_M_PER_S))
        # A sum, as people give credit for either: a product would be 0 until the agent does both.
        return is_upright * (lifted + speed / _FULL_SPEED_M_PER_S)


class Level(ScriptedReward):
    """A car in Enduro that stays level with other cars: 1 for a step in which a car is visible beside it, else 0.

    Cars are recognised by their colours, at night by their lights; the agent's car and the road are always grey.
    """

    def _score(self, observation: Any, info: dict[str, Any]) -> float:
        screen = self.env.unwrapped.ale.getScreenRGB()  # type: ignore[attr-defined]  # ale-py's own
        rows = screen[_CAR_ROWS, _MARGIN_PIXELS:].astype(int)
        ground = np.median(rows, axis=1, keepdims=True)
        is_other = np.abs(rows - ground).sum(axis=2) > _MIN_CONTRAST
        is_coloured = np.ptp(rows, axis=2) > _MIN_COLOUR
        return float(np.count_nonzero(is_other & is_coloured) >= _MIN_CAR_PIXELS)


def make_spin(render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Make Pendulum-v1 with the reward `Spin`."""
    return Spin(gym.make("Pendulum-v1", render_mode=render_mode, disable_env_checker=True))


def make_backflip(render_mode: str | None = None, frame_skip: int = 8, **kwargs: Any) -> gym.Env[Any, Any]:
    """Make Hopper-v5 with the reward `Backflip`: falls do not end episodes, and a step is 16 ms, twice Hopper's own."""
    env = gym.make(
        "Hopper-v5",
        render_mode=render_mode,
        frame_skip=frame_skip,
        terminate_when_unhealthy=False,
        max_episode_steps=500,
        camera_name="track",
        disable_env_checker=True,
        **kwargs,
    )
    return Backflip(env)


def make_one_leg(render_mode: str | None = None, **kwargs: Any) -> gym.Env[Any, Any]:
    """Make HalfCheetah-v5 with the reward `OneLeg`, in episodes of 500 steps (25 s)."""
    env = gym.make(
        "HalfCheetah-v5",
        render_mode=render_mode,
        max_episode_steps=500,
        camera_name="track",
        disable_env_checker=True,
        **kwargs,
    )
    return OneLeg(env)


def make_level(render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Make Enduro, with its score hidden and the reward `Level`."""
    return Level(make_atari("Enduro", render_mode=render_mode))
