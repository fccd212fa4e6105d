"""Many copies of a game in ale-py's own threads, several times faster than one process each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

from prefrl_envs.atari import FRAMES_A_STEP, MOST_NOOPS, SIDE_PIXELS, STACK, Area, find_game, hide

__all__ = ["GameScreens", "make_atari_vector"]

SCREEN_PIXELS = 210, 160
"""height and width of the consoles' picture"""
_MOST_FRAMES_AN_EPISODE = 108_000
"""half an hour of play, ale-py's own limit"""


def make_atari_vector(
    game: str, num_envs: int = 1, noop_max: int = MOST_NOOPS, hide_score: bool = True, num_threads: int = 0
) -> VectorEnv[Any, Any, Any]:
    """``num_envs`` games side by side; the same observations for the same actions as `make_atari`.

    Rewards are the game's own, float32. Where an episode ends the next begins within the same step, and
    ``info["final_obs"]`` (N, 4, 84, 84) holds the last observation of those marked in ``info["_final_obs"]``.
    ``info["lives"]`` (N,) counts lives left.

    Args:
        game: one of `prefrl_envs.atari.GAMES`.
        num_envs: N.
        noop_max: most no-ops at the start of a game.
        hide_score: False shows the whole screen.
        num_threads: that step the games; 0 is one for each core, and no more than there are games.

    Raises:
        ValueError: when there is no such game.
    """
    settings = find_game(game)

    def emulators(num_envs: int, **picture: Any) -> VectorEnv[Any, Any, Any]:
        from ale_py.vector_env import AtariVectorEnv

        return AtariVectorEnv(
            settings.rom,
            num_envs,
            num_threads=min(num_threads, num_envs),
            max_num_frames_per_episode=_MOST_FRAMES_AN_EPISODE,
            repeat_action_probability=0.0,
            autoreset_mode=AutoresetMode.SAME_STEP,
            frameskip=FRAMES_A_STEP,
            # ale-py draws the number of no-ops from 0 to one less than its limit.
            noop_max=noop_max + 1 if noop_max else 0,
            reward_clipping=False,
            use_fire_reset=True,
            **picture,
        )

    games = emulators(num_envs, img_height=SIDE_PIXELS, img_width=SIDE_PIXELS, stack_num=STACK)
    return GameScreens(games, settings.hidden if hide_score else (), emulators)


class GameScreens(VectorWrapper[Any, Any, Any]):
    """Mends ale-py's observations: areas blacked out, and no black frames where a game starts.

    Those would be the mark of an episode's end, like nothing else on the screen, to agent and learned reward alike.
    Rewards become float32, and ``info["_final_obs"]`` says which final observations count.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        areas: tuple[Area, ...],
        make_emulators: Callable[..., VectorEnv[Any, Any, Any]],
    ) -> None:
        super().__init__(env)
        self._areas, self._make_emulators = areas, make_emulators
        self._steps = np.zeros(env.num_envs, dtype=int)
        """of each game"""

    def make_screens(self, num_envs: int) -> VectorEnv[Any, Any, Any]:
        """The first so many games for people to look at.

        Given the seeds and actions of these games, the twin plays the same, and observes (num_envs, 1, 210, 160, 3)
        uint8: the screen in colour, the score on it, each pixel the brighter of a step's last two frames.
        """
        height, width = SCREEN_PIXELS
        return self._make_emulators(
            num_envs, img_height=height, img_width=width, stack_num=1, grayscale=False
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start all games."""
        observations, info = self.env.reset(seed=seed, options=options)
        self._steps[:] = 0
        return self._mend(observations), info

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step all games; ``actions`` has shape (N,)."""
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        self._steps += 1
        if "final_obs" in info:
            info["_final_obs"] = terminated | truncated
            self._mend(info["final_obs"])
        self._steps[terminated | truncated] = 0
        return self._mend(observations), rewards.astype(np.float32), terminated, truncated, info

    def _mend(self, observations: np.ndarray) -> np.ndarray:
        """In place: areas hidden, and frames from before the game's first replaced by that."""
        for steps in range(STACK - 1):
            first = STACK - 1 - steps
            games = np.flatnonzero(self._steps == steps)
            observations[games, :first] = observations[games, first][:, None]
        return hide(observations, self._areas)
