"""Which workers of a run are alive, judged by their heartbeats and processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prefrl.storage import WorkerStatus

__all__ = ["Life", "WorkerView", "view_worker", "worker_life"]

Life = Literal["not started", "alive", "silent", "gone", "failed", "stopped", "finished"]

PATIENCE_S = 30.0
"""seconds without a heartbeat after which a process counts as silent"""
PATIENCE_BY_STATE_S = {"fitting": 120.0, "evaluating": 600.0, "fine-tuning": 600.0}
"""the same for states that last long without a heartbeat: an epoch on images or texts, whole episodes"""


@dataclass(frozen=True)
class WorkerView:
    """A worker as seen from another process."""

    name: str
    life: Life = "not started"
    """"gone": its process ended without reporting it; "silent": it exists, but its last heartbeat is old"""
    state: str = ""
    """what it was doing at its last heartbeat"""
    detail: str = ""
    pid: int = 0
    silence_s: float = 0.0
    """seconds since its last heartbeat"""


def worker_life(state: str, silence_s: float, has_process: bool) -> Life:
    """State of a worker, given its last heartbeat and whether its process still exists."""
    endings: Mapping[str, Life] = {"failed": "failed", "stopped": "stopped", "finished": "finished"}
    if state in endings:
        return endings[state]
    if not has_process:
        return "gone"
    return "silent" if silence_s > PATIENCE_BY_STATE_S.get(state, PATIENCE_S) else "alive"


def view_worker(beat: WorkerStatus, now_s: float, is_finished: bool) -> WorkerView:
    """A worker as its last heartbeat shows it; all workers of a finished run are finished."""
    silence_s = max(0.0, now_s - beat.beat_s)
    life = "finished" if is_finished else worker_life(beat.state, silence_s, _has_process(beat.pid))
    return WorkerView(beat.name, life, beat.state, beat.detail, beat.pid, silence_s)


def _has_process(pid: int) -> bool:
    if os.name == "nt":
        # On Windows signal 0 is Ctrl-C, so only silence can tell.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
