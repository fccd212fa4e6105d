"""A penguin on a 4 x 4 sheet of ice: Markov process, reward process, decision process, or partly seen.

     1  2  3  4      Squares are numbered row by row. Fish live under squares 9 and 11, a seal lurks under
     5  6  7  8      7 and 13. They stay where they are: every step that begins on a square pays its
     9 10 11 12      reward, so the reward of a step is a function of the observation before it.
    13 14 15 16

So the tour 1, 2, 6, 10, 9, 10, 11, 15 pays 0, 0, 0, 0, 1, 0, 1, 0, and with gamma 0.9 its returns begin
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
    """The penguin in one of four modes; an episode starts on any square alike.

    - ``markov_process``: one action, "wait"; the penguin wanders to each neighbour alike; rewards are 0.
    - ``reward_process``: the same, with the rewards of fish and seals.
    - ``decision_process``: actions up, right, down, left; with probability ``slip`` the penguin slides to
      one of its neighbours, each alike, instead; a move off the ice stays put.
    - ``partially_observed``: the same, but it sees the 3 x 3 window around itself alone.

    The observation is the square's number less one (Discrete(16)), or for ``partially_observed`` the
    window, row by row (MultiDiscrete, 9 entries): 0 sea, 1 ice, 2 fish, 3 seal. Snow hides fish and seals
    except under the penguin's own feet, so squares 6 and 10 look alike, 2 and 3, 8 and 12, 14 and 15.

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
        wandering = _wandering()
        transitions = _slippery(wandering, slip) if mode in known[2:] else wandering[:, None]
        rewards = np.zeros(len(wandering)) if mode == "markov_process" else square_rewards()
        mdp = TabularMDP(transitions, rewards[:, None].repeat(transitions.shape[1], axis=1))
        super().__init__(mdp, np.full(len(wandering), 1.0 / len(wandering)), horizon_steps, render_mode)
        self.observation_space = (
            spaces.MultiDiscrete([4] * 9) if mode == "partially_observed" else spaces.Discrete(len(wandering))
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
        lurking = dict.fromkeys(FISH_SQUARES, sprites.fish) | dict.fromkeys(SEAL_SQUARES, sprites.seal)
        for square in range(1, ROWS * ROWS + 1):
            top, left = (TILE_PIXELS * part for part in divmod(square - 1, ROWS))
            drawing.draw_text(frame, str(square), top + 6, left + 6, (120, 150, 170))
            if self.mode != "markov_process" and square in lurking:
                drawing.paste(frame, lurking[square](TILE_PIXELS), top, left)
        return frame


def square_rewards() -> np.ndarray:
    """The reward of a step that begins on each square, shape (16,)."""
    rewards = np.zeros(ROWS * ROWS)
    rewards[np.subtract(FISH_SQUARES, 1)] = 1.0
    rewards[np.subtract(SEAL_SQUARES, 1)] = -1.0
    return rewards


def _wandering() -> np.ndarray:
    """Equal probability over the allowed moves, shape (16, 16): 1/2 in a corner, 1/3 at an edge, else 1/4."""
    reached = successors(np.ones((ROWS, ROWS), dtype=bool))
    counts = deterministic(reached).sum(axis=1)
    np.fill_diagonal(counts, 0.0)
    return counts / counts.sum(axis=1, keepdims=True)


def _slippery(wandering: np.ndarray, slip: float) -> np.ndarray:
    """The chosen move, or with probability ``slip`` a wandering one, shape (16, 4, 16)."""
    reached = successors(np.ones((ROWS, ROWS), dtype=bool))
    return (1.0 - slip) * deterministic(reached) + slip * wandering[:, None]
