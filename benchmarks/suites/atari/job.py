"""A piece of a long run: train a preset for some minutes more and report how far it is.

``python -m benchmarks.suites.atari.job pong --run DIR --minutes 30`` starts the run or continues it, stops it when the
time is up, evaluates the agent, and prints the result so far as the last line. The folder may be moved to another
machine between two calls. With ``--kill-every 4``, SIGKILL ends one of its processes, or all of them, every 4 minutes
on average, after which the launcher or ``prefrl resume`` continues.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import job_parser, prefrl_command, print_result
from benchmarks.harness.processes import TARGETS, kill_all, start, stop
from benchmarks.harness.runs import (
    config_of,
    create_run,
    has_result,
    is_created,
    open_store,
    read_result,
    recorded_metrics,
)
from prefrl.presets import get_preset

__all__ = ["curve_of"]

_CURVE_POINTS = 200


def train(run: Path, preset: str, seed: int, minutes: float, killer: Killer | None = None) -> None:
    """Train for at most this many minutes.

    Raises:
        RuntimeError: when the run failed.
    """
    if not is_created(run):
        create_run(run, replace(get_preset(preset).config, seed=seed))
    process = start("resume", str(run))
    ends_s = time.monotonic() + 60 * minutes
    try:
        while process.poll() is None and time.monotonic() < ends_s:
            time.sleep(1)
            if killer is not None and killer.kill_if_due(run, process):
                process = start("resume", str(run))
    finally:
        stop(process, run)


class Killer:
    """Kills processes of a run at the moments of a Poisson process.

    Args:
        every_minutes: mean time between two kills.
        seed: of targets and moments.
    """

    def __init__(self, every_minutes: float, seed: int) -> None:
        self.kills: list[dict[str, Any]] = []
        """target, and step of the policy, of each kill"""
        self._every_s, self._rng = 60 * every_minutes, np.random.default_rng(seed)
        self._due_s = self._next_s()

    def kill_if_due(self, run: Path, launcher: subprocess.Popen[bytes]) -> bool:
        """Kill a target when one is due; returns whether all processes were killed, including the launcher."""
        if time.monotonic() < self._due_s:
            return False
        self._due_s = self._next_s()
        target = str(self._rng.choice(TARGETS))
        with open_store(run) as store:
            pids = {status.name: status.pid for status in store.workers()}
            self.kills.append({"target": target, "steps": int(store.counters().get("policy_step", 0))})
        if target == "all":
            kill_all(launcher)
            return True
        # A worker that has finished is gone, and one that is being restarted has no process yet.
        with contextlib.suppress(ProcessLookupError, KeyError):
            os.kill(pids[target], signal.SIGKILL)
        return False

    def _next_s(self) -> float:
        return time.monotonic() + float(self._rng.exponential(self._every_s))


def summary(run: Path, episodes: int) -> dict[str, Any]:
    """The result so far; the agent of an unfinished run is evaluated on this many episodes."""
    config, is_finished = config_of(run), has_result(run)
    result = _result(run) if is_finished else _evaluation(run, episodes)
    with open_store(run) as store:
        counters, labels = store.counters(), store.counts().labels
    training_s = counters.get("training_s", 0.0)
    return result | {
        "steps": int(counters["policy_step"]),
        "steps_asked": config.steps,
        "labels": labels,
        "labels_asked": config.labels,
        "training_s": training_s,
        "steps_per_s": counters["policy_step"] / training_s,
        "is_finished": is_finished,
        "curve": curve_of(recorded_metrics(run)),
    }


def _result(run: Path) -> dict[str, Any]:
    result = read_result(run)
    assert result is not None
    return asdict(result)


def _evaluation(run: Path, episodes: int) -> dict[str, Any]:
    command = prefrl_command("eval", str(run), "--episodes", str(episodes))
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    evaluated: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return evaluated


def curve_of(records: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """Running mean of 20 training episodes' true return, over steps and the labels the reward had been fitted to.

    What a killed agent did after it was last saved is left out, since the resumed agent did it again.

    Args:
        records: of the run's ``metrics.jsonl``, oldest first.
    """
    fits = [record for record in records if record["source"] == "reward"]
    fit_steps = np.maximum.accumulate([0.0, *(fit["policy_step"] for fit in fits)])
    fit_labels = [0.0, *(fit["labels"] for fit in fits)]
    kept: list[dict[str, float]] = []
    for record in reversed(records):
        if "true_return" in record and (not kept or record["policy_step"] < kept[-1]["steps"]):
            steps, labels = record["policy_step"], np.interp(record["policy_step"], fit_steps, fit_labels)
            kept.append({"steps": steps, "labels": float(labels), "true_return": record["true_return"]})
    if not kept:
        return []
    chosen = np.unique(np.linspace(0, len(kept) - 1, _CURVE_POINTS).round().astype(int))
    return [kept[::-1][index] for index in chosen]


def main() -> None:
    """Train and print the result so far."""
    parser = job_parser(__doc__)
    parser.add_argument("preset")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--kill-every", type=float, metavar="MINUTES")
    options = parser.parse_args()
    killer = None if options.kill_every is None else Killer(options.kill_every, options.seed)
    train(options.run, options.preset, options.seed, options.minutes, killer)
    kills = {} if killer is None else {"kills": killer.kills}
    print_result(summary(options.run, options.episodes) | kills)


if __name__ == "__main__":
    main()
