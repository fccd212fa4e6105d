"""Rewards of texts: rankings learned whole or as shuffled pairs, and people's judgments of arguments.

``python benchmarks/text_rewards.py --seeds 0-2 --data ukp_pairs.jsonl.gz --corpus hh_helpful_pairs.jsonl.gz``; how to
read the results, and where the files come from, is in README.md beside this file. Without them the judgments are left
out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import (
    ONE_THREAD,
    Job,
    Record,
    Suite,
    failure_note,
    main,
    mean_column,
    median_column,
    min_column,
    plot_curves,
    seeds_column,
    table,
)
from benchmarks.harness.plots import Panel
from benchmarks.text_rewards_run import GROUPINGS

NAME = "text_rewards"


def jobs(seed: int, quick: bool, data: Path | None, corpus: Path | None) -> list[Job]:
    """All ways to learn rankings, and the judgments where their files are given."""
    commands = {f"reviews/{method}": ["benchmarks.text_rewards_run", method] for method in GROUPINGS}
    if data is not None and corpus is not None and not quick:
        files = ["--data", str(data), "--corpus", str(corpus)]
        commands["arguments/prefrl"] = ["benchmarks.arguments_run", *files]
    return [
        Job(
            name=name,
            seed=seed,
            command=[sys.executable, "-m", *command, "--seed", str(seed)],
            config={"method": name.split("/")[1]},
            env=ONE_THREAD,
        )
        for name, command in commands.items()
    ]


def report(records: Sequence[Record], folder: Path) -> None:
    """Write text_rewards.md and text_rewards.png."""
    newest = max(records, key=lambda record: record.started)
    heading = (
        "# Rewards of texts\n\n"
        f"`python benchmarks/{NAME}.py`, {newest.started[:10]}, each job on one core of {newest.machine['cpu']}. How "
        "to read this: [README](../README.md).\n"
    )
    reviews = [record for record in records if record.task == "reviews"]
    grouping = [
        seeds_column(),
        mean_column("loss", "Best validation loss"),
        mean_column("late_loss", "Validation loss, last three passes"),
        mean_column("accuracy", "Accuracy at the best"),
        median_column("texts", "Texts computed until then"),
    ]
    people = [
        seeds_column(),
        mean_column("accuracy", "Accuracy"),
        min_column("accuracy", "Accuracy"),
        mean_column("longer_wins", "The longer wins"),
        mean_column("accuracy_matched", "Accuracy at equal lengths"),
        median_column("pairs_matched", "Pairs of equal lengths"),
    ]
    parts = [heading, "## The same rankings, whole or as shuffled pairs\n", table(reviews, grouping)]
    arguments = [record for record in records if record.task == "arguments"]
    if arguments:
        parts += [
            "## People's judgments of arguments, on topics not learned from\n",
            table(arguments, people),
        ]
        parts += [_intervals(arguments)]
    parts += [failure_note(records), f"![Validation loss]({NAME}.png)\n"]
    (folder / f"{NAME}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")
    plot_curves(reviews, "epoch", Panel("loss", "Validation loss"), folder / f"{NAME}.png", "Epochs")


def _intervals(records: Sequence[Record]) -> str:
    """A line a seed."""
    lines = []
    for record in records:
        if record.ok:
            found = record.metrics
            lines.append(
                f"- seed {record.seed}: {_share(found, '')}, the longer wins {found['longer_wins']:.1%}; "
                f"at equal lengths {_share(found, '_matched')}; "
                f"where the shorter scores higher {_share(found, '_shorter')}"
            )
    return "\n".join(lines) + "\n"


def _share(found: Mapping[str, Any], of: str) -> str:
    low, high = found[f"interval{of}"]
    return f"{found[f'accuracy{of}']:.1%} of {found[f'pairs{of}']:,} (95% interval {low:.1%} to {high:.1%})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--corpus", type=Path)
    known, rest = parser.parse_known_args()
    sys.exit(main(Suite(NAME, partial(jobs, data=known.data, corpus=known.corpus), report), rest))
