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

__all__ = ["RewardFileError", "check_layout", "read_tensors", "write_tensors"]

FORMAT_VERSION = 2
"""1 had a checksum of the tensors alone; from 2 on it covers the header as well"""
READABLE_VERSIONS = ("1", "2")


class RewardFileError(ValueError):
    """A file of a learned reward, or of its training, is missing, damaged, or of another kind or version."""


def write_tensors(path: Path, kind: str, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write a safetensors file of a named kind, durably (`prefrl.storage.durable`): old or new, never half.

    Args:
        path: the folders above it are made where they are missing.
        kind: name of the format, which `read_tensors` asks for.
        tensors: from any device; the file does not depend on it.
        header: JSON-ready, kept in the file's metadata.

    Raises:
        OSError: when the file cannot be written.
    """
    contiguous = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    text = json.dumps(header)
    metadata = {
        "format": kind,
        "format_version": str(FORMAT_VERSION),
        "header": text,
        "sha256": _digest(contiguous, text),
    }
    make_folder(path.parent)
    write_file(path, lambda temporary: save_file(contiguous, temporary, metadata))


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote: tensors, on the CPU, and header.

    Raises:
        RewardFileError: when the file is missing, damaged, or of another kind or format version.
    """
    tensors, metadata = _read(path, kind)
    if metadata.get("format") != kind:
        raise RewardFileError(
            f"{path} is no {kind} file; its format is {metadata.get('format', 'not stated')!r}"
        )
    version, text = metadata.get("format_version"), metadata.get("header", "")
    if version not in READABLE_VERSIONS:
        raise RewardFileError(
            f"{path} has version {version} of the {kind} format, this program reads versions "
            f"{' and '.join(READABLE_VERSIONS)}; fit the reward again from the saved comparisons"
        )
    if metadata.get("sha256") != _digest(tensors, "" if version == "1" else text):
        raise RewardFileError(f"{path} is damaged: its content does not have the checksum in its header")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RewardFileError(f"{path} is damaged: its header cannot be read ({error})") from error
    if not isinstance(header, dict):
        raise RewardFileError(f"{path} is damaged: its header is not a JSON object")
    return tensors, header


def check_layout(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless ``tensors`` have the names, shapes and dtypes of ``expected``; values do not matter."""
    for name in sorted(tensors.keys() ^ expected.keys()):
        raise ValueError(f"tensor {name!r} is {'missing' if name in expected else 'not expected'}")
    for name, tensor in tensors.items():
        found, needed = (f"{one.dtype} {tuple(one.shape)}" for one in (tensor, expected[name]))
        if found != needed:
            raise ValueError(f"tensor {name!r} is {found}, {needed} is needed")


def _read(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of any safetensors file; its own header is checked against the file's length."""
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except FileNotFoundError:
        raise RewardFileError(f"there is no file {path}") from None
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        # Of a dtype that safetensors knows and torch does not, get_tensor raises other errors than its own.
        raise RewardFileError(f"{path} is damaged or no {kind} file: {error}") from error


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    digest.update(text.encode())
    return digest.hexdigest()
