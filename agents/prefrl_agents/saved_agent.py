"""Agents on disk without pickle: safetensors and JSON, from which the agent is rebuilt by names.

::

    agent/latest.json                 which folder is the newest, which the one before, and digests of their files
    agent/0000012345-9f1c02ab/
        agent.json                    algorithm, policy, arguments, spaces, counters, optimiser settings
        agent.safetensors             weights, optimiser states, normalisation statistics
        replay.safetensors            stored experience, for off-policy agents

A folder may come from somebody else: nothing in it is unpickled, names in it lead to no other folder, and modules that
it names are imported only with ``trust``.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sys
import textwrap
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

import prefrl.config.text
from prefrl.storage.durable import (
    durable_folder,
    file_digest,
    make_folder,
    read_json,
    remove_leftovers,
    write_json_atomic,
)
from prefrl.storage.errors import RunDirError
from prefrl.storage.pointers import resolve_inside
from prefrl_agents.agent_description import build_described, describe, trusted_architecture
from prefrl_agents.agent_state import ObservationNormaliser, read_state, write_state
from prefrl_agents.algorithms import ALGORITHMS, algorithm_name, find_algorithm
from prefrl_agents.plain_values import check_trusted
from prefrl_agents.replay_file import REPLAY, save_replay

__all__ = ["SavedAgent", "find_saved", "load_agent", "save_agent"]

LATEST, DESCRIPTION, TENSORS, PICKLE = "latest.json", "agent.json", "agent.safetensors", "model.zip"
_MESSAGE_CHARACTERS = 300
_FORMAT, _FORMAT_VERSION = "prefrl-agent", 1
_WAY_OUT = "restore the run from a copy, or start a new one"


def save_agent(folder: Path, model: BaseAlgorithm) -> None:
    """Save an agent in a new folder, point to it once it is on disk, and delete all but the two newest.

    Args:
        folder: a run's ``agent`` folder, made where it is missing; one process saves to it.
        model: any Stable-Baselines3 algorithm.

    Raises:
        OSError, RunDirError: when it cannot be written; the agents saved before are then still there.
    """
    make_folder(folder)
    remove_leftovers(folder)
    policy_step = int(model.num_timesteps)
    name = f"{policy_step:010d}-{secrets.token_hex(4)}"
    tensors, state = write_state(model)
    about = {"format": _FORMAT, "format_version": _FORMAT_VERSION, **describe(model), **state}
    with durable_folder(folder / name) as target:
        save_file(tensors, target / TENSORS)
        text = json.dumps(about, indent=2, allow_nan=False)
        (target / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
        save_replay(target, model)
        files = {path.name: file_digest(path) for path in sorted(target.iterdir())}
    newest = {"folder": name, "policy_step": policy_step, "files": files}
    previous = _newest_whole(folder)
    write_json_atomic(folder / LATEST, {**newest, "previous": previous})
    kept = {name, *([] if previous is None else [previous["folder"]])}
    for old in folder.iterdir():
        if old.is_dir() and not old.is_symlink() and old.name not in kept:
            shutil.rmtree(old, ignore_errors=True)


@dataclass(frozen=True)
class SavedAgent:
    """A saved agent whose files are whole; `find_saved` gives it."""

    path: Path
    """its folder"""
    policy_step: int
    """environment steps it was trained for, over all environments"""
    is_pickled: bool = False
    """True for one that the first release saved"""

    def about(self) -> dict[str, Any]:
        """The content of agent.json; RunDirError when it is another file's."""
        about = read_json(self.path / DESCRIPTION, _WAY_OUT)
        if (about.get("format"), about.get("format_version")) != (_FORMAT, _FORMAT_VERSION):
            raise RunDirError(
                f"{self.path / DESCRIPTION} is version {about.get('format_version')!r} of {about.get('format')!r}, "
                f"this program reads version {_FORMAT_VERSION} of {_FORMAT!r}; {_WAY_OUT}"
            )
        return about

    def policy_arguments(self) -> dict[str, Any]:
        """``policy_kwargs`` by which a text agent's language model is built without the checkpoint it began with."""
        if self.is_pickled:
            return {}
        described = trusted_architecture(self.about().get("policy_kwargs", {}))
        return {"model": described["model"]} if "model" in described else {}

    def restore(self, model: BaseAlgorithm) -> None:
        """Put everything learned into a model built from the same settings; `load_replay` gives it its experience.

        Raises:
            RunDirError: when it is another kind of agent's.
        """
        about, file = self.about(), str(self.path / DESCRIPTION)
        wanted = algorithm_name(type(model))
        if about.get("algorithm") != wanted:
            raise RunDirError(
                f"{file} is no {wanted} agent of this run, but {about.get('algorithm')!r}; {_WAY_OUT}"
            )
        try:
            read_state(model, self._tensors(), about, file)
        except RunDirError:
            raise
        except Exception as error:
            # Weights of other shapes fail wherever torch comes to them.
            raise RunDirError(
                f"{file} is no {wanted} agent of this run's settings ({_brief(error)}); {_WAY_OUT}"
            ) from error

    def unpickle(self, algorithm: str, trust: bool, **arguments: Any) -> BaseAlgorithm:
        """The agent that the first release saved, loaded by Stable-Baselines3.

        Args:
            algorithm: value of ``agent.algorithm``.
            trust: whether the user's own command says that the file may run code.
            arguments: of SB3's ``load``.

        Raises:
            RunDirError: without ``trust``, and when the file is damaged.
        """
        path = self.path / PICKLE
        if not trust:
            raise RunDirError(
                f"{path} was saved by an earlier release as a pickle, which can run any code when it is loaded; if you "
                "trust whoever made this run, pass --trust"
            )
        # Online DPO's pickles name its settings by the module that held them then.
        sys.modules.setdefault("prefrl.text_config", prefrl.config.text)
        try:
            return find_algorithm(algorithm).load_class().load(path, **arguments)
        except Exception as error:
            # A damaged pickle fails wherever the damage is.
            raise RunDirError(
                f"{path} is damaged or no {algorithm} agent of this run ({_brief(error)}); {_WAY_OUT}"
            ) from error

    def build(self, trust: bool) -> BaseAlgorithm:
        """The agent rebuilt by its own description, to act or to be exported; it has no environment.

        Raises:
            RunDirError: when it cannot be rebuilt, or names code that is not trusted.
        """
        about, file = self.about(), str(self.path / DESCRIPTION)
        try:
            model = build_described(about, trust, file)
            tensors = self._tensors()
            read_state(model, tensors, about, file)
            normaliser = ObservationNormaliser.read(about["observation_normalisation"], tensors)
        except RunDirError:
            raise
        except Exception as error:
            # Written by whoever made the file: a constructor may complain of anything.
            raise RunDirError(
                f"{file} describes no agent that can be built ({_brief(error)}); {_WAY_OUT}"
            ) from error
        return model if normaliser is None else _normalising(model, normaliser)

    def _tensors(self) -> dict[str, Tensor]:
        return load_file(self.path / TENSORS)


