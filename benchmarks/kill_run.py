"""One run in which something is killed at a random moment: the job of kills.py.

``python -m benchmarks.kill_run --target policy --seed 3 --run DIR`` starts a small run, kills the target (a
worker, or "all": the workers and the launcher) at a moment drawn from the seed, lets the launcher or
``prefrl resume`` go on, and prints, as the last line, whether the run finished and what became of the
comparisons acknowledged before.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prefrl.data.types import Comparison
from prefrl.runtime.result import read_result
from prefrl.storage import Store, StoreError, WorkerStatus
from prefrl.storage.run_dir import RunDir

__all__ = ["LABELS", "STEPS", "TARGETS", "train_words"]

TARGETS = ("policy", "oracle", "reward", "all")
LABELS, STEPS = 60, 8_000
POLL_S = 0.002
LONGEST_S = 300.0
"""a run that has not ended by then hangs"""


@dataclass(frozen=True)
class Moment:
    """What there was just before the kill."""

    label: int
    """labels that had to be there first"""
    delay_s: float
    """seconds waited from then on"""
    state: str
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


def start(words: list[str]) -> subprocess.Popen[bytes]:
    """The command line in a session of its own, so that all its processes can be killed together."""
    command = [sys.executable, "-m", "prefrl.cli", *words]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True)


def strike(run: RunDir, launcher: subprocess.Popen[bytes], target: str, seed: int) -> Moment | None:
    """Kill the target at its moment; None when the run was over before.

    The moment is a label drawn from 0 to all but the last, and up to a second more, so that kills fall into
    start-up, fitting, rollouts and saving alike.
    """
    rng = np.random.default_rng([seed, TARGETS.index(target)])
    label, delay_s = int(rng.integers(LABELS)), float(rng.uniform(0, 1))
    while launcher.poll() is None:
        status = _status(run, target, label)
        if status is not None:
            break
        time.sleep(POLL_S)
    time.sleep(delay_s)
    with Store.open(run.store) as store:
        acknowledged = store.comparisons()
        policy_step = int(store.counters().get("policy_step", 0))
    # The worker may have been done, and its process ended, in the meantime.
    status = _status(run, target, label)
    if launcher.poll() is not None or status is None or not _kill(status.pid, launcher.pid, target):
        return None
    return Moment(label, delay_s, status.state, acknowledged, policy_step)


def _kill(pid: int, group: int, target: str) -> bool:
    """Whether it was there to be killed."""
    try:
        if target == "all":
            os.killpg(group, signal.SIGKILL)
        elif os.getpgid(pid) != group:
            return False
        else:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _status(run: RunDir, target: str, labels: int) -> WorkerStatus | None:
    """The heartbeat of the target (of the policy, for all) once the labels are there."""
    try:
        with Store.open(run.store) as store:
            statuses = {status.name: status for status in store.workers()}
            if store.counts().labels < labels:
                return None
    except StoreError:  # not made yet
        return None
    return statuses.get("policy" if target == "all" else target)


def outcome(run: RunDir, moment: Moment | None, exit_status: int, seconds: float) -> dict[str, Any]:
    """Whether it finished with all labels and steps, and what is left of what was acknowledged."""
    with Store.open(run.store) as store:
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


def run_and_kill(path: Path, target: str, seed: int) -> dict[str, Any]:
    """Run, kill, go on to the end."""
    start_s = time.monotonic()
    run = RunDir(path)
    launcher = start(train_words(seed, path))
    try:
        moment = strike(run, launcher, target, seed)
        if target == "all" and moment is not None:
            launcher.wait()
            launcher = start(["resume", str(path)])
        exit_status = launcher.wait(LONGEST_S)
    finally:
        if launcher.poll() is None:
            os.killpg(launcher.pid, signal.SIGKILL)
    return outcome(run, moment, exit_status, time.monotonic() - start_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", choices=TARGETS, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, required=True, help="run directory to make")
    options = parser.parse_args()
    print(json.dumps(run_and_kill(options.run, options.target, options.seed)))


if __name__ == "__main__":
    main()
