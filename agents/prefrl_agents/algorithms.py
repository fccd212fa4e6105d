"""The algorithms an agent can have: a row each, and any other Stable-Baselines3 algorithm as ``module:Class``."""

from __future__ import annotations

import inspect
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from prefrl.config.registry import Registry
from prefrl.loop.algorithm import AlgorithmSpec

__all__ = ["ALGORITHMS", "algorithm_name", "find_algorithm"]

_ANY_ACTIONS = ("Box", "Discrete", "MultiDiscrete", "MultiBinary")
_TEXT_POLICY = "LanguageModelPolicy"
_ROWS = (
    AlgorithmSpec("ppo", "stable_baselines3.ppo.ppo:PPO", True, _ANY_ACTIONS, can_overlap=True),
    AlgorithmSpec("a2c", "stable_baselines3.a2c.a2c:A2C", True, _ANY_ACTIONS, can_overlap=True),
    AlgorithmSpec("dqn", "stable_baselines3.dqn.dqn:DQN", False, ("Discrete",)),
    AlgorithmSpec("sac", "stable_baselines3.sac.sac:SAC", False, ("Box",)),
    AlgorithmSpec(
        "token_ppo",
        "prefrl_agents.text.token_ppo:TokenPPO",
        True,
        ("Discrete",),
        for_texts=True,
        policy=_TEXT_POLICY,
    ),
    AlgorithmSpec(
        "online_dpo",
        "prefrl_agents.text.online_dpo:OnlineDPO",
        True,
        ("Discrete",),
        for_texts=True,
        policy=_TEXT_POLICY,
    ),
)
"""to add an algorithm, add a row; the class is named where it is defined, so that `algorithm_name` finds the row"""

ALGORITHMS: Registry[AlgorithmSpec | type[Any]] = Registry("algorithm", {row.name: row for row in _ROWS})
"""by the value of ``agent.algorithm``"""


def find_algorithm(name: str) -> AlgorithmSpec:
    """The algorithm of that name, or the one that ``module:Class`` imports.

    Raises:
        ValueError: when there is none, or the class is no Stable-Baselines3 algorithm with a buffer to label.
    """
    found = ALGORITHMS.find(name)
    return found if isinstance(found, AlgorithmSpec) else _spec_of(name, found)


def algorithm_name(model_class: type[BaseAlgorithm]) -> str:
    """The name that `find_algorithm` finds this class by: a row's, else ``module:Class``."""
    reference = f"{model_class.__module__}:{model_class.__qualname__}"
    return next((row.name for row in _ROWS if row.model_class == reference), reference)


def _spec_of(name: str, found: Any) -> AlgorithmSpec:
    if not inspect.isclass(found) or not issubclass(found, BaseAlgorithm):
        raise ValueError(f"algorithm {name!r} is not a Stable-Baselines3 algorithm class but {found!r}")
    if not issubclass(found, (OnPolicyAlgorithm, OffPolicyAlgorithm)):
        raise ValueError(
            f"algorithm {name!r} has no rollout or replay buffer, so nothing can be labelled; choose an on-policy or "
            "off-policy algorithm"
        )
    policy = _TEXT_POLICY if _TEXT_POLICY in found.policy_aliases else None
    return AlgorithmSpec(
        name, name, issubclass(found, OnPolicyAlgorithm), for_texts=policy is not None, policy=policy
    )
