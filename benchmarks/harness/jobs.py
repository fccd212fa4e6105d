"""One job: a command, for one seed, whose output gives its metrics."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .environment import portable

__all__ = ["Job", "Output", "last_json_line"]


@dataclass(frozen=True)
class Output:
    """What a finished job said."""

    metrics: Mapping[str, Any]
    curve: Sequence[Mapping[str, float]] = ()
    """points such as ``{"steps": 1000, "labels": 20, "true_return": -900.0}``, in the order of steps"""
    versions: Mapping[str, str] = field(default_factory=dict)
    """versions the job used, where they are not those of the harness"""


def last_json_line(stdout: str) -> Output:
    """The last line that is not blank, as one JSON object; its "curve" and "versions" are no metrics.

    Raises ValueError when there is no such line or it is not a JSON object.
    """
    lines = [line for line in stdout.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    try:
        result = json.loads(last)
    except json.JSONDecodeError:
        result = None
    if not isinstance(result, dict):
        raise ValueError(f"the job's last line is {last[:200]!r}; it must be one JSON object, its result")
    return Output(curve=result.pop("curve", ()), versions=result.pop("versions", {}), metrics=result)


@dataclass(frozen=True)
class Job:
    """A command to run once, from the project's root."""

    name: str
    """"task/method": tasks become panels and groups of rows, methods are compared within them"""
    seed: int
    command: Sequence[str]
    config: Mapping[str, Any] = field(default_factory=dict)
    """what decides the result, the seed aside: when it changes, the job runs again"""
    env: Mapping[str, str] = field(default_factory=dict)
    """environment variables set for the command, such as thread counts"""
    parse: Callable[[str], Output] = last_json_line
    """standard output -> metrics; a ValueError or KeyError it raises makes the job a failed one"""
    scratch: Path | None = None
    """a folder deleted before the command starts, such as its run directory"""

    @property
    def shown_command(self) -> str:
        """The command without the paths of this machine."""
        return portable(" ".join(self.command))

    @property
    def config_hash(self) -> str:
        """16 hexadecimal digits that stand for the config and the environment variables."""
        text = json.dumps({"config": self.config, "env": self.env}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
