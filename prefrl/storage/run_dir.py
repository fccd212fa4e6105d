"""A run's folder: which file lies where, and making or opening one.

The folder and the store in it are all the processes of a run share.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from prefrl.config import RunConfig, from_json, to_json
from prefrl.data.spaces import SpaceSpec
from prefrl.storage.durable import make_folder, read_json, write_json_atomic
from prefrl.storage.errors import RunDirError
from prefrl.storage.metrics_file import append_metrics

__all__ = ["RunDir", "RunDirError"]

DIFFERENCES_NAMED = 3


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
                make_folder(folder)
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
                f"{self.config_file}: {error}; correct the file, or start a new run and bring it this one's "
                f"comparisons with `prefrl export {self.path} FOLDER` and `prefrl import`"
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
        """Append one line to metrics.jsonl, see `prefrl.storage.metrics_file.append_metrics`."""
        append_metrics(self.metrics, record)

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
            return f"{self.path} holds this run already; continue it with `prefrl resume {self.path}`"
        listed = "; ".join(
            f"{name} is {there.get(name)!r} there, {here.get(name)!r} here"
            for name in names[:DIFFERENCES_NAMED]
        )
        more = f" (and {len(names) - DIFFERENCES_NAMED} more)" if len(names) > DIFFERENCES_NAMED else ""
        return f"{self.path} holds a run with other settings: {listed}{more}; choose another path"


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings of nested dicts under dotted names."""
    flat: dict[str, Any] = {}
    for name, value in data.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _holds_files(folder: Path) -> bool:
    """Whether anything but empty folders and what a killed `RunDir.create` left is below ``folder``."""
    return any(not path.is_dir() and not path.match(".*-config.json") for path in folder.rglob("*"))
