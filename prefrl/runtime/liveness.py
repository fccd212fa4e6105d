"""Which workers of a run live, by their heartbeats and their processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prefrl.storage import WorkerStatus

__all__ = ["Life", "WorkerView", "life_of", "view"]

Life = Literal["not started", "alive", "silent", "gone", "failed", "stopped", "finished"]

PATIENCE_S = 30.0
"""silence after which a process counts as silent"""
PATIENCE_BY_STATE_S = {"fitting": 120.0, "evaluating": 600.0, "fine-tuning": 600.0}
"""the same in states without a beat for long: an epoch on images or texts, whole episodes"""


@dataclass(frozen=True)
class WorkerView:
    """A worker as seen from outside."""

    name: str
    life: Life = "not started"
    """"gone": its process ended without a word; "silent": there, but it has said nothing for long"""
    state: str = ""
    """what it last said it was doing"""
    detail: str = ""
    pid: int = 0
    silence_s: float = 0.0
    """seconds since its last beat"""


def life_of(state: str, silence_s: float, has_process: bool) -> Life:
    """Whether a worker lives, by its last heartbeat and by whether its process is still there."""
    endings: Mapping[str, Life] = {"failed": "failed", "stopped": "stopped", "finished": "finished"}
    if state in endings:
        return endings[state]
    if not has_process:
        return "gone"
    return "silent" if silence_s > PATIENCE_BY_STATE_S.get(state, PATIENCE_S) else "alive"


def view(beat: WorkerStatus, now_s: float, is_finished: bool) -> WorkerView:
    """A worker by its last heartbeat; every worker of a finished run has finished."""
    silence_s = max(0.0, now_s - beat.beat_s)
    life = "finished" if is_finished else life_of(beat.state, silence_s, _has_process(beat.pid))
    return WorkerView(beat.name, life, beat.state, beat.detail, beat.pid, silence_s)


def _has_process(pid: int) -> bool:
    if os.name == "nt":
        # There, signal 0 is Ctrl-C; silence alone has to tell.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
