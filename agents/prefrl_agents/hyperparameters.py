"""From a config's plain values to the arguments of an SB3 algorithm."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

__all__ = ["ALGORITHMS", "algorithm_arguments", "linear_schedule"]

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {"ppo": PPO, "a2c": A2C, "dqn": DQN, "sac": SAC}

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "elu": nn.ELU, "leaky_relu": nn.LeakyReLU}
_SCHEDULED = ("learning_rate", "clip_range", "clip_range_vf")


def algorithm_arguments(algorithm: str, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Read "lin_X" as a linear decay from X to 0, and activations by name.

    Raises:
        ValueError: when the algorithm has no such argument, or a schedule cannot be read.
    """
    known = set(inspect.signature(ALGORITHMS[algorithm].__init__).parameters) - {"self", "policy", "env", "_init_setup_model"}
    unknown = sorted(set(hyperparameters) - known)
    if unknown:
        raise ValueError(f"{algorithm} has no hyperparameters {unknown}; it knows {sorted(known)}")
    arguments = dict(hyperparameters)
    for name in _SCHEDULED:
        if isinstance(arguments.get(name), str):
            arguments[name] = linear_schedule(arguments[name])
    policy = dict(arguments.get("policy_kwargs") or {})
    if isinstance(policy.get("activation_fn"), str):
        policy["activation_fn"] = _ACTIVATIONS[policy["activation_fn"]]
    if policy:
        arguments["policy_kwargs"] = policy
    return arguments


def linear_schedule(text: str) -> Callable[[float], float]:
    """The schedule "lin_X": X at the start, falling linearly to 0 at the end of training."""
    prefix, _, number = text.partition("_")
    try:
        start = float(number)
    except ValueError:
        start = float("nan")
    if prefix != "lin" or not start > 0:
        raise ValueError(f'schedule {text!r} cannot be read; write a number, or "lin_" and a number above 0')
    return lambda progress_remaining: progress_remaining * start
