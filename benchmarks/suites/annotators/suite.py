"""Annotators with different error rates: how well are the errors estimated, and does the reward gain by it?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import (
    ONE_THREAD,
    Job,
    Panel,
    Record,
    Suite,
    failure_note,
    heading,
    interval_column,
    iqm_column,
    job_command,
    mean_column,
    min_column,
    plot,
    seeds_column,
    table,
    write_page,
)
from benchmarks.suites.annotators.job import METHODS, PEOPLE

NAME = "annotators"
LABELS = 200


def jobs(seed: int, quick: bool) -> list[Job]:
    """Three fits to the same answers."""
    return [_job(method, seed, 40 if quick else LABELS) for method in METHODS]


def _job(method: str, seed: int, labels: int) -> Job:
    return Job(
        name=f"pendulum/{method}",
        seed=seed,
        command=job_command(NAME, method, "--labels", str(labels), "--seed", str(seed)),
        config={"labels": labels, "people": PEOPLE},
        env=ONE_THREAD,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write annotators.md and annotators.png."""
    title = heading(f"Five annotators, {LABELS} labels each", NAME, records, "on one core of {cpu}.")
    columns = [
        seeds_column(),
        iqm_column("accuracy", "Accuracy"),
        interval_column("accuracy"),
        mean_column("accuracy", "Accuracy"),
        min_column("accuracy", "Accuracy"),
    ]
    good = [record for record in records if record.ok]
    parts = [
        title,
        "## The learned reward\n",
        table(records, columns),
        _estimates(good),
        failure_note(records),
    ]
    write_page(folder, NAME, parts)
    plot(records, [Panel("accuracy", "Accuracy on fresh pairs")], folder / f"{NAME}.png")


def _estimates(records: Sequence[Record]) -> str:
    """A row per annotator, a column per seed: share of wrong answers and its estimate."""
    first = next((record.method for record in records), "")
    one_each = [record for record in records if record.method == first]
    if not one_each:
        return ""
    lines = ["## Annotators: share of wrong answers → estimate\n"]
    lines += [
        f"| Annotator | {' | '.join(f'seed {record.seed}' for record in one_each)} | Mean error | Maximum error |"
    ]
    lines += ["|---|" + "---:|" * (len(one_each) + 2)]
    for name in PEOPLE:
        pairs = [(record.metrics[f"wrong_{name}"], record.metrics[f"estimate_{name}"]) for record in one_each]
        cells = [f"{wrong:.0%} → {estimate:.0%}" for wrong, estimate in pairs]
        off = [100 * abs(wrong - estimate) for wrong, estimate in pairs]
        mean = sum(off) / len(off)
        lines.append(f"| {name} | {' | '.join(cells)} | {mean:.1f} points | {max(off):.1f} points |")
    return "\n".join(lines) + "\n"


SUITE = Suite(NAME, jobs, report)
