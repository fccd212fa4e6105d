"""Each worker in a process of its own, supervised."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from prefrl.config import ROLES
from prefrl.runtime.child_command import child_environment, module_command
from prefrl.runtime.clock import WallClock
from prefrl.runtime.exit_status import ExitStatus
from prefrl.runtime.result import Result, write_result
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir
from prefrl.storage.run_lock import RunLock

__all__ = ["ProcessLauncher", "RunFailedError", "threads_by_role"]

_TICK_S = 0.1
_FIRST_BACK_OFF_S = 0.5
_GRACE_S = 30.0


class RunFailedError(RuntimeError):
    """A worker cannot be built, or kept failing."""


def threads_by_role(cores: int) -> dict[str, int]:
    """Torch threads for each worker; together no more than the cores, but at least one each.

    Oracle work is small. Where threads of two processes share a core they spin against each other.
    """
    spare = max(cores - 1, 2)
    return {"policy": spare - spare // 2, "oracle": 1, "reward": spare // 2}


@dataclass
class _Child:
    role: str
    process: subprocess.Popen[bytes]
    failures: int = 0
    """in a row, without the worker having got any further in between"""
    furthest: float = 0.0
    """how far it had come at its last failure, see `_progress`"""
    restart_s: float | None = None
    """when to start it again, on the monotonic clock; None while it runs"""

    def back_off(self, progress: float) -> None:
        """Count a failure and plan the restart, later and later where the worker gets no further."""
        self.failures = 1 if progress > self.furthest else self.failures + 1
        self.furthest = max(self.furthest, progress)
        self.restart_s = time.monotonic() + _FIRST_BACK_OFF_S * 2 ** (self.failures - 1)


class ProcessLauncher:
    """Starts the three workers of a run, restarts those that die, and gathers the result.

    Args:
        run: made by `RunDir.create`, or left by an earlier launch.
        factory: ``module:function`` that builds the agent, see `prefrl.loop.assemble.AgentFactory`.
        on_tick: called ten times a second, to show progress.
        trust: whether the user's own command lets the run's folder execute code.
    """

    def __init__(
        self, run: RunDir, factory: str, on_tick: Callable[[], None] = lambda: None, trust: bool = False
    ) -> None:
        self._run, self._factory, self._on_tick, self._trust = run, factory, on_tick, trust
        self._config = run.config()
        self._children: dict[str, _Child] = {}
        self._is_stopping = False

    def stop(self) -> None:
        """End the workers at the next good moment; the agent is saved first."""
        self._is_stopping = True

    def launch(self) -> Result | None:
        """Run until all three have finished; None when stopped before.

        Raises:
            RunFailedError: when a worker cannot be built, or failed more often in a row than
                ``runtime.max_restarts``.
            RunDirError: when another launcher holds the run.
        """
        with RunLock(self._run), WallClock(self._run) as clock, self:
            self._children = {role: self._start(role) for role in ROLES}
            while self._children and not self._is_stopping:
                self._supervise()
                clock.tick()
                self._on_tick()
                time.sleep(_TICK_S)
        return None if self._is_stopping else write_result(self._run)

    def _start(self, role: str) -> _Child:
        threads = threads_by_role(os.cpu_count() or 1)[role]
        command = [*module_command("prefrl.runtime.child"), role, str(self._run.path), self._factory]
        # OpenMP reads its variable when torch is loaded, before any call could set the number.
        environment = child_environment(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
        with self._run.log(role).open("ab") as log:
            process = subprocess.Popen(
                [*command, "--threads", str(threads), "--supervised", *(["--trust"] if self._trust else [])],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
            )
        return _Child(role, process)

    def _supervise(self) -> None:
        for role, child in list(self._children.items()):
            if child.restart_s is not None:
                if time.monotonic() >= child.restart_s:
                    again = self._start(role)
                    again.failures, again.furthest = child.failures, child.furthest
                    self._children[role] = again
                continue
            status = child.process.poll()
            if status is not None:
                _let_go(child.process)
            if status == ExitStatus.FINISHED:
                del self._children[role]
            elif status is not None:
                child.back_off(self._progress(role))
                if status == ExitStatus.HOPELESS or child.failures > self._config.runtime.max_restarts:
                    raise RunFailedError(self._why(child))

    def _progress(self, role: str) -> float:
        """How far a worker has come, so that one that keeps failing at the same point is not restarted without end."""
        with Store.open(self._run.store) as store:
            counters, counts = store.counters(), store.counts()
        if role == "policy":
            return counters.get("policy_step", 0.0) + counters.get("trained", 0.0)
        if role == "oracle":
            return float(counts.queries + counts.comparisons)
        return counters.get("reward_version", 0.0) + counters.get("reward_comparison", 0.0)

    def _why(self, child: _Child) -> str:
        with Store.open(self._run.store) as store:
            said = next(
                (w.detail for w in store.workers() if w.name == child.role and w.state == "failed"), ""
            )
        status = child.process.returncode
        count = "once" if child.failures == 1 else f"{child.failures} times in a row"
        what = "cannot be started" if status == ExitStatus.HOPELESS else f"failed {count}"
        return (
            f"the {child.role} process {what} ({said or f'exit status {status}'}); "
            f"its log is {self._run.log(child.role)}; once mended, `prefrl resume {self._run.path}` goes on"
        )

    def __enter__(self) -> ProcessLauncher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End whatever still runs: a word, thirty seconds, then the kill."""
        living = [child.process for child in self._children.values() if child.process.poll() is None]
        for process in living:
            process.terminate()
        deadline_s = time.monotonic() + _GRACE_S
        for process in living:
            try:
                process.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _let_go(process)


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """Close our end of an ended process's standard input."""
    if process.stdin is not None:
        process.stdin.close()
