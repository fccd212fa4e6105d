"""From a config's plain values to the arguments of an SB3 algorithm."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.utils import LinearSchedule
from torch import nn

__all__ = ["ALGORITHMS", "algorithm_arguments", "read_schedule"]

TEXT_ALGORITHMS = ("token_ppo", "online_dpo")
ALGORITHMS: dict[str, type[BaseAlgorithm]] = {"ppo": PPO, "a2c": A2C, "dqn": DQN, "sac": SAC}
"""SB3's own"""

_BY_NAME: dict[str, dict[str, type]] = {
    "activation_fn": {"relu": nn.ReLU, "tanh": nn.Tanh, "elu": nn.ELU, "leaky_relu": nn.LeakyReLU},
    "optimizer_class": {"adam": torch.optim.Adam, "rmsprop_tf_like": RMSpropTFLike},
}
"""policy arguments that are classes, and what they are called in a config"""
_GIVEN_ELSEWHERE = {"self", "policy", "env", "seed", "_init_setup_model"}
_SCHEDULED = ("learning_rate", "clip_range", "clip_range_vf")
"""arguments that may be functions of the training's progress"""
_WARM_UP_SHARE = 0.05


def algorithm_class(name: str) -> type[BaseAlgorithm]:
    """The algorithm of that name; raises ValueError when there is none."""
    if name in TEXT_ALGORITHMS:
        # Loaded late: not everybody has transformers.
        from prefrl_agents.text import OnlineDPO, TokenPPO

        return TokenPPO if name == "token_ppo" else OnlineDPO
    if name not in ALGORITHMS:
        raise ValueError(
            f"algorithm is {name!r}; it must be one of {sorted([*ALGORITHMS, *TEXT_ALGORITHMS])}"
        )
    return ALGORITHMS[name]


def algorithm_arguments(algorithm: str, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Read "lin_X" as a linear decay from X to 0, "lin_X_Y" to Y, "warm_X" likewise, and classes by name.

    Raises:
        ValueError: when the algorithm is unknown or has no such argument, or a schedule, activation or optimiser
            cannot be read.
    """
    known = _parameters(algorithm_class(algorithm)) - _GIVEN_ELSEWHERE
    unknown = sorted(set(hyperparameters) - known)
    if unknown:
        raise ValueError(f"{algorithm} has no hyperparameters {unknown}; it knows {sorted(known)}")
    arguments = dict(hyperparameters)
    for name in _SCHEDULED:
        if isinstance(arguments.get(name), str):
            arguments[name] = read_schedule(arguments[name])
    policy = dict(arguments.get("policy_kwargs") or {})
    for name in _BY_NAME.keys() & policy.keys():
        policy[name] = _class_of(name, policy[name])
    if policy:
        arguments["policy_kwargs"] = policy
    return arguments


def _parameters(algorithm: type[BaseAlgorithm]) -> set[str]:
    """Names of its arguments; those it hands on are its base's."""
    parameters = inspect.signature(algorithm.__init__).parameters
    named = {name for name, each in parameters.items() if each.kind != each.VAR_KEYWORD}
    base = algorithm.__bases__[0]
    return named if len(named) == len(parameters) else named | _parameters(base)


def _class_of(argument: str, name: str) -> type:
    known = _BY_NAME[argument]
    if name not in known:
        raise ValueError(f"{argument} is {name!r}; it must be one of {sorted(known)}")
    return known[name]


@dataclass(frozen=True)
class WarmLinear:
    """A schedule that rises from 0 to its peak in the first twentieth of training, and falls linearly to its end."""

    peak: float
    end: float

    def __call__(self, progress_remaining: float) -> float:
        """The value where so much of training is left, 1 at first."""
        done = 1 - progress_remaining
        if done < _WARM_UP_SHARE:
            return self.peak * done / _WARM_UP_SHARE
        return self.end + (self.peak - self.end) * max(0.0, progress_remaining) / (1 - _WARM_UP_SHARE)


def read_schedule(text: str) -> Callable[[float], float]:
    """The schedule "lin_X", X at the start, falling linearly to 0 at the end of training; "lin_X_Y" falls to Y.

    "warm_X" and "warm_X_Y" rise to X first, as `WarmLinear`: language models are often ruined by Adam's first steps.
    """
    prefix, *numbers = text.split("_")
    try:
        start, end = map(float, [*numbers, "0"][:2])
    except ValueError:
        start = end = math.nan
    if (
        prefix not in ("lin", "warm")
        or len(numbers) > 2
        or not (0 < start < math.inf and 0 <= end < math.inf)
    ):
        raise ValueError(
            f'schedule {text!r} cannot be read; write a number, or "lin_" (or "warm_") and a number above 0, '
            'and "_" and the last number where it is not 0'
        )
    if prefix == "warm":
        return WarmLinear(start, end)
    # SB3's own stays at its last value where the last rollout goes past the end; negative rates would unlearn.
    return LinearSchedule(start, end, 1.0)
