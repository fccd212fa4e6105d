"""Texts so few that the best policy is known exactly: how near do PPO, GRPO and DPO come?

``python benchmarks/text_optimum.py --seeds 0-2``; how to read the results is in README.md beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import (
    ONE_THREAD,
    Job,
    Panel,
    Record,
    Suite,
    failure_note,
    main,
    mean_column,
    median_column,
    min_column,
    plot,
    seeds_column,
    table,
)
from benchmarks.text_optimum_run import BETA, METHODS, Enumerable

NAME = "text_optimum"


def jobs(seed: int, quick: bool) -> list[Job]:
    """All methods for one seed."""
    return [_job(method, seed, 0.1 if quick else 1.0) for method in METHODS]


def _job(method: str, seed: int, effort: float) -> Job:
    command = [sys.executable, "-m", "benchmarks.text_optimum_run", method, "--seed", str(seed)]
    return Job(
        name=f"enumerable/{method}",
        seed=seed,
        command=[*command, "--effort", f"{effort:g}"],
        config={"effort": effort, "beta": BETA, "task": vars(Enumerable())},
        env=ONE_THREAD,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write text_optimum.md and text_optimum.png."""
    newest = max(records, key=lambda record: record.started)
    task = Enumerable()
    heading = (
        f"# Texts of {task.words} words, {task.steps} steps at most\n\n"
        f"`python benchmarks/{NAME}.py`, {newest.started[:10]}, each job on one core of {newest.machine['cpu']}. All "
        f"{len(task.texts):,} texts are written down, so objective and optimum are exact: expected reward less "
        f"{BETA:g} times the KL to the reference. How to read this: [README](../README.md).\n"
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
    parts = [heading, table(records, columns), failure_note(records), f"![Share of the gain]({NAME}.png)\n"]
    (folder / f"{NAME}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")
    plot(records, [Panel("share_of_gain", "Share of what there is to gain")], folder / f"{NAME}.png")


if __name__ == "__main__":
    sys.exit(main(Suite(NAME, jobs, report)))
