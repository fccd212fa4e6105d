"""``prefrl annotators``: estimate how reliable each annotator's answers are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prefrl.annotators import AnnotatorReport, Answer, annotator_diagnostics, annotator_reports
from prefrl.cli.options import parse
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir

__all__ = ["main"]

_DESCRIPTION = """Estimate how reliable each annotator is, from their answers only.

The estimate uses pairs of clips that were answered more than once: by one person, on a repeated query with its sides
swapped (--queries.repeat-share), or by several people. Intervals are 95% intervals."""


@dataclass(frozen=True)
class Options:
    """Options of ``prefrl annotators``."""

    run: tyro.conf.Positional[Path]
    """run directory"""


def main(arguments: Sequence[str]) -> int:
    """Print a table of the annotators, and warnings about their answers."""
    options = parse(Options, arguments, "prefrl annotators", _DESCRIPTION)
    run = RunDir.open(options.run)
    with Store.open(run.store) as store:
        answers, seconds = _answers(store)
    if not answers:
        raise ValueError(f"{run.path} has no answers yet; give some with `prefrl label {run.path}`")
    reports = annotator_reports(answers)
    console = Console()
    console.print(_table(list(reports.values()), seconds))
    for report in reports.values():
        for warning in annotator_diagnostics(report):
            console.print(f"! {report.annotator}: {warning}", style="yellow", highlight=False, markup=False)
    return 0


def _answers(store: Store) -> tuple[list[Answer], dict[str, list[float]]]:
    """The answers that are not superseded, oldest first, and the seconds each annotator took per answer."""
    answers, seconds = [], dict[str, list[float]]()
    for comparison in store.comparisons(with_superseded=False):
        record = store.query_record(comparison.query_id)
        answers.append(Answer(record.segment_ids, comparison.ranks, comparison.annotator))
        seconds.setdefault(comparison.annotator, []).append(comparison.latency_s)
    return answers, seconds


def _table(reports: Sequence[AnnotatorReport], seconds: dict[str, list[float]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("annotator")
    for name in ("answers", "s each", "repeats", "agree", "error", "first shown", "ties", "can't tell"):
        table.add_column(name, justify="right")
    for report in reports:
        agree = f"{report.agreements / report.repeats:.0%}" if report.repeats else "-"
        table.add_row(
            Text(report.annotator),
            f"{report.answers}",
            f"{np.median(seconds[report.annotator]):.1f}",
            f"{report.repeats}",
            agree,
            f"{report.error:.0%} ({_interval(report.error_interval)})",
            f"{report.side_bias:.0%} ({_interval(report.side_bias_interval)})",
            f"{report.tie_share:.0%}",
            f"{report.cant_tell_share:.0%}",
        )
    return table


def _interval(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.0%} to {interval[1]:.0%}"
