"""Learning curves of runs, and the report of suites that compare how agents learn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prefrl.storage import Episode

from . import runs
from .columns import Column, failure_note, table
from .jobs import Output, last_json_line
from .pages import write_page
from .plots import Panel, plot, plot_curves
from .records import Record

__all__ = [
    "SMOOTHED_EPISODES",
    "training_curve",
    "with_recorded_curve",
    "with_training_curve",
    "write_report",
]

SMOOTHED_EPISODES = 5


def with_training_curve(stdout: str, run: Path) -> Output:
    """The printed result, with a curve of the training episodes in the run's store (1000 at most)."""
    output = last_json_line(stdout)
    return Output(output.metrics, training_curve(runs.training_episodes(run)), output.versions)


def with_recorded_curve(stdout: str, run: Path) -> Output:
    """The printed result, with the mean true returns of 20 episodes that the run recorded while training.

    For runs with more episodes than the store keeps.
    """
    output = last_json_line(stdout)
    curve = [
        {"steps": float(record["policy_step"]), "true_return": float(record["true_return"])}
        for record in runs.recorded_metrics(run)
        if "true_return" in record
    ]
    return Output(output.metrics, curve, output.versions)


def training_curve(episodes: Sequence[Episode], newest: int = SMOOTHED_EPISODES) -> list[dict[str, float]]:
    """Mean true return of the ``newest`` training episodes at the end of each, from the first full window on."""
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
    """Write NAME.md with the table, NAME.png with the scores and NAME_curves.png with the training episodes.

    The curves are means of ``newest`` episodes, over ``steps``.
    """
    parts = [
        heading,
        table(records, columns),
        failure_note(records),
        f"![True return of the trained agents]({name}.png)\n",
        f"![True return while they were trained]({name}_curves.png)\n",
    ]
    write_page(folder, name, parts)
    plot(records, [Panel("true_return_mean", "True return")], folder / f"{name}.png")
    training = Panel("true_return", f"True return, mean of {newest} episodes")
    plot_curves(records, "steps", training, folder / f"{name}_curves.png", steps)
