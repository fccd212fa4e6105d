"""A piece of a long run: trains a preset for so many minutes more, and says how far it has come.

``python -m benchmarks.atari_piece pong --run DIR --minutes 30`` begins the run or goes on with it, stops it when the
time is over, evaluates the agent, and prints the result so far as the last line. The folder may be carried to another
machine in between.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from prefrl.run_dir import RunDir, read_metrics
from prefrl.store import Episode, Store

__all__ = ["curve_of", "label_curve"]

_POINTS = 200
_SMOOTHED_EPISODES = 20


def train(path: Path, preset: str, seed: int, minutes: float) -> bool:
    """Train for so long at most; returns whether the run is finished."""
    from prefrl.environments import check_environment
    from prefrl.presets import get_preset

    if not (path / "config.json").exists():
        config = replace(get_preset(preset).config, seed=seed)
        RunDir.create(path, config).write_specs(*check_environment(config))
    command = [sys.executable, "-m", "prefrl.cli", "resume", str(path)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    ends_s = time.monotonic() + 60 * minutes
    while process.poll() is None and time.monotonic() < ends_s:
        time.sleep(1)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    if process.wait() not in (0, 130):
        raise RuntimeError(f"the run ended with exit status {process.returncode}; see {RunDir(path).logs}")
    return RunDir(path).result.exists()


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
        curve = curve_of(store.recent_episodes(sys.maxsize), run)
    training_s = counters.get("training_s", 0.0)
    return result | {
        "steps": int(counters["policy_step"]),
        "steps_asked": config.steps,
        "labels": labels,
        "labels_asked": config.labels,
        "training_s": training_s,
        "steps_per_s": counters["policy_step"] / training_s,
        "is_finished": is_finished,
        "curve": curve,
    }


def curve_of(episodes: Sequence[Episode], run: RunDir) -> list[dict[str, float]]:
    """True return of the training episodes, a running mean, over steps and over the labels there were then."""
    steps = [episode.policy_step for episode in episodes]
    returns = [episode.true_return for episode in episodes]
    ends = range(min(_SMOOTHED_EPISODES, len(returns)), len(returns) + 1)
    chosen = (
        [int(end) for end in np.unique(np.linspace(ends.start, ends.stop - 1, _POINTS).round())]
        if returns
        else []
    )
    labels = label_curve(run)
    return [
        {
            "steps": steps[end - 1],
            "labels": float(np.interp(steps[end - 1], *labels)),
            "true_return": float(np.mean(returns[max(0, end - _SMOOTHED_EPISODES) : end])),
        }
        for end in chosen
        if end
    ]


def label_curve(run: RunDir) -> tuple[list[float], list[float]]:
    """Steps, and the labels that the learned reward had seen by then."""
    records = [r for r in read_metrics(run.metrics) if r.get("source") == "reward"]
    return [0.0, *(r["policy_step"] for r in records)], [0.0, *(r["labels"] for r in records)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("preset")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--episodes", type=int, default=10)
    options = parser.parse_args()
    is_finished = train(options.run, options.preset, options.seed, options.minutes)
    print(json.dumps(summary(options.run, options.episodes, is_finished)))


if __name__ == "__main__":
    main()
