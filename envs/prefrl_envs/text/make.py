"""Entry points of Gymnasium's registry: the environments of the tasks that ship with the package."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from prefrl_envs.text.arithmetic import Arithmetic
from prefrl_envs.text.capital import CapitalOfFrance
from prefrl_envs.text.prompts import Prompts
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
    "Prompts": Prompts,
}


def make_text_env(
    task: str, reward: RewardFunction | str | None = None, render_mode: str | None = None, **settings: Any
) -> TextGenEnv:
    """The environment of one of `TASKS`.

    Args:
        task: its name.
        reward: replaces the task's reward; a function, or "package.module:function".
        render_mode: see `TextGenEnv`.
        settings: arguments of the task.

    Raises:
        ValueError: when the function cannot be imported.
    """
    return TextGenEnv(TASKS[task](**settings), _function(reward), render_mode)


def make_text_vector_env(
    task: str,
    num_envs: int = 1,
    responses_per_prompt: int = 1,
    reward: RewardFunction | str | None = None,
    **settings: Any,
) -> TextGenVectorEnv:
    """``num_envs`` rows of one of `TASKS`; see `make_text_env` and `TextGenVectorEnv`."""
    return TextGenVectorEnv(TASKS[task](**settings), num_envs, responses_per_prompt, _function(reward))


def _function(reward: RewardFunction | str | None) -> RewardFunction | None:
    if not isinstance(reward, str):
        return reward
    module, _, attribute = reward.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"reward is {reward!r}, and cannot be imported ({error}); write package.module:function"
        ) from error
    if not callable(function):
        raise ValueError(f"reward is {reward!r}, which is a {type(function).__name__} and not a function")
    return function
