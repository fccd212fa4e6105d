"""What suites share that compare how agents learn: the curve of a run, and a report of scores and curves."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness import (
    Column,
    Output,
    Panel,
    Record,
    failure_note,
    last_json_line,
    plot,
    plot_curves,
    table,
)
from prefrl.storage import Episode, Store
from prefrl.storage.metrics_file import read_metrics
from prefrl.storage.run_dir import RunDir

__all__ = [
    "SMOOTHED_EPISODES",
    "training_curve",
    "with_recorded_curve",
    "with_training_curve",
    "write_report",
]

SMOOTHED_EPISODES = 5
ALL_EPISODES = sys.maxsize


def with_training_curve(stdout: str, run: Path) -> Output:
    """The result that a job printed, with the curve of its run's training episodes, of which it has 1000 at most."""
    output = last_json_line(stdout)
    with Store.open(RunDir.open(run).store) as store:
        curve = training_curve(store.recent_episodes(ALL_EPISODES))
    return Output(output.metrics, curve, output.versions)


def with_recorded_curve(stdout: str, run: Path) -> Output:
    """The result that a job printed, with the mean true returns of 20 episodes that its run recorded as it went.

    For runs of more episodes than their store keeps.
    """
    output = last_json_line(stdout)
    records, _ = read_metrics(RunDir.open(run).metrics)
    curve = [
        {"steps": float(record["policy_step"]), "true_return": float(record["true_return"])}
        for record in records
        if "true_return" in record
    ]
    return Output(output.metrics, curve, output.versions)


def training_curve(episodes: Sequence[Episode], newest: int = SMOOTHED_EPISODES) -> list[dict[str, float]]:
    """The mean true return of the ``newest`` training episodes at the end of each, from the first full mean on."""
    returns = [episode.true_return for episode in episodes]
    return [
        {"steps": episodes[end - 1].policy_step, "true_return": float(np.mean(returns[end - newest : end]))}
        for end in range(newest, len(episodes) + 1)
    ]


def write_report(
    name: str,
    heading: str,
    records: Sequence[Record],
    columns: Sequence[Column],
    folder: Path,
    newest: int = SMOOTHED_EPISODES,
    steps: str = "Agent steps",
) -> None:
    """Write NAME.md with its table, NAME.png with the scores and NAME_curves.png with the training episodes.

    The curves are means of ``newest`` episodes, over ``steps``.
    """
    parts = [
        heading,
        table(records, columns),
        failure_note(records),
        f"![True return of the trained agents]({name}.png)\n",
        f"![True return while they were trained]({name}_curves.png)\n",
    ]
    (folder / f"{name}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")
    plot(records, [Panel("true_return_mean", "True return")], folder / f"{name}.png")
    training = Panel("true_return", f"True return, mean of {newest} episodes")
    plot_curves(records, "steps", training, folder / f"{name}_curves.png", steps)
