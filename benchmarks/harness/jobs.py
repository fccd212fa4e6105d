"""A job: a command for one seed, whose output holds its metrics."""

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
    """What a finished job printed."""

    metrics: Mapping[str, Any]
    curve: Sequence[Mapping[str, float]] = ()
    """points such as ``{"steps": 1000, "labels": 20, "true_return": -900.0}``, ordered by steps"""
    versions: Mapping[str, str] = field(default_factory=dict)
    """package versions that the job used, where they differ from those of the harness"""


def last_json_line(stdout: str) -> Output:
    """Parse the last non-blank line, one JSON object; "curve" and "versions" in it are not metrics.

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
    """A command to run once, from the project's root.

    Suite, name, seed, config and environment variables identify a job: the command is not part of it, so that a
    recorded result still counts after a module has moved.
    """

    name: str
    """"task/method": tasks become panels and groups of rows, methods are compared within them"""
    seed: int
    command: Sequence[str]
    config: Mapping[str, Any] = field(default_factory=dict)
    """everything but the seed that decides the result: when it changes, the job runs again"""
    env: Mapping[str, str] = field(default_factory=dict)
    """environment variables set for the command, such as thread counts"""
    parse: Callable[[str], Output] = last_json_line
    """standard output -> metrics; when it raises ValueError or KeyError, the job has failed"""
    scratch: Path | None = None
    """a folder deleted before the command starts, such as its run folder"""
    prepare: Callable[[], object] | None = None
    """called before the command starts, such as to make a peer's virtual environment; not part of the time"""

    @property
    def shown_command(self) -> str:
        """The command without the paths of this machine."""
        return portable(" ".join(self.command))

    @property
    def config_hash(self) -> str:
        """16 hexadecimal digits: a hash of the config and the environment variables."""
        text = json.dumps({"config": self.config, "env": self.env}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
