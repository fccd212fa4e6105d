"""Settings that are not JSON, written as JSON: tuples, classes by name, schedules, numbers that are not finite.

Nothing here runs code from a file. Reading the name of a class imports its module, which must be one of ours, of
Stable-Baselines3 or of torch, unless the user trusts the file.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import BaseBuffer
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import ConstantSchedule, FloatSchedule
from torch import nn

from prefrl.config.registry import import_named, names_a_module
from prefrl.storage.errors import RunDirError
from prefrl_agents.hyperparameters import read_schedule, write_schedule

__all__ = ["NotPlainError", "check_trusted", "from_plain", "read_class", "to_plain", "write_class"]

_TRUSTED_PACKAGES = ("prefrl_agents", "stable_baselines3", "sb3_contrib", "torch.nn", "torch.optim")
_CLASSES = (nn.Module, torch.optim.Optimizer, BaseBuffer, BasePolicy)
"""what a class named in a file must derive from: a name must not make us call any function there is"""
_TAGS = ("tuple", "class", "schedule", "float")


class NotPlainError(ValueError):
    """A value has no JSON form: a function, or an object that only Python knows."""


def to_plain(value: Any, name: str) -> Any:
    """The JSON form of a value.

    Args:
        value: None, a number, a string, a class, a schedule, or lists, tuples and dicts of them.
        name: of the setting, for messages.

    Raises:
        NotPlainError: when there is none.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [to_plain(each, name) for each in value]
    if isinstance(value, tuple):
        return {"tuple": [to_plain(each, name) for each in value]}
    if isinstance(value, dict):
        return _plain_dict(value, name)
    if inspect.isclass(value):
        return {"class": write_class(value, name)}
    return _plain_schedule(value, name)


def from_plain(value: Any, trust: bool, file: str) -> Any:
    """Inverse of `to_plain`.

    Args:
        value: as read from JSON.
        trust: whether modules outside ours, Stable-Baselines3 and torch may be imported.
        file: where the value was read, for messages.

    Raises:
        RunDirError: when it names a class that may not be loaded.
        ValueError: when it is not what `to_plain` gives.
    """
    if isinstance(value, list):
        return [from_plain(each, trust, file) for each in value]
    if not isinstance(value, dict):
        return value
    tag = next(iter(value)) if len(value) == 1 else None
    if tag == "tuple":
        return tuple(from_plain(each, trust, file) for each in value[tag])
    if tag == "class":
        return read_class(value[tag], trust, file)
    if tag == "schedule":
        return read_schedule(value[tag])
    if tag == "float":
        return float(value[tag])
    return {key: from_plain(each, trust, file) for key, each in value.items()}


def write_class(found: type[Any], name: str) -> str:
    """The ``module:Class`` that imports this class; NotPlainError when none does."""
    reference = f"{found.__module__}:{found.__qualname__}"
    try:
        is_found = names_a_module(reference) and import_named(reference, name) is found
    except ValueError:
        is_found = False
    if not is_found or found.__module__ == "__main__":
        raise NotPlainError(f"{name} is the class {reference}, which cannot be imported by that name")
    return reference


def read_class(reference: Any, trust: bool, file: str) -> type[Any]:
    """The class that ``module:Class`` names.

    Raises:
        RunDirError: when its module is not trusted, or it is no network, policy, optimiser or buffer.
    """
    check_trusted(reference, trust, file)
    try:
        found: Any = import_named(reference, "class")
    except ValueError as error:
        raise RunDirError(f"{file}: {error}") from error
    if not inspect.isclass(found) or not issubclass(found, _CLASSES):
        raise RunDirError(f"{file} names {reference}, which is no network, policy, optimiser or buffer class")
    return found


def check_trusted(reference: Any, trust: bool, file: str) -> None:
    """Refuse a ``module:Class`` whose import would run code that came with the file.

    Raises:
        RunDirError: when it is no such reference, or its module is not trusted.
    """
    if not isinstance(reference, str) or not names_a_module(reference):
        raise RunDirError(f"{file} names {reference!r}, which is no module:Class")
    module = reference.partition(":")[0]
    is_known = any(module == package or module.startswith(f"{package}.") for package in _TRUSTED_PACKAGES)
    if not (trust or is_known):
        raise RunDirError(
            f"{file} names {reference}: loading it runs the code of the module {module}, which is neither prefrl's "
            "nor Stable-Baselines3's nor torch's; if you trust it and whoever made this agent, pass --trust"
        )


def _plain_dict(value: dict[Any, Any], name: str) -> dict[str, Any]:
    if not all(isinstance(key, str) for key in value):
        raise NotPlainError(f"{name} has keys that are no strings: {list(value)}")
    if len(value) == 1 and next(iter(value)) in _TAGS:
        raise NotPlainError(f"{name} has the single key {next(iter(value))!r}, which is reserved")
    return {key: to_plain(each, f"{name}.{key}") for key, each in value.items()}


def _plain_schedule(value: Any, name: str) -> Any:
    if isinstance(value, FloatSchedule):
        return _plain_schedule(value.value_schedule, name)
    if isinstance(value, ConstantSchedule):
        return to_plain(value.val, name)
    text = write_schedule(value)
    if text is None:
        raise NotPlainError(f"{name} is {value!r}, which has no name to be found by")
    return {"schedule": text}
