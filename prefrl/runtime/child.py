"""One worker in a process of its own: ``python -m prefrl.runtime.child ROLE RUN FACTORY``.

The processes share the run directory and nothing else, so any of them can be killed and started again, by the
launcher or by hand.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import cast

import torch
from filelock import FileLock, Timeout

from prefrl.config import ROLES
from prefrl.loop import Heartbeat, PolicyWorker, StopFlag, keep_heap
from prefrl.loop.agent import AgentFactory
from prefrl.loop.assemble import Worker, make_worker
from prefrl.runtime.exit_status import ExitStatus
from prefrl.storage import Store, StoreError
from prefrl.storage.run_dir import RunDir

__all__ = ["main"]

_IDLE_S = 0.02
_LOCK_POLL_S = 0.2
_NICENESS = 10


def main(arguments: list[str] | None = None) -> int:
    """Run one worker until it is finished or asked to stop; returns an `ExitStatus`."""
    parser = argparse.ArgumentParser(prog="python -m prefrl.runtime.child")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("run", type=Path)
    parser.add_argument("factory", help="module:function that builds the agent")
    parser.add_argument("--threads", type=int, default=1, help="torch threads of this process")
    parser.add_argument("--supervised", action="store_true", help="end when standard input closes")
    parser.add_argument("--trust", action="store_true", help="let the run's folder execute code")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    keep_heap()
    stop = StopFlag()
    signal.signal(signal.SIGTERM, stop.set)
    # Ctrl-C reaches every process of the terminal; supervised ones wait for the launcher's word.
    signal.signal(signal.SIGINT, signal.SIG_IGN if options.supervised else stop.set)
    if options.supervised:
        threading.Thread(target=_stop_with_parent, args=(stop,), daemon=True).start()
    run = RunDir.open(options.run)
    with Store.open(run.store) as store:
        heartbeat = Heartbeat(store, options.role)
        try:
            return _work(options, run, store, stop, heartbeat)
        except Exception as error:
            traceback.print_exc()
            is_hopeless = isinstance(error, _CannotBeBuiltError)
            reason = error.__cause__ if is_hopeless else error
            heartbeat.beat("failed", f"{type(reason).__name__}: {reason}")
            return ExitStatus.HOPELESS if is_hopeless else ExitStatus.FAILED


class _CannotBeBuiltError(Exception):
    """The worker cannot be built; the cause says why."""


def _work(
    options: argparse.Namespace, run: RunDir, store: Store, stop: StopFlag, heartbeat: Heartbeat
) -> ExitStatus:
    lock = FileLock(run.lock(options.role))
    if not _acquire(lock, options.role, stop, heartbeat):
        return ExitStatus.STOPPED
    heartbeat.beat("starting")
    if run.config().oracle.asks_people:
        _make_way()
    worker = _build(options, run, store, stop)
    _run_worker(worker, stop)
    if stop.is_set and isinstance(worker, PolicyWorker) and not worker.finished:
        worker.save()
    is_finished = worker.finished
    heartbeat.beat("finished" if is_finished else "stopped")
    return ExitStatus.FINISHED if is_finished else ExitStatus.STOPPED


def _make_way() -> None:
    """Let the window where people label come first on busy cores: they wait for it, and nobody for a step."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)


def _acquire(lock: FileLock, role: str, stop: StopFlag, heartbeat: Heartbeat) -> bool:
    """Become the only process of this role; False when asked to stop before."""
    while not stop.is_set:
        try:
            lock.acquire(timeout=0)
            return True
        except Timeout:
            # A process of an earlier launch may still be on its way out.
            heartbeat.beat("waiting", f"another process is this run's {role}")
            stop.sleep(_LOCK_POLL_S)
    return False


def _build(options: argparse.Namespace, run: RunDir, store: Store, stop: StopFlag) -> Worker:
    try:
        return make_worker(options.role, run, store, _load(options.factory), stop, options.trust)
    except StoreError:
        # Another process may have held the store for too long.
        raise
    except (ValueError, TypeError, AttributeError, ImportError) as error:
        raise _CannotBeBuiltError(f"the {options.role} worker cannot be built") from error


def _run_worker(worker: Worker, stop: StopFlag) -> None:
    while not worker.finished and not stop.is_set:
        if not worker.step():
            stop.sleep(_IDLE_S)


def _load(reference: str) -> AgentFactory:
    module, _, name = reference.partition(":")
    return cast(AgentFactory, getattr(importlib.import_module(module), name))


def _stop_with_parent(stop: StopFlag) -> None:
    """The launcher holds the other end of standard input; it closes when the launcher ends, in any way."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
