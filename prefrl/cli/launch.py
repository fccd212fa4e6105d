"""Runs a run directory to its end, with a live panel, and prints the result."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import asdict

from prefrl.cli.panel import Progress
from prefrl.run_dir import RunDir
from prefrl.runtime.result import Result
from prefrl.store import Store

__all__ = ["AGENT_FACTORY", "launch"]

AGENT_FACTORY = "prefrl.factory:build_agent"


def launch(run: RunDir) -> int:
    """Run, or go on with, ``run``; returns 0 when it finished and 130 when Ctrl-C stopped it.

    Raises:
        RunFailedError: when a worker kept failing.
    """
    # The processes expect the store to be there; making it here is harmless when it is.
    Store.open(run.store, create=True).close()
    result = _launch_serial(run) if run.config().runtime.launcher == "serial" else _launch_processes(run)
    if result is None:
        print(f"stopped; go on with: prefrl resume {run.path}", file=sys.stderr)
        return 130
    print(json.dumps(asdict(result)))
    return 0


def _launch_processes(run: RunDir) -> Result | None:
    from prefrl.runtime.processes import ProcessLauncher

    with Progress(run) as progress:
        launcher = ProcessLauncher(run, AGENT_FACTORY, progress.tick)
        signal.signal(signal.SIGINT, lambda *_: launcher.stop())
        signal.signal(signal.SIGTERM, lambda *_: launcher.stop())
        return launcher.launch()


def _launch_serial(run: RunDir) -> Result | None:
    from prefrl.factory import build_agent
    from prefrl.runtime.serial import SerialLauncher
    from prefrl.workers import keep_heap

    keep_heap()
    with Progress(run) as progress:
        launcher = SerialLauncher(run, build_agent, progress.tick)
        signal.signal(signal.SIGINT, launcher.stop.set)
        signal.signal(signal.SIGTERM, launcher.stop.set)
        return launcher.launch()
