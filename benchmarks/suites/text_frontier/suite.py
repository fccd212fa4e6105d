"""True reward against KL on product reviews: PPO, GRPO, DPO and best of n, from the same rankings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness import (
    ONE_THREAD,
    Job,
    Record,
    Suite,
    by_job,
    empty_figure,
    failure_note,
    heading,
    job_command,
    mean_column,
    median_column,
    min_column,
    save_figure,
    seeds_column,
    table,
    write_page,
)
from benchmarks.suites.text_frontier.job import METHODS

NAME = "text_frontier"


def jobs(seed: int, quick: bool) -> list[Job]:
    """All methods for one seed; the first one makes the model that the others start from."""
    return [_job(method, seed) for method in METHODS[: 2 if quick else None]]


def _job(method: str, seed: int) -> Job:
    command = job_command(NAME, method, "--seed", str(seed))
    return Job(f"reviews/{method}", seed, command, config={"method": method}, env=ONE_THREAD)


def report(records: Sequence[Record], folder: Path) -> None:
    """Write text_frontier.md and text_frontier.png."""
    title = heading(
        "Product reviews: true reward against KL",
        NAME,
        records,
        "each job on one core of {cpu}. The table has each method's best point; rewards range from -4 to 4.",
    )
    columns = [
        seeds_column(),
        mean_column("gold", "True reward"),
        min_column("gold", "True reward"),
        median_column("kl", "KL, nats"),
        median_column("win_rate", "Win rate over sft"),
        median_column("training_s", "Seconds"),
    ]
    figure = f"![True reward against KL]({NAME}.png)\n"
    write_page(folder, NAME, [title, table(records, columns), failure_note(records), figure])
    _draw([record for record in records if record.ok], folder / f"{NAME}.png")


def _draw(records: Sequence[Record], path: Path) -> None:
    figure, grid = empty_figure(1, 1, size=(6.4, 4.2))
    axes = grid[0][0]
    for number, group in enumerate(by_job(records).values()):
        method, colour = group[0].method, f"C{number}"
        if method == "sft":
            gold = [record.metrics["gold"] for record in group]
            axes.axhline(float(np.mean(gold)), color="#555555", linestyle="--", linewidth=1, label="sft")
            continue
        for index, record in enumerate(group):
            points = sorted(record.curve, key=lambda point: point["kl"])
            root = np.sqrt([max(point["kl"], 0.0) for point in points])
            label = method if index == 0 else None
            axes.plot(root, [point["gold"] for point in points], "o-", color=colour, alpha=0.7, label=label)
    axes.set(xlabel="distance from the fine-tuned model, √KL", ylabel="true reward")
    axes.legend(frameon=False)
    save_figure(figure, path)


SUITE = Suite(NAME, jobs, report, default_seeds="0-2")
