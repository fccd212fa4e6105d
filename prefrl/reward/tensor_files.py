"""Files of tensors with a JSON header, written whole or not at all and verified when read. No pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from prefrl.storage.durable import make_folder, write_file

__all__ = ["RewardFileError", "read_tensors", "write_tensors"]

FORMAT_VERSION = 1


class RewardFileError(ValueError):
    """A file of a learned reward, or of its training, is missing, damaged, or of another kind or version."""


def write_tensors(path: Path, kind: str, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write a safetensors file of a named kind, durably (`prefrl.storage.durable`): old or new, never half.

    Args:
        tensors: copied to contiguous memory where needed.
        header: JSON-ready, kept in the file's metadata.
    """
    contiguous = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    metadata = {
        "format": kind,
        "format_version": str(FORMAT_VERSION),
        "header": json.dumps(header),
        "sha256": _digest(contiguous),
    }
    make_folder(path.parent)
    write_file(path, lambda temporary: save_file(contiguous, temporary, metadata))


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote: tensors and header.

    Raises:
        RewardFileError: when the file is missing, damaged, or of another kind or format version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except FileNotFoundError:
        raise RewardFileError(f"there is no file {path}") from None
    except (SafetensorError, OSError) as error:
        raise RewardFileError(f"{path} is damaged or no {kind} file: {error}") from error
    if metadata.get("format") != kind:
        raise RewardFileError(
            f"{path} is no {kind} file; its format is {metadata.get('format', 'not stated')!r}"
        )
    if metadata.get("format_version") != str(FORMAT_VERSION):
        raise RewardFileError(
            f"{path} has version {metadata.get('format_version')} of the {kind} format, this program reads "
            f"version {FORMAT_VERSION}; fit the reward again from the saved comparisons"
        )
    if metadata.get("sha256") != _digest(tensors):
        raise RewardFileError(f"{path} is damaged: its tensors do not have the checksum in its header")
    try:
        return tensors, json.loads(metadata["header"])
    except (KeyError, ValueError) as error:
        raise RewardFileError(f"{path} is damaged: its header cannot be read ({error})") from error


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
