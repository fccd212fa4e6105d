"""Memory of an hour-long Atari-sized run: does any of its four processes grow?

``--report`` also shows a run that is still going, or was cut off, from the samples so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import (
    ONE_THREAD,
    ROOT,
    Job,
    Record,
    Suite,
    empty_figure,
    failure_note,
    job_command,
    main,
    read_records,
    relative,
    run_folder,
    save_figure,
    write_page,
)
from benchmarks.harness.run import run_job
from benchmarks.suites.memory.job import PROCESSES, pong, slope_mib_per_h
from prefrl.config import to_json

NAME = "memory"
MINUTES, QUICK_MINUTES = 60.0, 2.0
GROWTH_LIMIT_MIB_PER_H = 20.0
"""a smaller slope is the noise of allocators; leaking one image segment per label is far above"""


def jobs(seed: int, quick: bool, minutes: float, is_partial: bool = False) -> list[Job]:
    """The one job of a seed; a partial one makes its result from the samples so far."""
    minutes = QUICK_MINUTES if quick else minutes
    run = run_folder(NAME, f"pong-{seed}")
    command = job_command(
        NAME,
        *("--minutes", f"{minutes:g}", "--seed", str(seed)),
        *("--run", relative(run), "--samples", f"{relative(run)}.jsonl"),
    )
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
    figure = f"![Memory over time]({NAME}.png)\n"
    write_page(
        folder, NAME, ["# Memory of a long run\n", *map(_section, good), failure_note(records), figure]
    )
    _draw(good[-1], folder / f"{NAME}.png")


def _section(record: Record) -> str:
    metrics = record.metrics
    lines = [
        f"`{record.command}`, {record.started[:10]}, {metrics['minutes']:.0f} minutes on "
        f"{record.machine['cores']} cores of {record.machine['cpu']}: {metrics['steps']:,.0f} steps, "
        f"{metrics['labels']:,.0f} labels, {metrics['reward_version']:,.0f} versions of the reward.\n",
        "Observations are (4, 84, 84) uint8, segments 25 steps, the reward the paper's convolutional "
        "ensemble of 3.",
        "Resident memory; the slope, with its 95% interval, is that of a straight line through the medians "
        "of ten windows of the second half of the run.\n",
        "| Process | Halfway, MiB | At the end, MiB | Peak, MiB | Slope, MiB/h | Verdict |",
        "|---|--:|--:|--:|--:|---|",
        *[_row(name, record) for name in PROCESSES],
        "",
        f"The store grows with the labelled segments: {metrics['store_mib']:,.0f} MiB at the end for "
        f"{metrics['segments']:,.0f} segments. Its write-ahead log took at most "
        f"{metrics['wal_peak_mib']:,.0f} MiB.\n",
    ]
    return "\n".join(lines)


def _row(process: str, record: Record) -> str:
    name, metrics = f"{process}_rss_mib", record.metrics
    points = [point for point in record.curve if name in point]
    if not points:
        return f"| {process} | | | | | not sampled |"
    half = next(point for point in points if point["seconds"] >= record.curve[-1]["seconds"] / 2)
    peak = metrics[f"{process}_peak_mib"]
    slope = slope_mib_per_h(record.curve, name)
    shown = "" if slope is None else f"{slope[0]:+,.0f} ± {slope[1]:,.0f}"
    sizes = " | ".join(f"{size:,.0f}" for size in (half[name], points[-1][name], peak))
    return f"| {process} | {sizes} | {shown} | {_verdict(slope)} |"


def _verdict(slope: tuple[float, float] | None) -> str:
    if slope is None:
        return "too few samples"
    low, high = slope[0] - slope[1], slope[0] + slope[1]
    if low > 0 and slope[0] > GROWTH_LIMIT_MIB_PER_H:
        return "**grows**"
    return "flat" if high < GROWTH_LIMIT_MIB_PER_H else "no growth beyond its fluctuations"


def _draw(record: Record, path: Path) -> None:
    figure, grid = empty_figure(2, 1, size=(8, 6))
    memory, store = grid[:, 0]
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
    save_figure(figure, path)


SUITE = Suite(
    NAME,
    jobs,
    report,
    options={"--minutes": {"type": float, "default": MINUTES, "help": "length of the run; default 60"}},
    default_seeds="0",
)


def run(arguments: Sequence[str], description: str) -> int:
    """The command line of the suite, with the report of an unfinished run."""
    folder = ROOT / "benchmarks" / "results"
    is_report = "--report" in arguments
    if is_report and not any(record.ok for record in read_records(folder / f"{NAME}.jsonl")):
        (job,) = jobs(0, False, MINUTES, is_partial=True)
        report([run_job(NAME, job)], folder)
        return 0
    return main(SUITE, arguments, description)
