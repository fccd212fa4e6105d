"""The arguments of a Stable-Baselines3 algorithm from the plain values of a config, and back."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.utils import LinearSchedule
from torch import nn

from prefrl_agents.algorithms import find_algorithm

__all__ = ["algorithm_arguments", "constructor_arguments", "read_schedule", "write_schedule"]

_BY_NAME: dict[str, dict[str, type]] = {
    "activation_fn": {"relu": nn.ReLU, "tanh": nn.Tanh, "elu": nn.ELU, "leaky_relu": nn.LeakyReLU},
    "optimizer_class": {"adam": torch.optim.Adam, "rmsprop_tf_like": RMSpropTFLike},
}
"""policy arguments that are classes, and their names in a config"""
_GIVEN_ELSEWHERE = {"self", "policy", "env", "seed", "_init_setup_model"}
_SCHEDULED = ("learning_rate", "clip_range", "clip_range_vf")
"""arguments that may be schedules"""
_WARM_UP_SHARE = 0.05


def algorithm_arguments(algorithm: str, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Replace schedules (see `read_schedule`) and the names of activations and optimisers by the objects they name.

    Raises:
        ValueError: when the algorithm is unknown or has no such argument, or a schedule, activation or optimiser
            cannot be read.
    """
    known = constructor_arguments(find_algorithm(algorithm).load_class())
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


def constructor_arguments(algorithm: type[BaseAlgorithm]) -> set[str]:
    """Names of the hyperparameters that its constructor takes; ``**kwargs`` stands for those of its base class."""
    parameters = inspect.signature(algorithm.__init__).parameters
    named = {name for name, each in parameters.items() if each.kind != each.VAR_KEYWORD}
    if len(named) < len(parameters):
        named |= constructor_arguments(algorithm.__bases__[0])
    return named - _GIVEN_ELSEWHERE


def _class_of(argument: str, name: str) -> type:
    known = _BY_NAME[argument]
    if name not in known:
        raise ValueError(f"{argument} is {name!r}; it must be one of {sorted(known)}")
    return known[name]


@dataclass(frozen=True)
class WarmLinear:
    """A schedule that rises from 0 to its peak in the first twentieth of training, then falls linearly to its end."""

    peak: float
    end: float

    def __call__(self, progress_remaining: float) -> float:
        """The value when ``progress_remaining`` of training is left: 1 at its start, 0 at its end."""
        done = 1 - progress_remaining
        if done < _WARM_UP_SHARE:
            return self.peak * done / _WARM_UP_SHARE
        return self.end + (self.peak - self.end) * max(0.0, progress_remaining) / (1 - _WARM_UP_SHARE)


def read_schedule(text: str) -> Callable[[float], float]:
    """The schedule that a setting names.

    "lin_X" falls linearly from X to 0 over training, "lin_X_Y" from X to Y. "warm_X" and "warm_X_Y" first rise to X,
    see `WarmLinear`: Adam's first steps often ruin a language model.

    Raises:
        ValueError: when the text has another form.
    """
    prefix, *numbers = text.split("_")
    try:
        start, end = map(float, [*numbers, "0"][:2])
    except ValueError:
        start = end = math.nan
    is_known = prefix in ("lin", "warm") and len(numbers) <= 2
    if not (is_known and 0 < start < math.inf and 0 <= end < math.inf):
        raise ValueError(
            f'schedule {text!r} cannot be read; write a number, or "lin_" (or "warm_") and a number above 0, '
            'and "_" and the last number where it is not 0'
        )
    if prefix == "warm":
        return WarmLinear(start, end)
    # SB3's class keeps its last value past the end of training; a negative rate would unlearn.
    return LinearSchedule(start, end, 1.0)


def write_schedule(schedule: Any) -> str | None:
    """The text that `read_schedule` reads as this schedule; None when there is none."""
    if isinstance(schedule, WarmLinear):
        return f"warm_{schedule.peak!r}_{schedule.end!r}"
    if isinstance(schedule, LinearSchedule) and schedule.end_fraction == 1.0:
        return f"lin_{schedule.start!r}_{schedule.end!r}"
    return None
