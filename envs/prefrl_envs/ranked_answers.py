"""A question with five ready answers, which people have ranked 3 > 1 > 2 > 5 >> 4.

Each step is an independent round: the question is asked and an answer is chosen. It is the smallest task that is
learned from rankings, and a miniature of learning with a language model: prompt, answer, reward.
"""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from prefrl_envs import drawing
from prefrl_envs.base import Info, TabularEnv
from prefrl_envs.tabular import TabularMDP

__all__ = ["ANSWERS", "QUESTION", "RANKS", "REWARDS", "RankedAnswers"]

QUESTION = "What is the capital of France?"
ANSWERS = (
    "Paris.",
    "It is Paris, or so I think.",
    "The capital of France is Paris.",
    "Lyon, as any child could tell.",
    "France is a country in Europe.",
)
"""answers 1 to 5; action a gives ``ANSWERS[a]``"""
RANKS = (2, 3, 1, 5, 4)
"""rank of each answer, 1 is the best"""
REWARDS = (0.75, 0.5, 1.0, -2.0, 0.25)
"""true reward of each answer, in the order of the ranks; answer 4 is far behind, because it is wrong and rude"""

LINE_PIXELS = 28
FRAME_SHAPE = (LINE_PIXELS * 7, 300, 3)


class RankedAnswers(TabularEnv[np.int64]):
    """Choose one of the five answers (Discrete(5)) in each step; the only observation is 0 (Discrete(1))."""

    def __init__(self, horizon_steps: int = 10, render_mode: str | None = None) -> None:
        mdp = TabularMDP(np.ones((1, len(ANSWERS), 1)), np.array([REWARDS]))
        super().__init__(mdp, np.ones(1), horizon_steps, render_mode)
        self.observation_space = spaces.Discrete(1)
        self._answer: int | None = None

    @staticmethod
    def segment_text(observations: np.ndarray, actions: np.ndarray) -> tuple[str, str]:
        """Prompt and response of a segment's last round, for people to read."""
        return QUESTION, ANSWERS[int(actions[-1])]

    def _begin(self, options: Info) -> Info:
        self._answer = None
        return super()._begin(options)

    def _advance(self, action: int) -> tuple[float, Info]:
        self._answer = action
        return super()._advance(action)

    def _observe(self) -> np.int64:
        return np.int64(0)

    def _draw(self) -> np.ndarray:
        frame = np.full(FRAME_SHAPE, drawing.WHITE, dtype=np.uint8)
        frame[: LINE_PIXELS + 8] = drawing.BLUE
        drawing.draw_text(frame, QUESTION, top=13, left=14, colour=drawing.WHITE)
        for index, answer in enumerate(ANSWERS):
            top = LINE_PIXELS * (index + 1) + 18
            is_given = index == self._answer
            frame[top : top + LINE_PIXELS - 4, 8:-8] = drawing.YELLOW if is_given else (228, 230, 234)
            colour = drawing.BLACK if is_given else (110, 114, 122)
            drawing.draw_text(frame, f"{index + 1} {answer}", top=top + 7, left=14, colour=colour)
        return frame
