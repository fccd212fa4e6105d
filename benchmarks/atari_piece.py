"""A piece of a long run: trains a preset for so many minutes more, and says how far it has come.

``python -m benchmarks.atari_piece pong --run DIR --minutes 30`` begins the run or goes on with it, stops it when the
time is over, evaluates the agent, and prints the result so far as the last line. The folder may be carried to another
machine in between. With ``--kill-every 4``, every 4 minutes in the mean SIGKILL ends one of its processes, or all of
them, whereupon ``prefrl resume`` goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kill_run import TARGETS
from prefrl.storage import Store
from prefrl.storage.metrics_file import read_metrics
from prefrl.storage.run_dir import RunDir

__all__ = ["curve_of"]

_POINTS = 200


def train(path: Path, preset: str, seed: int, minutes: float, killer: Killer | None = None) -> bool:
    """Train for so long at most; returns whether the run is finished."""
    from prefrl.loop.environments import check_environment
    from prefrl.presets import get_preset

    if not (path / "config.json").exists():
        config = replace(get_preset(preset).config, seed=seed)
        RunDir.create(path, config).write_specs(*check_environment(config))
    process = _resume(path)
    ends_s = time.monotonic() + 60 * minutes
    try:
        while process.poll() is None and time.monotonic() < ends_s:
            time.sleep(1)
            if killer is not None and killer.strike(path, process):
                process = _resume(path)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        exit_status = process.wait()
    if exit_status not in (0, 130):
        raise RuntimeError(f"the run ended with exit status {exit_status}; see {RunDir(path).logs}")
    return RunDir(path).result.exists()


def _resume(path: Path) -> subprocess.Popen[bytes]:
    """The run in a session of its own, so that all its processes can be killed together."""
    command = [sys.executable, "-m", "prefrl.cli", "resume", str(path)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True)


class Killer:
    """Ends processes of a run at random, at moments as of a Poisson process.

    Args:
        every_minutes: mean time between two kills.
        seed: of targets and moments.
    """

    def __init__(self, every_minutes: float, seed: int) -> None:
        self.kills: list[dict[str, Any]] = []
        """target and the policy's step of each"""
        self._every_s, self._rng = 60 * every_minutes, np.random.default_rng(seed)
        self._due_s = self._next_s()

    def strike(self, path: Path, launcher: subprocess.Popen[bytes]) -> bool:
        """Kill a target where one is due; returns whether everything was killed, the launcher included."""
        if time.monotonic() < self._due_s:
            return False
        self._due_s = self._next_s()
        target = str(self._rng.choice(TARGETS))
        with Store.open(RunDir(path).store) as store:
            pids = {status.name: status.pid for status in store.workers()}
            self.kills.append({"target": target, "steps": int(store.counters().get("policy_step", 0))})
        if target == "all":
            os.killpg(launcher.pid, signal.SIGKILL)
            launcher.wait()
            return True
        # A worker that is through is gone, and one that is being restarted has no process yet.
        with contextlib.suppress(ProcessLookupError, KeyError):
            os.kill(pids[target], signal.SIGKILL)
        return False

    def _next_s(self) -> float:
        return time.monotonic() + float(self._rng.exponential(self._every_s))


def summary(path: Path, episodes: int, is_finished: bool) -> dict[str, Any]:
    """What the run has come to so far, its agent evaluated on so many episodes."""
    run = RunDir(path)
    config = run.config()
    if is_finished:
        result: dict[str, Any] = json.loads(run.result.read_text())
    else:
        command = [sys.executable, "-m", "prefrl.cli", "eval", str(path), "--episodes", str(episodes)]
        evaluated = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        result = json.loads(evaluated.splitlines()[-1])
    with Store.open(run.store) as store:
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
        "curve": curve_of(run),
    }


def curve_of(run: RunDir) -> list[dict[str, float]]:
    """True return of the training episodes, a running mean of 20, over steps and the labels that the reward had seen.

    What an agent that was killed did after it was last saved is left out: it did it again.
    """
    records, _ = read_metrics(run.metrics)
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
    chosen = np.unique(np.linspace(0, len(kept) - 1, _POINTS).round().astype(int))
    return [kept[::-1][index] for index in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("preset")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--kill-every", type=float, metavar="MINUTES")
    options = parser.parse_args()
    killer = None if options.kill_every is None else Killer(options.kill_every, options.seed)
    is_finished = train(options.run, options.preset, options.seed, options.minutes, killer)
    kills = {} if killer is None else {"kills": killer.kills}
    print(json.dumps(summary(options.run, options.episodes, is_finished) | kills))


if __name__ == "__main__":
    main()