def find_saved(folder: Path, to_act: bool = False) -> SavedAgent | None:
    """The newest saved agent whose files are whole, or the one before it, with a warning; None before the first.

    Args:
        folder: as given to `save_agent`.
        to_act: leave its stored experience unchecked, which may be large and which acting does not need.

    Raises:
        RunDirError: when the pointer is damaged or leads out of the folder, or both agents are damaged.
    """
    if not (folder / LATEST).exists():
        return None
    pointer = _pointer(folder)
    newest = resolve_inside(folder, pointer["folder"], _WAY_OUT)
    if "files" not in pointer and (newest / PICKLE).exists():
        resolve_inside(newest, PICKLE, _WAY_OUT)
        return SavedAgent(newest, pointer["policy_step"], is_pickled=True)
    problems: list[str] = []
    for entry in _entries(pointer):
        problem, step = _problem(folder, entry, to_act), entry["policy_step"]
        if problem is None:
            for earlier in problems:
                warnings.warn(
                    f"{earlier}; the agent saved before it, at step {step:,}, is used", stacklevel=2
                )
            return SavedAgent(folder / entry["folder"], step)
        problems.append(problem)
    raise RunDirError(f"{'; '.join(problems)}; {_WAY_OUT}")


def load_agent(folder: Path, algorithm: str | None = None, trust: bool = False) -> BaseAlgorithm:
    """The agent last saved in a run's ``agent`` folder, without an environment: to act, or to be exported.

    Args:
        folder: as given to `save_agent`.
        algorithm: the run's ``agent.algorithm``; None takes what was saved.
        trust: whether modules that the files name may be imported, and an earlier release's pickle loaded.

    Raises:
        FileNotFoundError: when none was saved yet.
        RunDirError: when what was saved is damaged, is another algorithm's, or needs ``trust``.
    """
    saved = find_saved(folder, to_act=True)
    if saved is None:
        raise FileNotFoundError(f"no agent has been saved in {folder} yet; train for longer first")
    if saved.is_pickled:
        return saved.unpickle(algorithm or "ppo", trust)
    found, file = saved.about().get("algorithm"), saved.path / DESCRIPTION
    if algorithm is not None:
        if algorithm not in ALGORITHMS:
            check_trusted(algorithm, trust, f"{folder.parent / 'config.json'}")
        if found != algorithm_name(find_algorithm(algorithm).load_class()):
            raise RunDirError(f"{file} is no {algorithm} agent of this run, but {found!r}; {_WAY_OUT}")
    return saved.build(trust)


