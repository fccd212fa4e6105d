"""Behaviours that no environment pays for, each with a judge that stands in for a person.

A judge is a program that scores the behaviour from the simulator's state or the screen. Its score takes the place of
the environment's own reward: what a synthetic oracle judges by, so that the whole way from clips to behaviour can be
measured without a person, who would be shown the same clips.

Backflip, one leg and level with other cars are the novel behaviours of Christiano et al. 2017, section 3.2; the paper's
were taught by a person alone, and these judges are ours.
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
_STANDING_METRES = 1.25
"""height of a standing hopper's torso"""
_UPRIGHT = 0.02
"""radians that a step with the torso up there is worth"""
_SWUNG_METRES, _LIFTED_METRES = 0.2, 0.6
"""heights of a cheetah's front foot: the highest in a gallop, and that of a leg held up"""
_FULL_SPEED = 3.0
"""metres a second"""
_BESIDE = slice(139, 149)
"""rows of Enduro's screen, 210 high, where the upper half of the agent's car is"""
_MARGIN_PIXELS = 8
"""black, at the left of the screen"""
_CONTRAST, _COLOUR = 60, 25
"""least difference from the ground, over three channels of 0 to 255, and of the highest channel from the lowest"""
_LIGHTS_PIXELS = 8
"""fewest of a car's, when its lights are all that is seen of it"""


class ScriptedReward(gym.Wrapper[Any, Any, Any, Any]):
    """Puts a judge's score in the reward's place. Episodes end by the clock alone."""

    def step(self, action: Any) -> Step:
        """Take a step; its reward is the judge's score of it."""
        observation, _, terminated, truncated, info = self.env.step(action)
        return observation, self._score(observation, info), terminated, truncated, info

    def _score(self, observation: Any, info: dict[str, Any]) -> float:
        """Of the step just taken."""
        raise NotImplementedError


class Spin(ScriptedReward):
    """A pendulum that goes round and round counter-clockwise, the faster the better."""

    def _score(self, observation: Any, info: dict[str, Any]) -> float:
        # Angular velocity, of 8 rad/s at most.
        return float(observation[2]) / 8.0


class Backflip(ScriptedReward):
    """A hopper that jumps and turns over backwards in the air.

    The score of a step is how far it turned backwards, in radians, while nothing of it touched the ground; so that of
    two clips the one with more of a flip wins, and rolling about on the ground wins nothing. A little is added for
    holding the torso high, by which landing on the foot beats lying down. ``info["flips"]`` counts the full turns made
    in the air within the episode.
    """

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._angle, self._turned = self._pitch(), 0.0
        return observation, info | {"flips": 0}

    def _score(self, observation: Any, info: dict[str, Any]) -> float:
        before, self._angle = self._angle, self._pitch()
        data = self._data()
        turn = before - self._angle if data.ncon == 0 else 0.0
        self._turned += turn
        info["flips"] = max(0, int(self._turned / FULL_TURN))
        return float(turn) + _UPRIGHT * float(np.clip(data.qpos[1] / _STANDING_METRES, 0.0, 1.0))

    def _pitch(self) -> float:
        """Angle of the torso, radians, growing forwards; it counts whole turns."""
        return float(self._data().qpos[2])

    def _data(self) -> Any:
        return self.env.unwrapped.data  # type: ignore[attr-defined]  # MujocoEnv's own


class OneLeg(ScriptedReward):
    """A cheetah that runs forward on its back leg, the front foot held high.

    The score is the step's speed forward, as a share of 3 metres a second and within them, plus how high the front foot
    is: from nothing at 0.2 m, where a gallop swings it, to 1 at 0.6 m; and nothing while the cheetah lies on its back.
    """

    def _score(self, observation: Any, info: dict[str, Any]) -> float:
        data = self.env.unwrapped.data  # type: ignore[attr-defined]  # MujocoEnv's own
        height = float(data.geom("ffoot").xpos[2])
        lifted = float(np.clip((height - _SWUNG_METRES) / (_LIFTED_METRES - _SWUNG_METRES), 0.0, 1.0))
        is_upright = abs(float(data.qpos[2])) < np.pi / 2
        # Their sum, as people give credit for either: of a product, nothing is to be seen before both are there.
        return is_upright * (
            lifted + float(np.clip(info["x_velocity"], -_FULL_SPEED, _FULL_SPEED)) / _FULL_SPEED
        )


class Level(ScriptedReward):
    """A car in Enduro that stays level with another one: 1 for a step in which one is to be seen beside it, else 0.

    Cars are told by their colours on the whole screen, by night by their lights; the agent's car and the road are
    grey in any weather.
    """

    def _score(self, observation: Any, info: dict[str, Any]) -> float:
        screen = self.env.unwrapped.ale.getScreenRGB()  # type: ignore[attr-defined]  # ale-py's own
        rows = screen[_BESIDE, _MARGIN_PIXELS:].astype(int)
        ground = np.median(rows, axis=1, keepdims=True)
        is_other = np.abs(rows - ground).sum(axis=2) > _CONTRAST
        is_coloured = np.ptp(rows, axis=2) > _COLOUR
        return float(np.count_nonzero(is_other & is_coloured) >= _LIGHTS_PIXELS)


def make_spin(render_mode: str | None = None) -> gym.Env[Any, Any]:
    """Pendulum-v1 for `Spin`."""
    return Spin(gym.make("Pendulum-v1", render_mode=render_mode, disable_env_checker=True))


def make_backflip(render_mode: str | None = None, frame_skip: int = 8, **kwargs: Any) -> gym.Env[Any, Any]:
    """Hopper-v5 for `Backflip`: falling over ends nothing, and a step is twice as long as Hopper's own, 16 ms."""
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
    """HalfCheetah-v5 for `OneLeg`, in episodes of 500 steps, 25 s."""
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
    """Enduro without its score for `Level`."""
    return Level(make_atari("Enduro", render_mode=render_mode))
