"""Fixtures that run commands in this process, on folders that are compared before and after."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from prefrl.cli import main
from prefrl.config import AgentConfig, EnvConfig, QueryConfig, RewardConfig, RunConfig, RuntimeConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.loop.environments import spaces_of
from prefrl.recording.segment_recorder import SegmentRecorder
from prefrl.runtime.serial import SerialLauncher
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir
from prefrl_agents.factory import build_agent

SMALL = RunConfig(
    env=EnvConfig("prefrl/PenguinIce-v0", num_envs=2, endless=False),
    agent=AgentConfig("ppo", hyperparameters={"n_steps": 32, "batch_size": 32, "n_epochs": 1}),
    reward=RewardConfig(hidden=(16,), initial_epochs=5, epochs_per_update=2, validation_fraction=0.0),
    queries=QueryConfig(segment_steps=5, batch=4),
    runtime=RuntimeConfig("serial", max_label_lag=4),
    labels=12,
    steps=256,
    eval_episodes=1,
)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a command."""

    status: int
    out: str
    err: str

    def refuses(self, *words: str, status: int = 1) -> None:
        """Check that it failed with a message that contains ``words``, no traceback and no standard output."""
        said = " ".join(self.err.replace("│", " ").split())
        assert self.status == status, self.err
        assert "Traceback" not in self.err
        assert self.out == ""
        for word in words:
            assert word in said, f"{word!r} is not in {said!r}"


@pytest.fixture
def prefrl(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Runs a command in this process."""

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:  # how tyro ends on words it cannot read
            status = int(stop.code or 0)
        return Outcome(status, *capsys.readouterr())

    monkeypatch.setenv("COLUMNS", "400")
    return run


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test if a run is launched."""

    def launch(run: RunDir, *_: object) -> int:
        raise AssertionError(f"{run.path} was launched")

    monkeypatch.setattr("prefrl.cli.train_command.launch", launch)
    monkeypatch.setattr("prefrl.cli.resume_command.launch", launch)


@pytest.fixture
def contents() -> Callable[[Path], dict[str, str]]:
    """Every file below a folder with its SHA-256, and every folder."""

    def read(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            if path.is_file()
            else "folder"
            for path in sorted(folder.rglob("*"))
        }

    return read


@pytest.fixture(scope="session")
def small_config() -> RunConfig:
    return SMALL


@pytest.fixture
def fresh(tmp_path: Path) -> RunDir:
    """A run that `prefrl train` created and that was stopped before its first step."""
    run = RunDir.create(tmp_path / "fresh", SMALL)
    run.write_specs(*spaces_of(SMALL.env))
    Store.open(run.store, create=True).close()
    return run


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    run = RunDir.create(tmp_path_factory.mktemp("runs") / "penguin", SMALL)
    run.write_specs(*spaces_of(SMALL.env))
    Store.open(run.store, create=True).close()
    assert SerialLauncher(run, build_agent).launch() is not None
    return run


@pytest.fixture
def trained(_trained: RunDir, tmp_path: Path) -> RunDir:
    """A finished run that the test may damage."""
    shutil.copytree(_trained.path, tmp_path / "trained")
    run = RunDir.open(tmp_path / "trained")
    Store.open(run.store).close()  # folds the write-ahead log into the file
    return run


@pytest.fixture
def register() -> Iterator[Callable[[Callable[..., gym.Env]], str]]:
    """Registers an environment for the test; returns its id."""
    ids: list[str] = []

    def add(make: Callable[..., gym.Env]) -> str:
        ids.append(f"Bad{len(ids)}-v0")
        gym.register(ids[-1], make)
        return ids[-1]

    yield add
    for name in ids:
        del gym.registry[name]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def record_segments() -> Callable[[int, int, int], int]:
    """Number of segments that a recorder cuts, for a number of environments, a segment length and a number of steps."""

    def count(num_envs: int, length: int, steps: int) -> int:
        spec = SpaceSpec.of(spaces.Box(0.0, 1.0, (1,)))
        recorder = SegmentRecorder(spec, spec, num_envs, length, "Env-v0", seed=0)
        ones, never = np.ones((num_envs, 1), np.float32), np.zeros(num_envs, bool)
        for _ in range(steps // num_envs):
            recorder.record(ones, ones, ones[:, 0], never, never)
        return len(recorder.take())

    return count
