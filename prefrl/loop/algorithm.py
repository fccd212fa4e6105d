"""What the loop knows of an agent's algorithm, whoever implements it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gymnasium import spaces

from prefrl.config.registry import import_named

__all__ = ["AlgorithmSpec"]


@dataclass(frozen=True)
class AlgorithmSpec:
    """One algorithm: the class that implements it, and the runs it can take part in.

    The class is named, not imported, so that an algorithm can be listed without the packages it needs.
    """

    name: str
    """value of ``agent.algorithm``"""
    model_class: str
    """``module:Class`` of the Stable-Baselines3 algorithm"""
    on_policy: bool
    """True when it learns from each rollout once, False when it keeps a replay buffer"""
    action_spaces: tuple[str, ...] = ()
    """names of the `gymnasium.spaces` classes it takes; none named means that the class itself decides"""
    for_texts: bool = False
    """True when observations must be a `prefrl_envs.text.TextSpace`"""
    can_overlap: bool = False
    """True when it can act for the next rollout while it learns from the last one"""
    policy: str | None = None
    """the policy that ``agent.policy="auto"`` means; None chooses by the observations"""

    def load_class(self) -> type[Any]:
        """Import the class; raises ValueError when a package it needs is missing."""
        return import_named(self.model_class, "algorithm")

    def takes_actions(self, space: spaces.Space[Any]) -> bool:
        """Whether the algorithm can act in an environment with this action space."""
        return not self.action_spaces or isinstance(
            space, tuple(getattr(spaces, name) for name in self.action_spaces)
        )
