"""A run's folder: what lies where, and files that a killed process never leaves half written.

The folder is the only thing the processes of a run share. The agent follows ``reward/latest.json``.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from prefrl.config import RunConfig, from_json, to_json
from prefrl.data.spaces import SpaceSpec

__all__ = [
    "RunDir",
    "RunDirError",
    "latest_version",
    "publish_version",
    "read_json",
    "read_metrics",
    "write_json_atomic",
]

LATEST = "latest.json"
DIFFERENCES_NAMED = 3


class RunDirError(ValueError):
    """A run directory cannot be used as asked; the message says why and what to do."""


class RunDir:
    """The names of everything in a run directory; use `create` or `open` to be sure that it is one."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.spaces = self.path / "spaces.json"
        self.store = self.path / "store.sqlite"
        self.reward = self.path / "reward"
        """folder of the learned reward's versions, see `publish_version`"""
        self.trainer_state = self.reward / "trainer.safetensors"
        self.agent = self.path / "agent"
        """folder of the saved agent"""
        self.logs = self.path / "logs"
        self.metrics = self.path / "metrics.jsonl"
        self.tensorboard = self.path / "tensorboard"
        self.evaluation = self.path / "evaluation.json"
        self.result = self.path / "result.json"

    def log(self, worker: str) -> Path:
        """What the named worker process prints."""
        return self.logs / f"{worker}.log"

    def lock(self, holder: str) -> Path:
        """The file a process locks to be the only one of its kind in this run."""
        return self.path / f"{holder}.lock"

    @classmethod
    def create(cls, path: Path | str, config: RunConfig) -> RunDir:
        """Make the folders and write config.json, last, so that a folder with it is a whole run directory.

        Raises:
            RunDirError: when a run or anything else is there already, or the folder cannot be written.
        """
        run = cls(path)
        if run.config_file.exists():
            raise RunDirError(run._taken(config))
        was_there = run.path.exists()
        try:
            if was_there and _holds_files(run.path):
                raise RunDirError(f"{run.path} is not empty and no run directory; choose another path")
            for folder in run._folders():
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            run._remove_empty_folders(was_there)
            raise RunDirError(f"{run.path} cannot be made ({error.strerror}); choose another path") from error
        try:
            write_json_atomic(run.config_file, to_json(config))
        except RunDirError:
            run._remove_empty_folders(was_there)
            raise
        return run

    @classmethod
    def open(cls, path: Path | str) -> RunDir:
        """The run directory at ``path``; raises RunDirError when there is none."""
        run = cls(path)
        if not run.config_file.is_file():
            found = "has no config.json, so it is no run directory" if run.path.exists() else "does not exist"
            raise RunDirError(
                f"{run.path} {found}; start a run there with `prefrl train PRESET --run {run.path}`"
            )
        return run

    def config(self) -> RunConfig:
        """The run's settings; raises RunDirError when config.json cannot be read."""
        data = read_json(self.config_file)
        try:
            return from_json(RunConfig, data)
        except (ValueError, TypeError) as error:
            raise RunDirError(
                f"{self.config_file}: {error}; correct the file or start the run anew"
            ) from error

    def write_specs(self, observation: SpaceSpec, action: SpaceSpec) -> None:
        """Note how observations and actions are laid out, for the processes that make no environment."""
        write_json_atomic(self.spaces, {"observation": observation.to_json(), "action": action.to_json()})

    def specs(self) -> tuple[SpaceSpec, SpaceSpec]:
        """The observation and action specs given to `write_specs`.

        Raises:
            RunDirError: when they have not been written, or not by us.
        """
        data = read_json(self.spaces)
        try:
            return SpaceSpec.from_json(data["observation"]), SpaceSpec.from_json(data["action"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunDirError(f"{self.spaces}: does not describe two spaces ({error})") from error

    def append_metrics(self, record: Mapping[str, float | int | str]) -> None:
        """Append one JSON line; several processes may do so at once. Numbers that are not finite become null.

        Raises:
            RunDirError: when the line cannot be written whole.
        """
        plain = {name: value if _is_finite(value) else None for name, value in record.items()}
        line = (json.dumps(plain) + "\n").encode()
        try:
            # one write to a file opened for appending: the system puts lines after, never into, each other
            descriptor = os.open(self.metrics, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                written = os.write(descriptor, line)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise RunDirError(f"{self.metrics} cannot be written ({error.strerror})") from error
        if written < len(line):
            raise RunDirError(
                f"{self.metrics}: the disk took {written} of {len(line)} bytes; free some space"
            )

    def _folders(self) -> tuple[Path, ...]:
        return self.reward, self.agent, self.logs, self.tensorboard

    def _remove_empty_folders(self, was_there: bool) -> None:
        for folder in self._folders() if was_there else (*self._folders(), self.path):
            with suppress(OSError):
                folder.rmdir()

    def _taken(self, config: RunConfig) -> str:
        there, here = _flat(to_json(self.config())), _flat(to_json(config))
        names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
        if not names:
            return f"{self.path} holds this run already; go on with `prefrl resume {self.path}`"
        listed = "; ".join(
            f"{name} is {there.get(name)!r} there, {here.get(name)!r} here"
            for name in names[:DIFFERENCES_NAMED]
        )
        more = f" (and {len(names) - DIFFERENCES_NAMED} more)" if len(names) > DIFFERENCES_NAMED else ""
        return f"{self.path} holds a run with other settings: {listed}{more}; choose another path"


def write_json_atomic(path: Path, data: Any) -> None:
    """Write JSON so that readers, and whoever starts after a crash, see the old file or the new one, whole.

    Raises:
        ValueError: when a number in it is not finite, which JSON cannot say.
        RunDirError: when the file cannot be written.
    """
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    temporary = _temporary(path)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
        _replace_durably(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise RunDirError(f"{path} cannot be written ({error.strerror})") from error


def read_metrics(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Records appended since ``offset`` bytes, and the offset to go on from.

    A last line without its end is left for the next call; a line that a crash cut short is passed over.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            whole = file.read()
    except FileNotFoundError:
        return [], offset
    whole = whole[: whole.rfind(b"\n") + 1]
    records = (_parsed(line) for line in whole.splitlines())
    return [record for record in records if record is not None], offset + len(whole)


def publish_version(folder: Path, version: int, write: Callable[[Path], None], keep: int = 5) -> Path:
    """Publish a version of a file: readers follow latest.json, which changes once the file is whole.

    Args:
        folder: made when missing; one process publishes to it.
        version: greater than any published before.
        write: writes the content to the path it is given.
        keep: newest versions kept, at least 1; older ones are deleted.

    Returns:
        The file, ``folder/000042.safetensors`` for version 42.

    Raises:
        RunDirError: when the version is not newer than the latest, or the folder cannot be written.
    """
    latest = _latest(folder)
    if latest is not None and version <= latest["version"]:
        # replacing the file that latest.json vouches for could leave the two apart after a crash
        raise RunDirError(
            f"{folder}: version {version} is not newer than version {latest['version']}, the latest"
        )
    path = folder / f"{version:06d}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in (".[0-9]*-*", ".*.partial"):
            for leftover in folder.glob(pattern):
                leftover.unlink()
        temporary = _temporary(path)
        write(temporary)
        digest = _sha256(temporary)
        _replace_durably(temporary, path)
        write_json_atomic(folder / LATEST, {"version": version, "file": path.name, "sha256": digest})
        for old in sorted(folder.glob("[0-9]*.safetensors"), key=lambda old: int(old.stem))[: -max(1, keep)]:
            old.unlink()
    except OSError as error:
        raise RunDirError(f"{path} cannot be published ({error.strerror})") from error
    return path


def latest_version(folder: Path, newer_than: int = -1) -> tuple[int, Path] | None:
    """The latest published version and its file, checked; None before the first.

    Args:
        folder: as given to `publish_version`, which may be deleting old versions meanwhile.
        newer_than: None also unless there is a version above this one; makes polling cheap.

    Raises:
        RunDirError: when the file is missing or is not what was published.
    """
    tried = None
    while (latest := _latest(folder)) is not None and latest["version"] > newer_than:
        path = folder / latest["file"]
        try:
            if _sha256(path) == latest["sha256"]:
                return latest["version"], path
            problem = "is not what was published (cut short or changed)"
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
        # a version goes only after a newer one was announced: unless that happened, looking again is no use
        if latest == tried:
            raise RunDirError(
                f"{path} {problem}; delete {folder / LATEST}, and the reward is trained and published anew"
            )
        tried = latest
    return None


def _latest(folder: Path) -> dict[str, Any] | None:
    path = folder / LATEST
    if not path.exists():
        return None
    latest = read_json(path, way_out="delete it to publish anew")
    if set(latest) != {"version", "file", "sha256"}:
        raise RunDirError(f"{path} does not name a version, file and sha256; delete it to publish anew")
    return latest


def read_json(path: Path, way_out: str = "restore it from a copy") -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        RunDirError: when it cannot be read or holds something else; ``way_out`` ends the message.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunDirError(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise RunDirError(f"{path} is not JSON ({error}); {way_out}") from error
    if not isinstance(data, dict):
        raise RunDirError(f"{path} is not a JSON object; {way_out}")
    return data


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _is_finite(value: float | int | str) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings of nested dicts under dotted names."""
    flat: dict[str, Any] = {}
    for name, value in data.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _holds_files(folder: Path) -> bool:
    """Whether anything but empty folders and what a killed `RunDir.create` left is below ``folder``."""
    return any(not path.is_dir() and not path.match(".*-config.json") for path in folder.rglob("*"))


def _temporary(path: Path) -> Path:
    """A hidden name beside ``path``, with its suffix, for this process alone."""
    return path.with_name(f".{os.getpid()}-{path.name}")


def _replace_durably(temporary: Path, path: Path) -> None:
    """Rename, content on disk first: the name must not outlive a power cut that the content does not."""
    _flush(temporary)
    os.replace(temporary, path)
    _flush(path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
