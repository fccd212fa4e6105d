"""One Atari-sized run in three processes, with samples of the memory of each.

``python -m benchmarks.suites.memory.job --run DIR --samples FILE --minutes 60`` starts the run, samples it every 10 s
into FILE, stops it when the time is up, and prints its result as the last line. With ``--summarize`` it starts nothing
and makes the result from the samples in FILE so far.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import job_parser, print_result
from benchmarks.harness.processes import start, stop
from benchmarks.harness.runs import create_run, store_file, try_open_store
from prefrl.config import RunConfig, ScheduleConfig
from prefrl.presets import get_preset
from prefrl.storage import Store

__all__ = ["PROCESSES", "Sample", "pong", "slope_mib_per_h", "summary"]

PROCESSES = ("policy", "oracle", "reward", "launcher")
STEPS_PER_LABEL = 100
FIRST_LABELS = 50
MAX_STEPS_PER_S = 2000
"""bounds the steps and labels asked for, so that the run does not end before the time is up"""
SAMPLE_S = 10.0
WINDOWS = 10
STUDENT_T = 2.306
"""97.5% quantile of Student's t with WINDOWS - 2 degrees of freedom"""
SETTLED_SHARE = 0.5
"""share of the time after which slopes are measured: before, buffers, caches and the segment pool fill up"""

Sample = dict[str, float]
"""seconds, steps, labels, segments, store_mib, wal_mib and, for each process P, P_rss_mib and P_pss_mib"""


def pong(minutes: float, seed: int) -> RunConfig:
    """`pong-fast` with ten times as many labels and reward versions per step, so that a leak shows early."""
    steps = int(minutes * 60 * MAX_STEPS_PER_S)
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


def sample(run: Path, store: Store, launcher_pid: int, seconds: float) -> Sample:
    """The size of the run and the memory of its processes; a process that is not running is left out."""
    counts, counters = store.counts(), store.counters()
    pids = {worker.name: worker.pid for worker in store.workers()} | {"launcher": launcher_pid}
    file = store_file(run)
    taken = {
        "seconds": seconds,
        "steps": counters.get("policy_step", 0.0),
        "labels": counts.labels,
        "reward_version": counters.get("reward_version", 0.0),
        "segments": counts.segments,
        "unqueried": counts.unqueried,
        "store_mib": _size_mib(file),
        "wal_mib": _size_mib(file.with_name(f"{file.name}-wal")),
    }
    for name in PROCESSES:
        if name in pids:
            taken |= {f"{name}_{kind}_mib": size for kind, size in _memory_mib(pids[name]).items()}
    return {name: round(float(value), 2) for name, value in taken.items()}


def _memory_mib(pid: int) -> dict[str, float]:
    """Resident and proportional set size; a page shared by n processes counts 1/n in the latter."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return {}
    fields = {name: rest.split()[0] for name, _, rest in (line.partition(":") for line in lines[1:])}
    return {kind.lower(): int(fields[kind]) / 1024 for kind in ("Rss", "Pss")} if "Rss" in fields else {}


def _size_mib(path: Path) -> float:
    return path.stat().st_size / 2**20 if path.exists() else 0.0


def follow(run: Path, samples: Path, minutes: float) -> None:
    """Continue the run, append a sample every 10 s, and interrupt it when the time is up.

    Raises:
        RuntimeError: when the run failed.
    """
    start_s = time.monotonic()
    process = start("resume", str(run))
    try:
        with samples.open("w", encoding="utf-8") as file:
            while process.poll() is None and time.monotonic() - start_s < 60 * minutes:
                time.sleep(SAMPLE_S)
                store = try_open_store(run)
                if store is not None:
                    with store:
                        taken = sample(run, store, process.pid, time.monotonic() - start_s)
                    file.write(json.dumps(taken) + "\n")
                    file.flush()
    finally:
        stop(process, run)


def slope_mib_per_h(points: Sequence[Mapping[str, float]], name: str) -> tuple[float, float] | None:
    """Slope over the second half of the time, and half the width of its 95% interval.

    Least squares through the medians of ten equal windows: memory rises and falls with each fit of the reward, and
    the samples within a fit are not independent. None with fewer than two samples per window.
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
    """The metrics of a run, with its samples as the curve. Raises ValueError without samples."""
    if not points:
        raise ValueError("the run has no sample yet; the first one is taken after 10 s")
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
    """The samples of a file, without an incomplete last line."""
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n") if path.exists() else ("", "", "")
    return [json.loads(line) for line in whole.splitlines()]


def main() -> None:
    """Run or summarize, and print the result."""
    parser = job_parser(__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run folder to make")
    parser.add_argument("--samples", type=Path, required=True, help="file of samples, a line of JSON each")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument(
        "--summarize", action="store_true", help="start nothing; make the result from the samples so far"
    )
    options = parser.parse_args()
    if not options.summarize:
        create_run(options.run, pong(options.minutes, options.seed))
        options.samples.parent.mkdir(parents=True, exist_ok=True)
        follow(options.run, options.samples, options.minutes)
    print_result(summary(read_samples(options.samples)))


if __name__ == "__main__":
    main()
