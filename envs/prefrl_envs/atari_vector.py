"""Many copies of an Atari game stepped in ale-py's own threads, several times faster than one process per game."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

from prefrl_envs.atari import FRAMES_PER_STEP, MAX_NOOPS, SIDE_PIXELS, STACK, Area, find_game, hide

__all__ = ["GameScreens", "make_atari_vector"]

SCREEN_PIXELS = 210, 160
"""height and width of the console's screen"""
_MAX_EPISODE_FRAMES = 108_000
"""half an hour of play, ale-py's own limit"""


def make_atari_vector(
    game: str, num_envs: int = 1, noop_max: int = MAX_NOOPS, hide_score: bool = True, num_threads: int = 0
) -> VectorEnv[Any, Any, Any]:
    """Make ``num_envs`` copies of a game, with the same observations for the same actions as `make_atari`.

    Rewards are the game's own, float32. When an episode ends, the next begins within the same step, and
    ``info["final_obs"]`` (N, 4, 84, 84) holds the last observation of the games marked in ``info["_final_obs"]``.
    ``info["lives"]`` (N,) is the number of lives left.

    Args:
        game: one of `prefrl_envs.atari.GAMES`.
        num_envs: number of copies, N.
        noop_max: maximum number of no-ops at the start of a game.
        hide_score: False shows the whole screen.
        num_threads: number of threads that step the games, at most one per game; 0 uses one per core.

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
            max_num_frames_per_episode=_MAX_EPISODE_FRAMES,
            repeat_action_probability=0.0,
            autoreset_mode=AutoresetMode.SAME_STEP,
            frameskip=FRAMES_PER_STEP,
            # ale-py draws the number of no-ops from 0 to its limit minus 1.
            noop_max=noop_max + 1 if noop_max else 0,
            reward_clipping=False,
            use_fire_reset=True,
            **picture,
        )

    games = emulators(num_envs, img_height=SIDE_PIXELS, img_width=SIDE_PIXELS, stack_num=STACK)
    return GameScreens(games, settings.hidden if hide_score else (), emulators)


class GameScreens(VectorWrapper[Any, Any, Any]):
    """Corrects ale-py's observations: hides areas, and replaces the black frames at the start of a game.

    Black frames would show agent and learned reward that an episode has ended. Rewards become float32, and
    ``info["_final_obs"]`` marks which final observations are valid.
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
        """steps each game has taken since its start"""

    def make_screens(self, num_envs: int) -> VectorEnv[Any, Any, Any]:
        """Make copies of the first ``num_envs`` games that show the full screen, for people to look at.

        With the same seeds and actions they play the same games. They observe (num_envs, 1, 210, 160, 3) uint8: the
        screen in colour, with the score, where each pixel is the maximum of a step's last two frames.
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
        return self._fix_observations(observations), info

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step all games; ``actions`` has shape (N,)."""
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        self._steps += 1
        if "final_obs" in info:
            info["_final_obs"] = terminated | truncated
            self._fix_observations(info["final_obs"])
        self._steps[terminated | truncated] = 0
        return self._fix_observations(observations), rewards.astype(np.float32), terminated, truncated, info

    def _fix_observations(self, observations: np.ndarray) -> np.ndarray:
        """Hide areas, and replace the frames before a game's first frame by that frame, in place."""
        for steps in range(STACK - 1):
            first = STACK - 1 - steps
            games = np.flatnonzero(self._steps == steps)
            observations[games, :first] = observations[games, first][:, None]
        return hide(observations, self._areas)
