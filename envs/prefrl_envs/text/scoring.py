"""Calls of reward functions, whose results are checked: users write them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prefrl_envs.text.task import RewardFunction

__all__ = ["score_texts"]


def score_texts(reward: RewardFunction, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
    """The rewards of B texts from one call, shape (B,) float64.

    Raises:
        ValueError: when the function raises, or gives other than B finite numbers.
    """
    first = f"prompt {prompts[0]!r} and response {responses[0]!r}"
    texts = first if len(prompts) == 1 else f"{len(prompts)} texts, the first of them {first}"
    try:
        given = reward(prompts, responses)
    except Exception as error:
        raise ValueError(
            f"the reward function raised {type(error).__name__}: {error}; for {texts}"
        ) from error
    try:
        rewards = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the reward function gave {given!r}, which are no numbers; for {texts}") from error
    if rewards.shape != (len(prompts),):
        raise ValueError(
            f"the reward function gave {given!r}, of shape {rewards.shape}, where one number a text is needed, shape "
            f"({len(prompts)},); for {texts}"
        )
    if not np.isfinite(rewards).all():
        index = int(np.argmin(np.isfinite(rewards)))
        raise ValueError(
            f"the reward function gave {rewards[index]}, where a finite number is needed, for prompt "
            f"{prompts[index]!r} and response {responses[index]!r}"
        )
    return rewards