def _brief(error: Exception) -> str:
    """An error as a part of one line; torch's have many."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", _MESSAGE_CHARACTERS)


def _normalising(model: BaseAlgorithm, normaliser: ObservationNormaliser) -> BaseAlgorithm:
    """The model acting on observations as the environment gives them, where it was trained on normalised ones."""
    predict = model.predict

    def predict_normalised(observation: Any, *args: Any, **kwargs: Any) -> Any:
        return predict(normaliser(observation), *args, **kwargs)

    model.predict = predict_normalised  # type: ignore[method-assign]
    return model


def _pointer(folder: Path) -> dict[str, Any]:
    """What latest.json says, its shape checked; RunDirError when it says something else."""
    path = folder / LATEST
    pointer = read_json(path, _WAY_OUT)
    previous = pointer.get("previous")
    if not _is_entry(pointer) or not (previous is None or _is_entry(previous)):
        raise RunDirError(f"{path} does not name a saved agent; {_WAY_OUT}")
    return pointer


def _entries(pointer: dict[str, Any]) -> list[dict[str, Any]]:
    """The saved agents that latest.json names, the newest first."""
    previous = pointer.get("previous")
    return [pointer] if previous is None else [pointer, previous]


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("folder"), str)
        and isinstance(entry.get("policy_step"), int)
        and isinstance(entry.get("files", {}), dict)
    )


def _newest_whole(folder: Path) -> dict[str, Any] | None:
    """The entry of the agent to fall back to once another is saved; None where there is none."""
    if not (folder / LATEST).exists():
        return None
    try:
        for entry in _entries(_pointer(folder)):
            if _problem(folder, entry, to_act=True) is None:
                return {key: entry[key] for key in ("folder", "policy_step", "files")}
    except RunDirError:
        # Damaged beyond use: what is about to be saved replaces it.
        return None
    return None


def _problem(folder: Path, entry: Mapping[str, Any], to_act: bool) -> str | None:
    """Why a saved agent cannot be used; None where its files are what was written."""
    path = resolve_inside(folder, entry["folder"], _WAY_OUT)
    files = entry.get("files", {})
    for name in sorted({DESCRIPTION, TENSORS, *files}):
        file = resolve_inside(path, name, _WAY_OUT)
        if name == REPLAY and (to_act or not file.exists()):
            continue  # an agent whose experience was deleted to save space gathers new experience
        try:
            if file_digest(file) != files.get(name):
                return f"{file} is damaged: it is not what was saved"
        except OSError as error:
            return f"{file} cannot be read ({error.strerror})"
    return None
