"""The ready tasks by name, as Gymnasium's registry makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefrl_envs.text.arithmetic import Arithmetic
from prefrl_envs.text.capital import CapitalOfFrance
from prefrl_envs.text.random_walks import RandomWalks
from prefrl_envs.text.reviews import Reviews
from prefrl_envs.text.task import RewardFunction, TextTask
from prefrl_envs.text.text_gen import TextGenEnv
from prefrl_envs.text.text_vector import TextGenVectorEnv

__all__ = ["TASKS", "make_text_env", "make_text_vector_env"]

TASKS: dict[str, Callable[..., TextTask]] = {
    "RandomWalks": RandomWalks,
    "Reviews": Reviews,
    "Arithmetic": Arithmetic,
    "CapitalOfFrance": CapitalOfFrance,
}


def make_text_env(
    task: str, reward: RewardFunction | None = None, render_mode: str | None = None, **settings: Any
) -> TextGenEnv:
    """The environment of one of `TASKS`; ``settings`` are the task's own."""
    return TextGenEnv(TASKS[task](**settings), reward, render_mode)


def make_text_vector_env(
    task: str,
    num_envs: int = 1,
    responses_per_prompt: int = 1,
    reward: RewardFunction | None = None,
    **settings: Any,
) -> TextGenVectorEnv:
    """``num_envs`` rows of one of `TASKS`; ``settings`` are the task's own."""
    return TextGenVectorEnv(TASKS[task](**settings), num_envs, responses_per_prompt, reward)
