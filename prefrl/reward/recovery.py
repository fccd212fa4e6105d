"""What is left of a run's reward after a crash or a damaged disk: its newest intact version and its trainer's state.

The comparisons in the store are the truth: whatever cannot be read here is fitted again from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prefrl.reward.learned_reward import LearnedReward, latest_reward
from prefrl.reward.tensor_files import RewardFileError
from prefrl.reward.training import RewardTrainer
from prefrl.storage.durable import read_json
from prefrl.storage.errors import RunDirError
from prefrl.storage.versions import LATEST, publish_version

__all__ = ["Recovery", "recover_reward", "recover_trainer"]


@dataclass(frozen=True)
class Recovery:
    """The published reward of a run, as far as it could be read."""

    reward: LearnedReward | None
    """the newest version, which followers of the folder now get; None if there is none"""
    last_version: int
    """greatest version number ever published, 0 before the first; the next must be greater"""
    problem: str | None = None
    """what was damaged or lost, and thus has to be fitted again"""


def recover_reward(folder: Path, announced: int) -> Recovery:
    """Read the newest version in a run's ``reward/`` folder; if that is damaged, publish the newest intact one anew.

    The damaged pointer or version is then no longer announced, so that followers do not fail on it.

    Args:
        folder: only this process may publish to it.
        announced: greatest version that the store knows of, 0 for none.

    Raises:
        RunDirError: when the folder cannot be written.
    """
    try:
        reward = latest_reward(folder)
    except RewardFileError as error:
        return _fall_back(folder, announced, str(error))
    version = 0 if reward is None else reward.version
    if version >= announced:
        return Recovery(reward, version)
    problem = f"{folder}: version {announced} of the reward was published and is lost"
    return Recovery(reward, announced, problem) if version else _fall_back(folder, announced, problem)


def recover_trainer(trainer: RewardTrainer, state: Path, starts_over: bool, is_first: bool) -> str | None:
    """Continue from a trainer's saved state, if it is intact; the trainer is untrained otherwise.

    Args:
        trainer: freshly made.
        state: file of its state.
        starts_over: whether the next fit is to start from untrained weights. Only an unfinished fit is continued then:
            a finished one lacks its version, because the worker was killed between the two, and is done again.
        is_first: whether no version has been published, so that the file may be missing.

    Returns:
        What was damaged or lost; None if nothing was.
    """
    if is_first and not state.exists():
        return None
    untrained = trainer.state_dict()
    try:
        trainer.load_state(state)
    except RewardFileError as error:
        return str(error)
    if starts_over and not trainer.is_amid_fit:
        trainer.load_state_dict(untrained)
    return None


def _fall_back(folder: Path, announced: int, problem: str) -> Recovery:
    files = dict(_version_files(folder))
    last_version = max([announced, _pointed_to(folder), *files])
    with suppress(FileNotFoundError):
        (folder / LATEST).unlink()
    for version in sorted(files, reverse=True):
        try:
            reward = LearnedReward.load(files[version])
        except RewardFileError:
            continue
        last_version += 1
        reward.version = last_version
        publish_version(folder, last_version, reward.save)
        return Recovery(reward, last_version, problem)
    return Recovery(None, last_version, problem)


def _version_files(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.glob("[0-9]*.safetensors"):
        # A link may lead out of the run's folder.
        if path.stem.isdecimal() and not path.is_symlink():
            yield int(path.stem), path


def _pointed_to(folder: Path) -> int:
    """The version that latest.json names, however damaged that is; 0 if it names none."""
    with suppress(RunDirError):
        version = read_json(folder / LATEST).get("version")
        return version if type(version) is int else 0
    return 0
