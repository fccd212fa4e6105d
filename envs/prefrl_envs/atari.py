"""The Atari games of Christiano et al. 2017, with the score hidden on the screen.

Preprocessing is that of Mnih et al. 2015 as used in the paper (appendix A.2): up to 30 no-ops at the start, each action
repeated for 4 frames, the maximum of the last two frames, 84 x 84 grey pixels, and a stack of the last 4. A game starts
with its first frame 4 times, after one press of FIRE if the game has that button. There are no sticky actions.

One environment step is always 4 frames of the game.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

__all__ = [
    "FRAMES_PER_STEP",
    "GAMES",
    "MAX_NOOPS",
    "SIDE_PIXELS",
    "STACK",
    "Area",
    "Game",
    "HideAreas",
    "hide",
    "make_atari",
]

FRAMES_PER_STEP = 4
FRAMES_PER_SECOND = 60
STACK = 4
SIDE_PIXELS = 84
MAX_NOOPS = 30


@dataclass(frozen=True)
class Area:
    """A rectangle of the 84 x 84 screen; by default it spans the whole width."""

    top: int
    """first row"""
    bottom: int
    """row after the last"""
    left: int = 0
    """first column"""
    right: int = SIDE_PIXELS
    """column after the last"""


@dataclass(frozen=True)
class Game:
    """A game, and the areas of its screen that show the score."""

    rom: str
    """name of the game in ale-py"""
    hidden: tuple[Area, ...]
    """areas that are blacked out: score, counters and lives"""


# A row here is 2.5 rows of the game's own 210; all rows that contain any part of the named things are hidden.
GAMES: dict[str, Game] = {
    # score, sector and count of enemy ships, but not the torpedoes to their right; ships left at the bottom
    "BeamRider": Game("beam_rider", (Area(0, 16, right=67), Area(73, 84))),
    # score, lives and player number
    "Breakout": Game("breakout", (Area(0, 6),)),
    # odometer (the paper's speedometer), day and cars to pass
    "Enduro": Game("enduro", (Area(64, 84),)),
    "Pong": Game("pong", (Area(0, 9),)),
    # score and lives
    "Qbert": Game("qbert", (Area(0, 11),)),
    # score and lives
    "Seaquest": Game("seaquest", (Area(0, 12),)),
    "SpaceInvaders": Game("space_invaders", (Area(0, 9),)),
}
"""the games by the name in their environment id, ``prefrl/Pong-v0``"""


def hide(frames: np.ndarray, areas: tuple[Area, ...]) -> np.ndarray:
    """Black out areas of ``frames`` (..., 84, 84), in place."""
    for area in areas:
        frames[..., area.top : area.bottom, area.left : area.right] = 0
    return frames


class HideAreas(gym.ObservationWrapper[Any, Any, Any], RecordConstructorArgs):
    """Blacks out areas of observations (..., 84, 84)."""

    def __init__(self, env: gym.Env[Any, Any], areas: tuple[Area, ...]) -> None:
        RecordConstructorArgs.__init__(self, areas=areas)
        gym.ObservationWrapper.__init__(self, env)
        self._areas = areas

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """A copy without the areas."""
        return hide(observation.copy(), self._areas)


class FireAtStart(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Presses FIRE for one frame when a game starts; in some games nothing moves before that."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        meanings = env.unwrapped.get_action_meanings()  # type: ignore[attr-defined]  # ale-py's own
        self._fire = meanings.index("FIRE") if "FIRE" in meanings else None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start a game."""
        observation, info = self.env.reset(seed=seed, options=options)
        if self._fire is not None:
            observation, _, _, _, info = self.env.step(self._fire)
        return observation, info


def make_atari(
    game: str, noop_max: int = MAX_NOOPS, hide_score: bool = True, render_mode: str | None = None
) -> gym.Env[Any, Any]:
    """Make a game as a single environment: observations (4, 84, 84) uint8, the oldest frame first.

    `prefrl_envs.atari_vector.make_atari_vector` gives the same observations for many games. It is several times faster,
    but cannot render.

    Args:
        game: one of `GAMES`.
        noop_max: maximum number of no-ops at the start.
        hide_score: False shows the whole screen.
        render_mode: "rgb_array" or "human".

    Raises:
        ValueError: when there is no such game.
    """
    import ale_py

    settings = find_game(game)
    gym.register_envs(ale_py)
    # Otherwise it prints a banner to standard error for each game.
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    emulator = gym.make(
        f"ALE/{game}-v5",
        frameskip=1,
        repeat_action_probability=0.0,
        render_mode=render_mode,
        disable_env_checker=True,
    )
    frames = AtariPreprocessing(FireAtStart(emulator), noop_max=noop_max, frame_skip=FRAMES_PER_STEP)
    stacked = FrameStackObservation(frames, STACK, padding_type="reset")
    env = HideAreas(stacked, settings.hidden if hide_score else ())
    # Rendered once per step, the game runs at its normal speed.
    env.metadata = {**env.metadata, "render_fps": FRAMES_PER_SECOND // FRAMES_PER_STEP}
    return env


def find_game(name: str) -> Game:
    """The game with this name; raises ValueError with the known names if there is none."""
    if name not in GAMES:
        raise ValueError(f"no game is called {name!r}; there are {', '.join(GAMES)}")
    return GAMES[name]
