"""Launches a run with a live panel, and prints its result: used by `prefrl train` and `prefrl resume`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict

from prefrl.cli.panel import Progress
from prefrl.runtime.child_command import child_environment, module_command
from prefrl.runtime.result import Result
from prefrl.storage.run_dir import RunDir

__all__ = ["AGENT_FACTORY", "launch"]

AGENT_FACTORY = "prefrl_agents.factory:build_agent"


def launch(run: RunDir, opens_viewer: bool = False, trust: bool = True) -> int:
    """Start or continue a run; returns 0 when it finished and 130 when Ctrl-C stopped it.

    Args:
        run: the run directory.
        opens_viewer: whether to open a labelling window.
        trust: whether the run directory may execute code; True for a new run, which holds the user's own settings.

    Raises:
        RunFailedError: when a worker keeps failing.
    """
    with _viewer(run, trust) if opens_viewer else nullcontext():
        is_serial = run.config().runtime.launcher == "serial"
        result = _launch_serial(run, trust) if is_serial else _launch_processes(run, trust)
    if result is None:
        print(f"stopped; continue with: prefrl resume {run.path}", file=sys.stderr)
        return 130
    print(json.dumps(asdict(result)))
    return 0


@contextmanager
def _viewer(run: RunDir, trust: bool) -> Iterator[None]:
    """Show a labelling window in a separate process, closed when the run ends; closing it does not stop the run."""
    with run.log("viewer").open("ab") as log:
        process = subprocess.Popen(
            [*module_command("prefrl"), "label", str(run.path), *(["--trust"] if trust else [])],
            env=child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    is_ending = threading.Event()
    watch = threading.Thread(target=_report_when_closed, args=(process, run, is_ending), daemon=True)
    watch.start()
    try:
        yield
    finally:
        is_ending.set()
        process.terminate()
        watch.join()


def _report_when_closed(process: subprocess.Popen[bytes], run: RunDir, is_ending: threading.Event) -> None:
    """Print a note when the window closes during the run: training continues, but labels will not arrive."""
    status = process.wait()
    if is_ending.is_set():
        return
    why = f"failed, see {run.log('viewer')}" if status else "was closed"
    print(f"the window {why}; continue labelling with: prefrl label {run.path}", file=sys.stderr)


def _launch_processes(run: RunDir, trust: bool) -> Result | None:
    from prefrl.runtime.processes import ProcessLauncher

    with Progress(run) as progress:
        launcher = ProcessLauncher(run, AGENT_FACTORY, progress.tick, trust)
        signal.signal(signal.SIGINT, lambda *_: launcher.stop())
        signal.signal(signal.SIGTERM, lambda *_: launcher.stop())
        return launcher.launch()


def _launch_serial(run: RunDir, trust: bool) -> Result | None:
    from prefrl.loop import keep_heap
    from prefrl.runtime.serial import SerialLauncher
    from prefrl_agents.factory import build_agent

    keep_heap()
    with Progress(run) as progress:
        launcher = SerialLauncher(run, build_agent, progress.tick, trust)
        signal.signal(signal.SIGINT, launcher.stop.set)
        signal.signal(signal.SIGTERM, launcher.stop.set)
        return launcher.launch()
