"""The device that a setting names: the CPU, or a GPU that CUDA can use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["available_device", "is_device_name", "torch_device"]

_NAME = re.compile(r"auto|cpu|cuda(?::(\d+))?")


def is_device_name(name: str) -> bool:
    """Whether ``name`` is auto, cpu, cuda or cuda:N; whether this machine has the device is not checked."""
    return _NAME.fullmatch(name) is not None


def torch_device(name: str, setting: str) -> torch.device:
    """The torch device called ``name`` on this machine.

    Args:
        name: "cpu", "cuda", "cuda:N" for the Nth GPU from 0, or "auto": a GPU if CUDA can use one, else the CPU.
        setting: the setting that holds the name, for error messages: "reward.device".

    Raises:
        ValueError: when the name is invalid, or this machine does not have that GPU.
    """
    # Imported late, so that settings can be read without torch.
    import torch

    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(
            f"{setting} is {name!r}; it must be auto, cpu, cuda, or cuda:N for the Nth GPU from 0"
        )
    gpus = torch.cuda.device_count()
    if name == "auto":
        name = "cuda" if gpus else "cpu"
    if name != "cpu" and int(match[1] or 0) >= gpus:
        raise ValueError(f"{setting} is {name!r}, and CUDA can use {gpus} GPUs here; use auto or cpu")
    return torch.device(name)


def available_device(name: str, setting: str) -> torch.device:
    """Like `torch_device`, but falls back to "auto" if this machine does not have the named GPU.

    For rewards and agents that were saved on another machine. Raises ValueError when ``name`` is invalid.
    """
    try:
        return torch_device(name, setting)
    except ValueError:
        if not is_device_name(name):
            raise
        return torch_device("auto", setting)
