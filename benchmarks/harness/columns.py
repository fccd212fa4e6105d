"""Markdown tables with a row per job; columns are computed from the job's records over the seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .records import Record, by_job
from .statistics import bootstrap_interval, interquartile_mean

__all__ = [
    "Column",
    "failure_note",
    "interval_column",
    "iqm_column",
    "mean_column",
    "median_column",
    "min_column",
    "number",
    "ratio_column",
    "seeds_column",
    "table",
    "true_return_columns",
    "values",
]

_ABSENT = "-"
Cell = Callable[[Sequence[Record], Sequence[Record]], str]
"""(the job's records, all records) -> text"""


@dataclass(frozen=True)
class Column:
    """A heading and the function that makes its cells."""

    heading: str
    cell: Cell


def table(records: Sequence[Record], columns: Sequence[Column]) -> str:
    """A Markdown table of the successful jobs, in the order in which they first appear."""
    good = [record for record in records if record.ok]
    rows = [["Task", "Method"], *[[group[0].task, group[0].method] for group in by_job(good).values()]]
    for column in columns:
        cells = [column.heading, *[column.cell(group, good) for group in by_job(good).values()]]
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell)
    rule = ["---", "---", *["---:"] * len(columns)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], rule, *rows[1:]]) + "\n"


def failure_note(records: Sequence[Record]) -> str:
    """A line that names the failed jobs; empty without any."""
    failed = [f"{record.job} seed {record.seed}" for record in records if not record.ok]
    return f"Failed, so not in the table: {', '.join(failed)}.\n" if failed else ""


def values(records: Sequence[Record], metric: str) -> NDArray[np.float64]:
    """The metric of each record that has it as a number, shape (n,)."""
    found = (record.metrics.get(metric) for record in records)
    return np.array([value for value in found if isinstance(value, (int, float))], dtype=np.float64)


def number(value: float) -> str:
    """No decimals from 100 on, else three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def seeds_column() -> Column:
    """Number of seeds behind the row."""
    return Column("Seeds", lambda group, _: str(len(group)))


def iqm_column(metric: str, label: str) -> Column:
    """Interquartile mean."""
    return _summary_column(f"{label}, IQM", metric, lambda scores: number(float(interquartile_mean(scores))))


def interval_column(metric: str) -> Column:
    """95% bootstrap interval of the interquartile mean."""

    def cell(scores: NDArray[np.float64]) -> str:
        low, high = bootstrap_interval([scores])
        return f"{number(low)} to {number(high)}"

    return _summary_column("95% interval", metric, cell)


def mean_column(metric: str, label: str = "") -> Column:
    """Mean over seeds."""
    return _summary_column(f"{label}, mean" if label else "Mean", metric, lambda s: number(float(s.mean())))


def min_column(metric: str, label: str = "") -> Column:
    """Minimum over seeds."""
    return _summary_column(f"{label}, min" if label else "Min", metric, lambda s: number(float(s.min())))


def median_column(metric: str, label: str) -> Column:
    """Median over seeds."""
    return _summary_column(f"{label}, median", metric, lambda s: number(float(np.median(s))))


def true_return_columns() -> list[Column]:
    """Number of seeds, and IQM, interval, mean and minimum of the true return."""
    return [
        seeds_column(),
        iqm_column("true_return_mean", "True return"),
        interval_column("true_return_mean"),
        mean_column("true_return_mean"),
        min_column("true_return_mean"),
    ]


def ratio_column(metric: str, baseline: str, label: str) -> Column:
    """Median and range of the metric divided by the baseline method's on the same task and seed."""

    def cell(group: Sequence[Record], everything: Sequence[Record]) -> str:
        theirs = {
            record.seed: record
            for record in everything
            if (record.task, record.method) == (group[0].task, baseline)
        }
        pairs = [(record, theirs[record.seed]) for record in group if record.seed in theirs]
        ratios = [_ratio(ours, peer, metric) for ours, peer in pairs]
        if not ratios:
            return _ABSENT
        return f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

    return Column(f"{label}, times {baseline}", cell)


def _ratio(ours: Record, peer: Record, metric: str) -> float:
    return float(ours.metrics[metric]) / float(peer.metrics[metric])


def _summary_column(heading: str, metric: str, summary: Callable[[NDArray[np.float64]], str]) -> Column:
    def cell(group: Sequence[Record], _: Sequence[Record]) -> str:
        scores = values(group, metric)
        return summary(scores) if len(scores) else _ABSENT

    return Column(heading, cell)
