"""Memory of an hour-long Atari-sized run: does any of the four processes grow?

``python benchmarks/memory.py --minutes 60``; how to read the results is in README.md beside this file.
``--report`` also shows a run that is still going on, or was cut off, from the samples it has left.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.harness import ROOT, WORK, Job, Record, Suite, failure_note, main, read_records
from benchmarks.harness.run import run_job
from benchmarks.memory_run import PROCESSES, pong, slope_mib_per_h
from prefrl.config import to_json

NAME = "memory"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
QUICK_MINUTES = 2.0
GROWTH_LIMIT_MIB_PER_H = 20.0
"""below this a slope is the noise of allocators; a leak of one image segment a label is far above"""


def jobs(seed: int, quick: bool, minutes: float, is_partial: bool = False) -> list[Job]:
    """The one job of a seed; a partial one makes its result from the samples that are there."""
    minutes = QUICK_MINUTES if quick else minutes
    folder = WORK / "runs" / NAME
    run, samples = folder / f"pong-{seed}", folder / f"pong-{seed}.jsonl"
    command = [
        *(sys.executable, "-m", "benchmarks.memory_run", "--minutes", f"{minutes:g}", "--seed", str(seed)),
        *("--run", str(run.relative_to(ROOT)), "--samples", str(samples.relative_to(ROOT))),
    ]
    return [
        Job(
            name="pong/prefrl",
            seed=seed,
            command=[*command, "--summarize"] if is_partial else command,
            config={"minutes": minutes, "run": to_json(pong(minutes, 0))},
            env=ONE_THREAD,
            scratch=None if is_partial else run,
        )
    ]


def report(records: Sequence[Record], folder: Path) -> None:
    """Write memory.md and memory.png."""
    good = [record for record in records if record.ok]
    parts = [_section(record) for record in good]
    note = failure_note(records)
    (folder / f"{NAME}.md").write_text(
        "\n".join(["# Memory of a long run\n", *parts, note or "", f"![Memory over time]({NAME}.png)\n"]),
        encoding="utf-8",
    )
    _draw(good[-1], folder / f"{NAME}.png")


def _section(record: Record) -> str:
    metrics = record.metrics
    rows = [_row(name, record) for name in PROCESSES]
    lines = [
        f"`{record.command}`, {record.started[:10]}, {metrics['minutes']:.0f} minutes on "
        f"{record.machine['cores']} cores of {record.machine['cpu']}: {metrics['steps']:,.0f} steps, "
        f"{metrics['labels']:,.0f} labels, {metrics['reward_version']:,.0f} versions of the reward.\n",
        "Observations are (4, 84, 84) uint8, segments 25 steps, the reward the paper's convolutional "
        "ensemble of 3.",
        "Resident memory; the slope, with its 95% interval, is that of a straight line through the medians "
        "of ten windows of the second half of the time.\n",
        "| Process | At half time, MiB | At the end, MiB | Peak, MiB | Slope, MiB/h | Verdict |",
        "|---|--:|--:|--:|--:|---|",
        *rows,
        "",
        f"The store grows by what is labelled: {metrics['store_mib']:,.0f} MiB at the end for "
        f"{metrics['segments']:,.0f} segments. Its write-ahead log never took more than "
        f"{metrics['wal_peak_mib']:,.0f} MiB.\n",
    ]
    return "\n".join(lines)


def _row(process: str, record: Record) -> str:
    name, metrics = f"{process}_rss_mib", record.metrics
    points = [point for point in record.curve if name in point]
    if not points:
        return f"| {process} | | | | | not seen |"
    half = next(point for point in points if point["seconds"] >= record.curve[-1]["seconds"] / 2)
    peak = metrics[f"{process}_peak_mib"]
    slope = slope_mib_per_h(record.curve, name)
    shown = "" if slope is None else f"{slope[0]:+,.0f} ± {slope[1]:,.0f}"
    sizes = " | ".join(f"{size:,.0f}" for size in (half[name], points[-1][name], peak))
    return f"| {process} | {sizes} | {shown} | {_verdict(slope)} |"


def _verdict(slope: tuple[float, float] | None) -> str:
    if slope is None:
        return "too short to say"
    low, high = slope[0] - slope[1], slope[0] + slope[1]
    if low > 0 and slope[0] > GROWTH_LIMIT_MIB_PER_H:
        return "**grows**"
    return "flat" if high < GROWTH_LIMIT_MIB_PER_H else "no growth to be seen in its ups and downs"


def _draw(record: Record, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    memory, store = figure.subplots(2, 1, sharex=True)
    for process in PROCESSES:
        points = [point for point in record.curve if f"{process}_rss_mib" in point]
        memory.plot(
            [point["seconds"] / 60 for point in points],
            [point[f"{process}_rss_mib"] for point in points],
            label=process,
        )
    minutes = [point["seconds"] / 60 for point in record.curve]
    for name, label in (("store_mib", "store.sqlite"), ("wal_mib", "its write-ahead log")):
        store.plot(minutes, [point[name] for point in record.curve], label=label)
    memory.set(
        ylabel="Resident memory, MiB", ylim=(0, None), title="Memory of the processes of a run on Pong"
    )
    store.set(ylabel="On disk, MiB", xlabel="Minutes", ylim=(0, None))
    memory.legend(frameon=False, ncols=len(PROCESSES), loc="lower center", bbox_to_anchor=(0.5, 0.1))
    store.legend(frameon=False)
    for axes in (memory, store):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def run(arguments: Sequence[str]) -> int:
    """The harness's command line with ``--minutes``; one seed unless told otherwise."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--report", action="store_true")
    options, rest = parser.parse_known_args(arguments)
    folder = ROOT / "benchmarks" / "results"
    if options.report and not any(record.ok for record in read_records(folder / f"{NAME}.jsonl")):
        (job,) = jobs(0, False, options.minutes, is_partial=True)
        report([run_job(NAME, job)], folder)
        return 0
    rest = ["--seeds", "0", *rest, *(["--report"] if options.report else [])]
    return main(Suite(NAME, partial(jobs, minutes=options.minutes), report), rest)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
