"""Texts so few that the optimal policy is known exactly: PPO, GRPO and DPO against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.harness import (
    ONE_THREAD,
    Job,
    Panel,
    Record,
    Suite,
    failure_note,
    heading,
    job_command,
    mean_column,
    median_column,
    min_column,
    plot,
    seeds_column,
    table,
    write_page,
)
from benchmarks.suites.text_optimum.job import METHODS
from benchmarks.suites.text_optimum.task import BETA, Enumerable

NAME = "text_optimum"


def jobs(seed: int, quick: bool) -> list[Job]:
    """All methods for one seed."""
    return [_job(method, seed, 0.1 if quick else 1.0) for method in METHODS]


def _job(method: str, seed: int, effort: float) -> Job:
    return Job(
        name=f"enumerable/{method}",
        seed=seed,
        command=job_command(NAME, method, "--seed", str(seed), "--effort", f"{effort:g}"),
        config={"effort": effort, "beta": BETA, "task": asdict(Enumerable())},
        env=ONE_THREAD,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write text_optimum.md and text_optimum.png."""
    task = Enumerable()
    title = heading(
        f"Texts of {task.words} words, {task.steps} steps at most",
        NAME,
        records,
        f"each job on one core of {{cpu}}. All {len(task.texts):,} texts are enumerated, so objective and optimum are "
        f"exact: expected reward minus {BETA:g} times the KL to the reference.",
    )
    columns = [
        seeds_column(),
        mean_column("share_of_gain", "Share of the gain"),
        min_column("share_of_gain", "Share of the gain"),
        median_column("objective", "Objective"),
        median_column("optimum", "Optimum"),
        median_column("reference", "Reference"),
        median_column("kl", "KL, nats"),
        median_column("training_s", "Seconds"),
    ]
    figure = f"![Share of the gain]({NAME}.png)\n"
    write_page(folder, NAME, [title, table(records, columns), failure_note(records), figure])
    plot(records, [Panel("share_of_gain", "Share of the possible gain")], folder / f"{NAME}.png")


SUITE = Suite(NAME, jobs, report, default_seeds="0-2")
