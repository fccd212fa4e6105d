"""One Atari-sized run in three processes, and the memory of each as it goes: the job of memory.py.

``python -m benchmarks.memory_run --run DIR --samples FILE --minutes 60`` starts the run, samples it every
10 s into FILE, stops it when the time is over, and prints its result as the last line. With ``--summarize``
it starts nothing and makes the result from the samples that FILE has so far.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from prefrl.config import RunConfig, ScheduleConfig
from prefrl.loop.environments import spaces_of
from prefrl.presets import get_preset
from prefrl.storage import Store, StoreError
from prefrl.storage.run_dir import RunDir

__all__ = ["PROCESSES", "Sample", "pong", "slope_mib_per_h", "summary"]

PROCESSES = ("policy", "oracle", "reward", "launcher")
STEPS_PER_LABEL = 100
FIRST_LABELS = 50
MOST_STEPS_PER_S = 2000
"""bounds the steps and labels asked for, so that the run lasts as long as the time does"""
SAMPLE_S = 10.0
WINDOWS = 10
STUDENT_T = 2.306
"""97.5% quantile of Student's t with WINDOWS - 2 degrees of freedom"""
SETTLED_SHARE = 0.5
"""slopes are of the samples after this share of the time: at first buffers, caches and the pool fill up"""

Sample = dict[str, float]
"""seconds, steps, labels, segments, store_mib, wal_mib and, for each process P, P_rss_mib and P_pss_mib"""


def pong(minutes: float, seed: int) -> RunConfig:
    """`pong-fast` with labels and versions of the reward ten times as often, so that a leak would show early."""
    steps = int(minutes * 60 * MOST_STEPS_PER_S)
    labels = steps // STEPS_PER_LABEL
    config = get_preset("pong-fast").config
    return replace(
        config,
        reward=replace(config.reward, initial_epochs=1, queries_per_label=3),
        queries=replace(config.queries, batch=100),
        runtime=replace(config.runtime, max_label_lag=500),
        schedule=ScheduleConfig("constant", initial_share=min(0.5, FIRST_LABELS / labels), ends_at=1.0),
        labels=labels,
        steps=steps,
        seed=seed,
        eval_episodes=1,
    )


def sample(run: RunDir, launcher_pid: int, seconds: float) -> Sample:
    """What the run and its processes hold now; a process that is not there is left out."""
    with Store.open(run.store) as store:
        counts, counters = store.counts(), store.counters()
        pids = {worker.name: worker.pid for worker in store.workers()} | {"launcher": launcher_pid}
    taken = {
        "seconds": seconds,
        "steps": counters.get("policy_step", 0.0),
        "labels": counts.labels,
        "reward_version": counters.get("reward_version", 0.0),
        "segments": counts.segments,
        "unqueried": counts.unqueried,
        "store_mib": _size_mib(run.store),
        "wal_mib": _size_mib(run.store.with_name(f"{run.store.name}-wal")),
    }
    for name in PROCESSES:
        if name in pids:
            taken |= {f"{name}_{kind}_mib": size for kind, size in _memory_mib(pids[name]).items()}
    return {name: round(float(value), 2) for name, value in taken.items()}


def _memory_mib(pid: int) -> dict[str, float]:
    """Resident and proportional set size; a page shared by n processes counts as 1/n of one in the latter."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return {}
    fields = {name: rest.split()[0] for name, _, rest in (line.partition(":") for line in lines[1:])}
    return {kind.lower(): int(fields[kind]) / 1024 for kind in ("Rss", "Pss")} if "Rss" in fields else {}


def _size_mib(path: Path) -> float:
    return path.stat().st_size / 2**20 if path.exists() else 0.0


def follow(run: RunDir, samples: Path, minutes: float) -> None:
    """Run it, append a sample every 10 s, and stop it as Ctrl-C would when the time is over.

    Raises:
        RuntimeError: when the run failed.
    """
    start_s = time.monotonic()
    command = [sys.executable, "-m", "prefrl.cli", "resume", str(run.path)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    with samples.open("w", encoding="utf-8") as file:
        while process.poll() is None and time.monotonic() - start_s < 60 * minutes:
            time.sleep(SAMPLE_S)
            try:
                taken = sample(run, process.pid, time.monotonic() - start_s)
            except StoreError:  # not made yet
                continue
            file.write(json.dumps(taken) + "\n")
            file.flush()
    process.send_signal(signal.SIGINT)
    status = process.wait()
    if status not in (0, 130):
        raise RuntimeError(f"the run ended with exit status {status}; its logs are in {run.logs}")


def slope_mib_per_h(points: Sequence[Mapping[str, float]], name: str) -> tuple[float, float] | None:
    """Slope over the second half of the time, and half the width of its 95% interval.

    Least squares through the medians of ten equal windows: memory goes up and down with each fit of the
    reward, and samples of one fit are not independent. None with fewer than two samples a window.
    """
    settled_s = points[-1]["seconds"] * SETTLED_SHARE if points else 0.0
    pairs = [(p["seconds"] / 3600, p[name]) for p in points if p["seconds"] >= settled_s and name in p]
    if len(pairs) < 2 * WINDOWS:
        return None
    windows = np.array_split(np.array(pairs), WINDOWS)
    hours, sizes = np.array([np.median(window, axis=0) for window in windows]).T
    slope, level = np.polyfit(hours, sizes, 1)
    residual = np.sum((sizes - level - slope * hours) ** 2) / (WINDOWS - 2)
    error = np.sqrt(residual / np.sum((hours - hours.mean()) ** 2))
    return float(slope), float(STUDENT_T * error)


def summary(points: Sequence[Sample]) -> dict[str, Any]:
    """The metrics of a run, its samples as the curve; raises ValueError when there is none."""
    if not points:
        raise ValueError("there is no sample yet")
    last = points[-1]
    result: dict[str, Any] = {
        name: last[name] for name in ("steps", "labels", "reward_version", "segments", "store_mib")
    }
    result["minutes"] = round(last["seconds"] / 60, 2)
    result["wal_peak_mib"] = max(point["wal_mib"] for point in points)
    for process in PROCESSES:
        name = f"{process}_rss_mib"
        sizes = [point[name] for point in points if name in point]
        result[f"{process}_peak_mib"] = max(sizes, default=None)
        slope = slope_mib_per_h(points, name)
        result[f"{process}_slope_mib_per_h"] = None if slope is None else round(slope[0], 2)
    return result | {"curve": list(points)}


def read_samples(path: Path) -> list[Sample]:
    """The samples of a file, a last line cut short left out."""
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n") if path.exists() else ("", "", "")
    return [json.loads(line) for line in whole.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="run directory to make")
    parser.add_argument("--samples", type=Path, required=True, help="file of samples, one line of JSON each")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--summarize", action="store_true", help="start nothing; the result of the samples so far"
    )
    options = parser.parse_args()
    if not options.summarize:
        config = pong(options.minutes, options.seed)
        run = RunDir.create(options.run, config)
        run.write_specs(*spaces_of(config.env))
        options.samples.parent.mkdir(parents=True, exist_ok=True)
        follow(run, options.samples, options.minutes)
    print(json.dumps(summary(read_samples(options.samples))))


if __name__ == "__main__":
    main()
