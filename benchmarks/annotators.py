"""Annotators of every quality: are their errors found, and does the reward gain by knowing them?

``python benchmarks/annotators.py --seeds 0-4``; how to read the results is in README.md beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.annotators_run import PEOPLE
from benchmarks.harness import (
    ONE_THREAD,
    Job,
    Panel,
    Record,
    Suite,
    failure_note,
    interval_column,
    iqm_column,
    main,
    mean_column,
    min_column,
    plot,
    seeds_column,
    table,
)

NAME = "annotators"
LABELS = 200
METHODS = ("estimated", "assumed", "known")
"""what the fit is told of the annotators' errors"""


def jobs(seed: int, quick: bool) -> list[Job]:
    """The same answers, and three fits to them."""
    return [_job(method, seed, 40 if quick else LABELS) for method in METHODS]


def _job(method: str, seed: int, labels: int) -> Job:
    command = [sys.executable, "-m", "benchmarks.annotators_run", method]
    return Job(
        name=f"pendulum/{method}",
        seed=seed,
        command=[*command, "--labels", str(labels), "--seed", str(seed)],
        config={"labels": labels, "people": PEOPLE},
        env=ONE_THREAD,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write annotators.md and annotators.png."""
    newest = max(records, key=lambda record: record.started)
    heading = (
        f"# Five annotators, {LABELS} labels each\n\n"
        f"`python benchmarks/{NAME}.py`, {newest.started[:10]}, on one core of {newest.machine['cpu']}. "
        "How to read this: [README](../README.md).\n"
    )
    columns = [
        seeds_column(),
        iqm_column("accuracy", "Accuracy"),
        interval_column("accuracy"),
        mean_column("accuracy", "Accuracy"),
        min_column("accuracy", "Accuracy"),
    ]
    good = [record for record in records if record.ok]
    parts = [
        heading,
        "## The learned reward\n",
        table(records, columns),
        _estimates(good),
        failure_note(records),
    ]
    (folder / f"{NAME}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")
    plot(records, [Panel("accuracy", "Accuracy on fresh pairs")], folder / f"{NAME}.png")


def _estimates(records: Sequence[Record]) -> str:
    """A row an annotator: share of wrong answers and its estimate, a column a seed."""
    first = next((record.method for record in records), "")
    one_each = [record for record in records if record.method == first]
    if not one_each:
        return ""
    lines = ["## Their errors: share of answers that were wrong → estimate\n"]
    lines += [
        f"| Annotator | {' | '.join(f'seed {record.seed}' for record in one_each)} | Mean off by | Farthest |"
    ]
    lines += ["|---|" + "---:|" * (len(one_each) + 2)]
    for name in PEOPLE:
        pairs = [(record.metrics[f"wrong_{name}"], record.metrics[f"estimate_{name}"]) for record in one_each]
        cells = [f"{wrong:.0%} → {estimate:.0%}" for wrong, estimate in pairs]
        off = [100 * abs(wrong - estimate) for wrong, estimate in pairs]
        mean = sum(off) / len(off)
        lines.append(f"| {name} | {' | '.join(cells)} | {mean:.1f} points | {max(off):.1f} points |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(Suite(NAME, jobs, report)))
