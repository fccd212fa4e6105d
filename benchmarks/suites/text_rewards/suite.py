"""Rewards of texts: rankings learned whole or as shuffled pairs, and people's judgments of arguments.

The judgments need ``--data`` and ``--corpus``; benchmarks/README.md says where the files come from. Without them that
part is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
    plot_curves,
    seeds_column,
    table,
    write_page,
)
from benchmarks.suites.text_rewards.job import METHODS

NAME = "text_rewards"


def jobs(seed: int, quick: bool, data: Path | None, corpus: Path | None) -> list[Job]:
    """All ways to learn rankings, and the judgments of arguments where their files are given."""
    commands = {f"reviews/{method}": job_command(NAME, method) for method in METHODS}
    if data is not None and corpus is not None and not quick:
        files = ["--data", str(data), "--corpus", str(corpus)]
        commands["arguments/prefrl"] = job_command(NAME, *files, module="argument_preferences")
    return [
        Job(
            name=name,
            seed=seed,
            command=[*command, "--seed", str(seed)],
            config={"method": name.split("/")[1]},
            env=ONE_THREAD,
        )
        for name, command in commands.items()
    ]


def report(records: Sequence[Record], folder: Path) -> None:
    """Write text_rewards.md and text_rewards.png."""
    title = heading("Rewards of texts", NAME, records, "each job on one core of {cpu}.")
    reviews = [record for record in records if record.task == "reviews"]
    grouping = [
        seeds_column(),
        mean_column("loss", "Best validation loss"),
        mean_column("late_loss", "Validation loss, last three epochs"),
        mean_column("accuracy", "Accuracy there"),
        median_column("texts", "Texts computed until there"),
    ]
    people = [
        seeds_column(),
        mean_column("accuracy", "Accuracy"),
        min_column("accuracy", "Accuracy"),
        mean_column("longer_wins", "Longer one preferred"),
        mean_column("accuracy_matched", "Accuracy at equal lengths"),
        median_column("pairs_matched", "Pairs of equal lengths"),
    ]
    parts = [title, "## The same rankings, whole or as shuffled pairs\n", table(reviews, grouping)]
    arguments = [record for record in records if record.task == "arguments"]
    if arguments:
        parts += [
            "## People's judgments of arguments, on held-out topics\n",
            table(arguments, people),
        ]
        parts += [_intervals(arguments)]
    parts += [failure_note(records), f"![Validation loss]({NAME}.png)\n"]
    write_page(folder, NAME, parts)
    plot_curves(reviews, "epoch", Panel("loss", "Validation loss"), folder / f"{NAME}.png", "Epochs")


def _intervals(records: Sequence[Record]) -> str:
    """A line per seed."""
    lines = []
    for record in records:
        if record.ok:
            found = record.metrics
            lines.append(
                f"- seed {record.seed}: {_share(found, '')}; "
                f"the longer one is preferred in {found['longer_wins']:.1%}; "
                f"at equal lengths {_share(found, '_matched')}; "
                f"where the shorter one scores higher {_share(found, '_shorter')}"
            )
    return "\n".join(lines) + "\n"


def _share(found: Mapping[str, Any], of: str) -> str:
    low, high = found[f"interval{of}"]
    return f"{found[f'accuracy{of}']:.1%} of {found[f'pairs{of}']:,} (95% interval {low:.1%} to {high:.1%})"


SUITE = Suite(
    NAME,
    jobs,
    report,
    options={
        "--data": {"type": Path, "metavar": "FILE", "help": "pairs of UKPConvArg1Strict"},
        "--corpus": {"type": Path, "metavar": "FILE", "help": "helpful test transcripts of HH-RLHF"},
    },
    default_seeds="0-2",
)
