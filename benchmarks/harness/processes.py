"""`prefrl` as a process beside the job: started, interrupted, killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .commands import prefrl_command
from .runs import log_folder

__all__ = ["TARGETS", "kill_all", "printed_result", "start", "stop", "training"]

TARGETS = ("policy", "oracle", "reward", "all")
"""what a benchmark kills: one worker, or all processes of a run, its launcher included"""
_INTERRUPTED = 130
"""exit status of a run that was stopped by Ctrl-C"""


def start(*words: str) -> subprocess.Popen[bytes]:
    """Start prefrl in a new session, so that all its processes can be killed together."""
    return subprocess.Popen(
        prefrl_command(*words), stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
    )


def stop(process: subprocess.Popen[bytes], run: Path) -> None:
    """Interrupt the run as Ctrl-C does, unless it has ended, and wait for it.

    Raises:
        RuntimeError: when the run failed.
    """
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    status = process.wait()
    if status not in (0, _INTERRUPTED):
        raise RuntimeError(f"the run ended with exit status {status}; its logs are in {log_folder(run)}")


def kill_all(launcher: subprocess.Popen[bytes]) -> None:
    """Kill every process of a run that `start` began and wait for its launcher."""
    os.killpg(launcher.pid, signal.SIGKILL)
    launcher.wait()


@contextmanager
def training(*words: str) -> Iterator[subprocess.Popen[str]]:
    """``prefrl train`` with its output kept for `printed_result`; interrupted if it is still running at the end."""
    process = subprocess.Popen(
        prefrl_command("train", *words), stdout=subprocess.PIPE, stderr=sys.stderr, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait()


def printed_result(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for the training; its result, or an empty one when it was interrupted before it had any."""
    printed, _ = process.communicate()
    return json.loads(printed.splitlines()[-1]) if printed.strip() else {}
