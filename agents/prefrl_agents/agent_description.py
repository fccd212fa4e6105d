"""A Stable-Baselines3 agent described by names and plain values, and built from such a description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from prefrl.storage.errors import RunDirError
from prefrl_agents.algorithms import ALGORITHMS, algorithm_name, find_algorithm
from prefrl_agents.hyperparameters import constructor_arguments
from prefrl_agents.plain_values import (
    NotPlainError,
    check_trusted,
    from_plain,
    read_class,
    to_plain,
    write_class,
)
from prefrl_agents.space_json import space_from_json, space_to_json

__all__ = ["build_described", "describe", "trusted_architecture"]

_NOT_NEEDED_TO_ACT = {
    "policy_kwargs",
    "device",
    "tensorboard_log",
    "verbose",
    "stats_window_size",
    "train_freq",
    "action_noise",
    "replay_buffer_class",
    "replay_buffer_kwargs",
    "rollout_buffer_class",
    "rollout_buffer_kwargs",
    "optimize_memory_usage",
}
"""constructor arguments that are described elsewhere, or only matter to learning"""
_RUNS_CODE = (
    "auto_map",
    "attn_implementation",
    "_attn_implementation",
    "experts_implementation",
    "_experts_implementation",
    "quantization_config",
)
"""settings of a `transformers` configuration by which it loads code from a checkpoint or from the hub"""


def describe(model: BaseAlgorithm) -> dict[str, Any]:
    """What `build_described` needs, JSON-ready.

    Where a part has no JSON form (a lambda in ``policy_kwargs``), ``rebuildable`` is False and ``reason`` says what.
    """
    described: dict[str, Any] = {
        "algorithm": algorithm_name(type(model)),
        "policy": _policy_name(model),
        "num_envs": int(model.n_envs),
    }
    try:
        write_class(type(model), "the algorithm")
        if described["policy"] is None:
            described["policy"] = write_class(model.policy_class, "the policy")
        described |= {
            "policy_kwargs": to_plain(model.policy_kwargs, "policy_kwargs"),
            "arguments": _plain_arguments(model),
            "observation_space": space_to_json(model.observation_space),
            "action_space": space_to_json(model.action_space),
            "rebuildable": True,
        }
    except ValueError as error:
        described |= {"rebuildable": False, "reason": str(error)}
    return described


def build_described(described: Mapping[str, Any], trust: bool, file: str) -> BaseAlgorithm:
    """The agent that `describe` described, with new weights and without an environment.

    Args:
        described: as read from ``file``.
        trust: whether modules outside ours, Stable-Baselines3 and torch may be imported.
        file: for messages.

    Raises:
        RunDirError: when it was not described whole, or names code that is not trusted.
        Exception: what a constructor raises when given other arguments than it was described with.
    """
    if not described.get("rebuildable"):
        raise RunDirError(
            f"{file}: the agent can only be rebuilt by the script that made it ({described.get('reason')})"
        )
    name = described["algorithm"]
    if name not in ALGORITHMS:
        check_trusted(name, trust, file)
    model_class = find_algorithm(name).load_class()
    policy = described["policy"]
    if policy not in model_class.policy_aliases:
        policy = read_class(policy, trust, file)
    known = constructor_arguments(model_class) - _NOT_NEEDED_TO_ACT
    arguments = from_plain(described["arguments"], trust, file)
    # As Stable-Baselines3 does when it loads a model: an environment is not needed to make its networks.
    model: Any = model_class(
        policy,
        None,
        _init_setup_model=False,
        **{name: value for name, value in arguments.items() if name in known},
    )
    model.policy_kwargs = from_plain(trusted_architecture(described["policy_kwargs"]), trust, file)
    model.observation_space = space_from_json(described["observation_space"])
    model.action_space = space_from_json(described["action_space"])
    model.n_envs = int(described["num_envs"])
    _set_up(model)
    return model


def _set_up(model: Any) -> None:
    """Make networks and optimisers, and the smallest replay buffer there can be: acting stores nothing."""
    buffer_size = getattr(model, "buffer_size", None)
    if buffer_size is not None:
        model.buffer_size = model.n_envs
    model._setup_model()
    if buffer_size is not None:
        model.buffer_size = buffer_size  # as it was described: the model may be exported


def trusted_architecture(policy_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The ``policy_kwargs`` of a description, without what would make a language model load code from elsewhere.

    Raises:
        RunDirError: when the language model is named by a path or a hub name instead of being described.
    """
    model = policy_kwargs.get("model")
    if model is None:
        return dict(policy_kwargs)
    if not isinstance(model, Mapping):
        raise RunDirError(f"a saved language model is described by its configuration, not by {model!r}")
    return {**policy_kwargs, "model": {key: value for key, value in model.items() if key not in _RUNS_CODE}}


def _policy_name(model: BaseAlgorithm) -> str | None:
    """The algorithm's own short name of the policy, "MlpPolicy" say."""
    aliases: Mapping[str, type[BasePolicy]] = model.policy_aliases
    return next((name for name, found in aliases.items() if found is model.policy_class), None)


def _plain_arguments(model: BaseAlgorithm) -> dict[str, Any]:
    """The constructor's arguments that the model keeps under the same name, as far as they are plain values."""
    plain = {}
    for name in sorted(constructor_arguments(type(model)) - _NOT_NEEDED_TO_ACT):
        if hasattr(model, name):
            try:
                plain[name] = to_plain(getattr(model, name), name)
            except NotPlainError:
                # A schedule of the user's own, say: the constructor's default does to act.
                continue
    return plain
