"""A penguin on a 4 x 4 sheet of ice: Markov process, reward process, decision process, or partially observed.

     1  2  3  4      Squares are numbered row by row. There are fish under squares 9 and 11, and seals under
     5  6  7  8      7 and 13. They never move: each step that begins on a square pays its reward, so the
     9 10 11 12      reward of a step is a function of the observation before it.
    13 14 15 16

For example, the tour 1, 2, 6, 10, 9, 10, 11, 15 pays 0, 0, 0, 0, 1, 0, 1, 0; with gamma 0.9 its first returns are
G_1 = 0.9^4 + 0.9^6 = 1.1875, G_2 = 1.3195, G_3 = 1.4661.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import numpy as np
from gymnasium import spaces

from prefrl_envs import drawing, sprites
from prefrl_envs.base import TabularEnv
from prefrl_envs.grid import deterministic, successors
from prefrl_envs.tabular import TabularMDP

__all__ = ["FISH_SQUARES", "ROWS", "SEAL_SQUARES", "Mode", "PenguinIce"]

Mode = Literal["markov_process", "reward_process", "decision_process", "partially_observed"]

ROWS = 4
FISH_SQUARES = (9, 11)
SEAL_SQUARES = (7, 13)
SEA, ICE, FISH, SEAL = range(4)
TILE_PIXELS = 64


class PenguinIce(TabularEnv[Any]):
    """A penguin finds fish on slippery ice, in one of four modes; an episode starts on a square chosen uniformly.

    - ``markov_process``: one action, "wait"; the penguin moves to a neighbour chosen uniformly; rewards are 0.
    - ``reward_process``: the same, with rewards: +1 on fish, -1 on seals.
    - ``decision_process``: actions up, right, down, left; with probability ``slip`` the penguin slides to a neighbour
      chosen uniformly instead; a move off the ice has no effect.
    - ``partially_observed``: the same, but the penguin sees only the 3 x 3 window around itself.

    The observation is the square's number minus one (Discrete(16)), or for ``partially_observed`` the window, row by
    row (MultiDiscrete, 9 entries): 0 sea, 1 ice, 2 fish, 3 seal. Snow hides fish and seals except under the penguin
    itself, so these squares look the same: 6 and 10, 2 and 3, 8 and 12, 14 and 15.

    Raises:
        ValueError: when the mode is unknown or ``slip`` is outside [0, 1].
    """

    def __init__(
        self,
        mode: Mode = "decision_process",
        slip: float = 0.2,
        horizon_steps: int = 40,
        render_mode: str | None = None,
    ) -> None:
        known = ("markov_process", "reward_process", "decision_process", "partially_observed")
        if mode not in known:
            raise ValueError(f"mode is {mode!r}; it must be one of {known}")
        if not 0.0 <= slip <= 1.0:
            raise ValueError(f"slip is {slip}; as a probability it must lie in [0, 1]")
        self.mode = mode
        random_walk = _random_walk()
        transitions = _slippery(random_walk, slip) if mode in known[2:] else random_walk[:, None]
        rewards = np.zeros(len(random_walk)) if mode == "markov_process" else square_rewards()
        mdp = TabularMDP(transitions, rewards[:, None].repeat(transitions.shape[1], axis=1))
        super().__init__(mdp, np.full(len(random_walk), 1.0 / len(random_walk)), horizon_steps, render_mode)
        self.observation_space = (
            spaces.MultiDiscrete([4] * 9)
            if mode == "partially_observed"
            else spaces.Discrete(len(random_walk))
        )

    def window(self, state: int) -> np.ndarray:
        """What the penguin sees around ``state`` in mode ``partially_observed``, shape (9,) int64."""
        ice = np.pad(np.full((ROWS, ROWS), ICE), 1, constant_values=SEA)
        row, column = divmod(state, ROWS)
        seen = ice[row : row + 3, column : column + 3].flatten()
        seen[4] = FISH if state + 1 in FISH_SQUARES else SEAL if state + 1 in SEAL_SQUARES else ICE
        return seen

    def _observe(self) -> Any:
        return self.window(self._state) if self.mode == "partially_observed" else np.int64(self._state)

    def _draw(self) -> np.ndarray:
        frame = self._background.copy()
        row, column = divmod(self._state, ROWS)
        if self.mode == "partially_observed":
            seen = np.zeros((ROWS, ROWS), dtype=bool)
            seen[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
            frame[~seen.repeat(TILE_PIXELS, axis=0).repeat(TILE_PIXELS, axis=1)] //= 2
        drawing.paste(frame, sprites.penguin(TILE_PIXELS), row * TILE_PIXELS, column * TILE_PIXELS)
        return frame

    @cached_property
    def _background(self) -> np.ndarray:
        canvas = drawing.Canvas(ROWS, ROWS, TILE_PIXELS)
        canvas.rectangle(0, 0, ROWS, ROWS, drawing.SKY)
        for row, column in np.ndindex(ROWS, ROWS):
            canvas.rectangle(row + 0.02, column + 0.02, row + 0.98, column + 0.98, (226, 240, 248))
        frame = canvas.frame()
        animals = dict.fromkeys(FISH_SQUARES, sprites.fish) | dict.fromkeys(SEAL_SQUARES, sprites.seal)
        for square in range(1, ROWS * ROWS + 1):
            top, left = (TILE_PIXELS * part for part in divmod(square - 1, ROWS))
            drawing.draw_text(frame, str(square), top + 6, left + 6, (120, 150, 170))
            if self.mode != "markov_process" and square in animals:
                drawing.paste(frame, animals[square](TILE_PIXELS), top, left)
        return frame


def square_rewards() -> np.ndarray:
    """The reward of a step that begins on each square, shape (16,)."""
    rewards = np.zeros(ROWS * ROWS)
    rewards[np.subtract(FISH_SQUARES, 1)] = 1.0
    rewards[np.subtract(SEAL_SQUARES, 1)] = -1.0
    return rewards


def _random_walk() -> np.ndarray:
    """Transitions (16, 16) of a random walk to neighbours: probability 1/2 in a corner, 1/3 at an edge, else 1/4."""
    reached = successors(np.ones((ROWS, ROWS), dtype=bool))
    counts = deterministic(reached).sum(axis=1)
    np.fill_diagonal(counts, 0.0)
    return counts / counts.sum(axis=1, keepdims=True)


def _slippery(random_walk: np.ndarray, slip: float) -> np.ndarray:
    """Transitions (16, 4, 16) of the chosen move, or with probability ``slip`` of the random walk."""
    reached = successors(np.ones((ROWS, ROWS), dtype=bool))
    return (1.0 - slip) * deterministic(reached) + slip * random_walk[:, None]
