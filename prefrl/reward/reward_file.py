"""The file of a learned reward: safetensors and JSON, checked before anything is built from it.

A file may come from somebody else. Nothing in it is unpickled, imported or downloaded, and no more memory is
allocated than its tensors justify.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prefrl.config import RewardConfig, from_json, to_json
from prefrl.config.device import is_device_name
from prefrl.data.spaces import SpaceSpec
from prefrl.reward.networks import RewardNetwork, build_network, network_name
from prefrl.reward.tensor_files import RewardFileError, check_layout, read_tensors, write_tensors

__all__ = ["RewardContent", "read_reward", "write_reward"]

FORMAT = "prefrl-learned-reward"
NETWORK = "network."
"""prefix of the names of the network's tensors"""
WITHOUT_MEMORY = torch.device("meta")
"""where tensors have a shape and a dtype, and no content"""


@dataclass(frozen=True)
class RewardContent:
    """What a file of a learned reward holds."""

    network: RewardNetwork
    member_mean: Tensor
    """shape (E,) float32, mean of each member's step rewards"""
    member_std: Tensor
    """shape (E,) float32, their standard deviation"""
    version: int
    observation_spec: SpaceSpec
    action_spec: SpaceSpec
    config: RewardConfig


def write_reward(path: Path, content: RewardContent) -> None:
    """Write the file, all of it or none; raises OSError when it cannot be written."""
    tensors = {f"{NETWORK}{name}": tensor for name, tensor in content.network.state_dict().items()}
    tensors |= {"member_mean": content.member_mean, "member_std": content.member_std}
    header = {
        "version": content.version,
        "observation_spec": content.observation_spec.to_json(),
        "action_spec": content.action_spec.to_json(),
        "config": to_json(content.config),
        "architecture": content.network.architecture,
    }
    write_tensors(path, FORMAT, tensors, header)


def read_reward(path: Path) -> RewardContent:
    """Read what `write_reward` wrote, onto the CPU.

    Raises:
        RewardFileError: when the file is missing, damaged, of another kind or format version, or its header and its
            tensors do not describe one learned reward.
    """
    tensors, header = read_tensors(path, FORMAT)
    try:
        return _content(path, tensors, header)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise RewardFileError(f"{path} does not describe a learned reward ({error}); fit it anew") from error


def _content(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> RewardContent:
    version = header["version"]
    if type(version) is not int or version < 0:
        raise ValueError(f"version is {version!r}, a whole number from 0 is needed")
    specs = SpaceSpec.from_json(header["observation_spec"]), SpaceSpec.from_json(header["action_spec"])
    config = from_json(RewardConfig, header["config"], where=f"{path}: config")
    if not is_device_name(config.device):
        raise ValueError(f"config.device is {config.device!r}, which names no device")
    network = _network(tensors, specs, config, header.get("architecture"))
    statistics = {name: tensors[name] for name in ("member_mean", "member_std")}
    if not all(bool(values.isfinite().all()) for values in statistics.values()):
        raise ValueError("the statistics of its members are not finite")
    if not bool((statistics["member_std"] > 0).all()):
        raise ValueError("a member's standard deviation is not above 0")
    return RewardContent(
        network, **statistics, version=version, observation_spec=specs[0], action_spec=specs[1], config=config
    )


def _network(
    tensors: Mapping[str, Tensor],
    specs: tuple[SpaceSpec, SpaceSpec],
    config: RewardConfig,
    architecture: object,
) -> RewardNetwork:
    """The network of the file; built without memory first, to compare its tensors with those in the file."""
    _check_sizes(tensors, specs, config)
    checked = _without_code(architecture) if isinstance(architecture, Mapping) else None
    if network_name(specs[0], config) == "lm":
        if checked is None:
            # build_network would look for config.language_model on this machine, or download it.
            raise ValueError("it is a reward of texts without the architecture of its language model")
        _check_layers(tensors, checked)
    with WITHOUT_MEMORY:
        skeleton = build_network(*specs, config, torch.Generator("cpu"), checked)
    expected = {f"{NETWORK}{name}": tensor for name, tensor in skeleton.state_dict().items()}
    per_member = torch.empty(config.members, device=WITHOUT_MEMORY)
    check_layout(tensors, expected | {"member_mean": per_member, "member_std": per_member})
    network = build_network(*specs, config, torch.Generator("cpu"), checked)
    network.load_state_dict({name: tensors[f"{NETWORK}{name}"] for name in network.state_dict()})
    return network


def _check_sizes(
    tensors: Mapping[str, Tensor], specs: tuple[SpaceSpec, SpaceSpec], config: RewardConfig
) -> None:
    """Refuse sizes that the file has too few weights for, before anything of such a size is made."""
    weights = sum(tensor.numel() for tensor in tensors.values())
    sizes = {"config.members": config.members, "config.hidden": max(config.hidden, default=1)}
    takes_features = network_name(specs[0], config) != "lm"
    for name, spec, is_used in (
        ("observation_spec", specs[0], takes_features),
        ("action_spec", specs[1], config.use_actions and takes_features),
    ):
        if is_used:
            sizes[name] = spec.num_features
    for name, size in sizes.items():
        if not 1 <= size <= weights:
            raise ValueError(f"{name} is of size {size}, and there are {weights} weights")
    if len(config.hidden) > len(tensors):
        raise ValueError(f"config.hidden names {len(config.hidden)} layers of {len(tensors)} tensors")


def _check_layers(tensors: Mapping[str, Tensor], architecture: Mapping[str, Any]) -> None:
    for name in ("n_layer", "num_layers", "num_hidden_layers"):
        layers = architecture.get(name, 0)
        if not isinstance(layers, int) or layers > len(tensors):
            raise ValueError(f"architecture.{name} is {layers!r}, and there are {len(tensors)} tensors")


def _without_code(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """The architecture without what would make transformers load code: of a model or an attention kernel."""
    return {
        name: _without_code(value) if isinstance(value, Mapping) else value
        for name, value in architecture.items()
        if name != "auto_map" and not name.endswith("_implementation")
    }
