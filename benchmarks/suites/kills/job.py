"""One run in which a process is killed at a random moment.

``python -m benchmarks.suites.kills.job --target policy --seed 3 --run DIR`` starts a small run, kills the target (a
worker, or "all": the workers and the launcher) at a moment drawn from the seed, lets the launcher or ``prefrl resume``
continue, and prints, as the last line, whether the run finished and whether the comparisons acknowledged before the
kill are still there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import job_parser, print_result
from benchmarks.harness.processes import TARGETS, kill_all, start
from benchmarks.harness.runs import open_store, read_result, try_open_store
from prefrl.data.types import Comparison
from prefrl.storage import WorkerStatus

__all__ = ["LABELS", "STEPS", "train_words"]

LABELS, STEPS = 60, 8_000
POLL_S = 0.002
TIMEOUT_S = 300.0
"""a run that has not ended by then hangs"""


@dataclass(frozen=True)
class Moment:
    """The run just before the kill."""

    state: str
    """of the killed worker; of the policy, for all"""
    acknowledged: list[Comparison]
    policy_step: int


def train_words(seed: int, run: Path) -> list[str]:
    """The command line of the run, small enough to be killed often."""
    return [
        *("train", "penguin", "--run", str(run), "--seed", str(seed), "--eval-episodes", "3"),
        *("--labels", str(LABELS), "--steps", str(STEPS), "--queries.batch", "5"),
        *("--reward.initial-epochs", "20", "--reward.epochs-per-update", "5", "--reward.hidden", "32"),
        *("--runtime.checkpoint-steps", "1000"),
    ]


def kill_at_random(run: Path, launcher: subprocess.Popen[bytes], target: str, seed: int) -> Moment | None:
    """Kill the target at a random moment; None when the run had ended before.

    The moment is up to a second after a number of labels, drawn from 0 to all but the last, so that kills hit
    start-up, fitting, rollouts and saving.
    """
    rng = np.random.default_rng([seed, TARGETS.index(target)])
    labels, delay_s = int(rng.integers(LABELS)), float(rng.uniform(0, 1))
    while launcher.poll() is None and _status(run, target, labels) is None:
        time.sleep(POLL_S)
    time.sleep(delay_s)
    with open_store(run) as store:
        acknowledged = store.comparisons()
        policy_step = int(store.counters().get("policy_step", 0))
    # The worker may have finished, and its process ended, in the meantime.
    status = _status(run, target, labels)
    if launcher.poll() is not None or status is None or not _kill(status.pid, launcher, target):
        return None
    return Moment(status.state, acknowledged, policy_step)


def _kill(pid: int, launcher: subprocess.Popen[bytes], target: str) -> bool:
    """Whether there was a process to kill."""
    try:
        if target == "all":
            kill_all(launcher)
        elif os.getpgid(pid) != launcher.pid:
            return False
        else:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _status(run: Path, target: str, labels: int) -> WorkerStatus | None:
    """The heartbeat of the target (of the policy, for all) once the store has that many labels."""
    store = try_open_store(run)
    if store is None:
        return None
    with store:
        statuses = {status.name: status for status in store.workers()}
        if store.counts().labels < labels:
            return None
    return statuses.get("policy" if target == "all" else target)


def outcome(run: Path, moment: Moment | None, exit_status: int, seconds: float) -> dict[str, Any]:
    """Whether the run finished with all labels and steps, and what is left of the acknowledged comparisons."""
    with open_store(run) as store:
        comparisons = store.comparisons()
    result = read_result(run)
    is_whole = result is not None and result.labels == LABELS and result.steps >= STEPS
    before = [] if moment is None else moment.acknowledged
    return {
        "was_killed": moment is not None,
        "state": None if moment is None else moment.state,
        "policy_step": None if moment is None else moment.policy_step,
        "acknowledged_before": len(before),
        "acknowledged_after": len(comparisons),
        "lost_or_changed": sum(one != other for one, other in zip(before, comparisons, strict=False))
        + max(0, len(before) - len(comparisons)),
        "finished": exit_status == 0 and is_whole,
        "labels": None if result is None else result.labels,
        "steps": None if result is None else result.steps,
        "seconds": round(seconds, 2),
    }


def run_and_kill(run: Path, target: str, seed: int) -> dict[str, Any]:
    """Start the run, kill the target, and let the run continue to its end."""
    start_s = time.monotonic()
    launcher = start(*train_words(seed, run))
    try:
        moment = kill_at_random(run, launcher, target, seed)
        if target == "all" and moment is not None:
            launcher = start("resume", str(run))
        exit_status = launcher.wait(TIMEOUT_S)
    finally:
        if launcher.poll() is None:
            kill_all(launcher)
    return outcome(run, moment, exit_status, time.monotonic() - start_s)


def main() -> None:
    """Run and print the result."""
    parser = job_parser(__doc__)
    parser.add_argument("--target", choices=TARGETS, required=True)
    parser.add_argument("--run", type=Path, required=True, help="run folder to make")
    options = parser.parse_args()
    print_result(run_and_kill(options.run, options.target, options.seed))


if __name__ == "__main__":
    main()
