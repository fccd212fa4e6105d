from __future__ import annotations

import os
import subprocess
import sys

import pytest

from prefrl.runtime.liveness import view_worker, worker_life
from prefrl.storage import WorkerStatus


@pytest.mark.parametrize(
    ("state", "silence_s", "has_process", "life"),
    [
        ("acting", 1.0, True, "alive"),
        ("acting", 40.0, True, "silent"),
        ("fitting", 40.0, True, "alive"),
        ("fitting", 130.0, True, "silent"),
        ("evaluating", 500.0, True, "alive"),
        ("fine-tuning", 500.0, True, "alive"),
        ("acting", 1.0, False, "gone"),
        ("failed", 1.0, False, "failed"),
        ("failed", 1.0, True, "failed"),
        ("stopped", 1e6, False, "stopped"),
        ("finished", 1e6, False, "finished"),
    ],
)
def test_worker_life(state: str, silence_s: float, has_process: bool, life: str) -> None:
    assert worker_life(state, silence_s, has_process) == life


def test_a_worker_without_a_process_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    heartbeat = WorkerStatus("policy", child.pid, "acting", "step 5", beat_s=100.0)
    assert view_worker(heartbeat, now_s=103.0, is_finished=False).life == "alive"
    child.kill()
    child.communicate()
    gone = view_worker(heartbeat, now_s=103.0, is_finished=False)
    assert (gone.life, gone.silence_s, gone.detail) == ("gone", 3.0, "step 5")


def test_workers_of_a_finished_run_are_finished_and_clocks_may_differ() -> None:
    heartbeat = WorkerStatus("oracle", os.getpid(), "answering", "", beat_s=100.0)
    seen = view_worker(heartbeat, now_s=99.0, is_finished=True)
    assert (seen.life, seen.silence_s) == ("finished", 0.0)
