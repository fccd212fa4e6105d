"""Processes of a run killed, stopped and broken: nothing acknowledged is lost, and what is wrong is said."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium as gym
import pytest

from prefrl.cli import main
from prefrl.config import EnvConfig, RunConfig, RuntimeConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Comparison
from prefrl.loop.assemble import create_run
from prefrl.loop.environments import spaces_of
from prefrl.presets import get_preset
from prefrl.runtime.processes import ProcessLauncher, RunFailedError, _Child
from prefrl.runtime.result import read_result
from prefrl.storage import Store, StoreError
from prefrl.storage.run_dir import RunDir, RunDirError
from prefrl.storage.run_lock import RunLock

pytestmark = pytest.mark.slow

LABELS, STEPS = 40, 4000
DEADLINE_S = 600.0
"""only a run that hangs takes as long, on any machine"""
SMALL = (
    *("--labels", str(LABELS), "--steps", str(STEPS), "--eval-episodes", "3"),
    *("--reward.initial-epochs", "10", "--reward.epochs-per-update", "3", "--reward.hidden", "16"),
    *("--queries.batch", "5", "--runtime.checkpoint-steps", "500"),
)


class Launched:
    """``prefrl`` in a session of its own, as a terminal would have it."""

    def __init__(self, run: Path, *words: str) -> None:
        self.run = RunDir(run)
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.launcher = subprocess.Popen(
            [sys.executable, "-m", "prefrl", *words],
            start_new_session=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, what: Callable[[Store], bool]) -> None:
        """Return as soon as it is true of the store."""
        deadline_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline_s:
            assert self.launcher.poll() is None, self.launcher.communicate()
            # Until the launcher has made it, there is no store or an empty one.
            with contextlib.suppress(StoreError), Store.open(self.run.store) as store:
                if what(store):
                    return
            time.sleep(0.01)
        raise AssertionError(f"did not happen in {DEADLINE_S} s")

    def pid(self, worker: str) -> int:
        """Of the process that beat last under this name."""
        with Store.open(self.run.store) as store:
            pid = next(status.pid for status in store.workers() if status.name == worker)
        assert os.getpgid(pid) == self.launcher.pid, "not one of ours"
        return pid

    def send(self, number: signal.Signals) -> int:
        """Signal all processes, as Ctrl-C or the end of a machine would; returns the launcher's status."""
        os.killpg(self.launcher.pid, number)
        self.launcher.communicate(timeout=DEADLINE_S)
        return self.launcher.returncode

    def status(self) -> int:
        """Wait for the launcher's end."""
        self.launcher.communicate(timeout=DEADLINE_S)
        return self.launcher.returncode

    def acknowledged(self) -> list[Comparison]:
        with Store.open(self.run.store) as store:
            return store.comparisons()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    launched: list[Launched] = []

    def start(*words: str) -> Launched:
        launched.append(Launched(tmp_path / "run", *words))
        return launched[-1]

    yield start
    for each in launched:
        if each.launcher.poll() is None:
            os.killpg(each.launcher.pid, signal.SIGKILL)
            each.launcher.communicate()


def has_labels(number: int) -> Callable[[Store], bool]:
    return lambda store: store.counts().labels >= number


def test_a_run_outlives_the_death_of_each_worker_of_all_at_once_and_ctrl_c(
    launch: Callable[..., Launched], tmp_path: Path
) -> None:
    path = str(tmp_path / "run")
    first = launch("train", "penguin", "--run", path, *SMALL)
    for workers, labels in ((("reward", "oracle"), 1), (("policy",), 15)):
        first.wait_for(has_labels(labels))
        dead = [first.pid(worker) for worker in workers]
        acknowledged = first.acknowledged()
        for pid in dead:
            os.kill(pid, signal.SIGKILL)
        first.wait_for(lambda store, dead=dead: not _beating(store, dead))  # type: ignore[misc]
        assert first.acknowledged()[: len(acknowledged)] == acknowledged
    acknowledged = first.acknowledged()
    assert first.send(signal.SIGKILL) == -signal.SIGKILL

    second = launch("resume", path)
    second.wait_for(lambda store: any(w.name == "policy" and w.state == "acting" for w in store.workers()))
    assert second.acknowledged()[: len(acknowledged)] == acknowledged
    acknowledged = second.acknowledged()
    assert second.send(signal.SIGINT) == 130
    assert (tmp_path / "run" / "agent" / "latest.json").exists()

    last = launch("resume", path)
    assert last.status() == 0
    found = last.acknowledged()
    assert found[: len(acknowledged)] == acknowledged
    result = read_result(last.run)
    assert result is not None
    assert (result.labels, len(found)) == (LABELS, LABELS)
    assert STEPS <= result.steps < STEPS + 512  # whole rollouts


