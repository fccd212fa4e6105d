"""Random kills: each worker in turn, and all processes at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import (
    ONE_THREAD,
    Job,
    Record,
    Suite,
    by_job,
    failure_note,
    heading,
    job_command,
    relative,
    run_folder,
    write_page,
)
from benchmarks.harness.processes import TARGETS
from benchmarks.suites.kills.job import LABELS, STEPS, train_words

NAME = "kills"
QUICK_TARGETS = ("reward", "all")


def jobs(seed: int, quick: bool) -> list[Job]:
    """One run with one kill for each target."""
    return [_job(target, seed) for target in (QUICK_TARGETS if quick else TARGETS)]


def _job(target: str, seed: int) -> Job:
    run = run_folder(NAME, f"{target}-{seed}")
    return Job(
        name=f"kill/{target}",
        seed=seed,
        command=job_command(NAME, "--target", target, "--seed", str(seed), "--run", relative(run)),
        config={"train": train_words(0, Path("RUN")), "target": target},
        env=ONE_THREAD,
        scratch=run,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write kills.md."""
    title = heading(
        "Kills",
        NAME,
        records,
        f"on {{cpu}}. A run of {STEPS:,} steps and {LABELS} labels in three processes; at a random moment SIGKILL ends "
        "one worker, which the launcher restarts, or all processes including the launcher, after which `prefrl resume` "
        "continues. Finished: exit status 0 with all steps and labels. Lost or changed: comparisons that were in the "
        "store just before the kill and are missing or different at the end.",
    )
    rows = [_row(name.partition("/")[2], group) for name, group in by_job(records).items()]
    table = [
        "| Killed | Kills | Finished | Acknowledged before | Lost or changed | States when killed |",
        "|---|--:|--:|--:|--:|---|",
        *rows,
    ]
    write_page(folder, NAME, [title, "\n".join(table) + "\n", failure_note(records)])


def _row(target: str, group: Sequence[Record]) -> str:
    killed = [record.metrics for record in group if record.ok and record.metrics["was_killed"]]
    states = sorted({str(metrics["state"]) for metrics in killed})
    name = "all at once" if target == "all" else target
    finished = sum(metrics["finished"] for metrics in killed)
    before = sum(metrics["acknowledged_before"] for metrics in killed)
    lost = sum(metrics["lost_or_changed"] for metrics in killed)
    return f"| {name} | {len(killed)} | {finished} | {before} | {lost} | {', '.join(states)} |"


SUITE = Suite(NAME, jobs, report, default_seeds="0-7")
