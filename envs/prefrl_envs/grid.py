"""Tables of moves on a grid of squares."""

from __future__ import annotations

import numpy as np

__all__ = ["DOWN", "LEFT", "RIGHT", "UP", "deterministic", "successors"]

UP, RIGHT, DOWN, LEFT = range(4)
OFFSETS = ((-1, 0), (0, 1), (1, 0), (0, -1))


def successors(is_open: np.ndarray) -> np.ndarray:
    """Next state of each move, shape (S, 4); a move off the grid or into a closed square has no effect.

    Args:
        is_open: shape (rows, columns) bool; the S open squares are numbered row by row.
    """
    numbers = np.full(np.add(is_open.shape, 2), -1)
    numbers[1:-1, 1:-1][is_open] = np.arange(is_open.sum())
    squares = np.argwhere(is_open) + 1
    reached = np.stack([numbers[tuple((squares + offset).T)] for offset in OFFSETS], axis=1)
    return np.where(reached < 0, np.arange(len(squares))[:, None], reached)


def deterministic(reached: np.ndarray) -> np.ndarray:
    """Transition tensor (S, A, S) of deterministic moves to the states ``reached`` (S, A)."""
    return np.eye(len(reached))[reached]