def _beating(store: Store, pids: list[int]) -> bool:
    """Whether the last beat of any worker came from one of these processes."""
    return any(status.pid in pids for status in store.workers())


@pytest.fixture
def handlers() -> Iterator[None]:
    """Puts back the signal handlers that the command line sets."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_an_environment_that_breaks_is_named_with_its_log_and_no_label_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    path = tmp_path / "run"
    words = ("--env", "failing_env:Failing-v0", "--env.num-envs", "4", "--runtime.max-restarts", "0")
    assert main(["train", "penguin", "--run", str(path), *SMALL, *words]) == 1
    said = capsys.readouterr().err
    assert "the policy process failed once (RuntimeError: the simulator blew up)" in said
    assert f"its log is {path / 'logs' / 'policy.log'}" in said
    assert f"prefrl resume {path}" in said
    with Store.open(RunDir(path).store) as store:
        found = store.counts()
        assert found.labels == found.comparisons == len(store.labelled())


def test_a_worker_that_cannot_be_built_is_not_tried_again(tmp_path: Path) -> None:
    config = get_preset("penguin").config
    agent = dataclasses.replace(config.agent, hyperparameters={"n_stepps": 64})
    run = RunDir.create(tmp_path / "run", dataclasses.replace(config, agent=agent))
    env = gym.make(config.env.id)
    run.write_specs(SpaceSpec.of(env.observation_space), SpaceSpec.of(env.action_space))
    Store.open(run.store, create=True).close()
    with pytest.raises(RunFailedError, match=r"policy process cannot be started \(ValueError: .*'n_stepps'"):
        ProcessLauncher(run, "prefrl_agents.factory:build_agent").launch()


def test_a_second_launcher_is_refused_and_the_first_lets_go_at_its_end(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", RunConfig())
    Store.open(run.store, create=True).close()
    with RunLock(run), pytest.raises(RunDirError, match="already being run by another launcher"):
        ProcessLauncher(run, "prefrl_agents.factory:build_agent").launch()
    with pytest.raises(RunFailedError), RunLock(run):
        raise RunFailedError("kept in a traceback, as a notebook does")
    with RunLock(run):
        pass


@pytest.mark.parametrize(
    ("progress", "failures"),
    [
        ([5.0], [1]),
        ([5.0, 5.0, 5.0], [1, 2, 3]),
        ([0.0, 0.0], [1, 2]),
        ([5.0, 5.0, 6.0, 6.0], [1, 2, 1, 2]),
        # Back to a saved agent, and no further than before.
        ([5.0, 3.0, 4.0], [1, 2, 3]),
    ],
)
def test_failures_count_until_the_worker_gets_further(progress: list[float], failures: list[int]) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    child = _Child("policy", process, furthest=0.0)
    counted = []
    for reached in progress:
        child.back_off(reached)
        counted.append(child.failures)
        assert child.restart_s is not None
        assert child.restart_s - time.monotonic() <= 0.5 * 2 ** (child.failures - 1)
    assert counted == failures


def test_max_restarts_of_0_restarts_nothing_however_long_a_worker_lived(tmp_path: Path) -> None:
    config = RunConfig(env=EnvConfig("prefrl/PenguinIce-v0"), runtime=RuntimeConfig(max_restarts=0))
    run = create_run(tmp_path / "run", config, spaces_of(config.env))
    launcher = ProcessLauncher(run, "prefrl_agents.factory:build_agent")
    ended = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
    ended.wait()
    with Store.open(run.store) as store:
        store.set_counters({"policy_step": 1000.0})
    launcher._children = {"policy": _Child("policy", ended)}
    with pytest.raises(RunFailedError, match="policy process failed once"):
        launcher._supervise()
