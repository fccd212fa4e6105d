"""Run jobs over seeds, keep each result as a line of JSON, make tables and figures from those lines alone."""

from .cli import Suite, main
from .columns import (
    Column,
    failure_note,
    interval_column,
    iqm_column,
    mean_column,
    median_column,
    min_column,
    ratio_column,
    seeds_column,
    table,
)
from .environment import ONE_THREAD, ROOT, WORK
from .jobs import Job, Output, last_json_line
from .plots import Panel, plot, plot_curves
from .records import Record, by_job, read_records, reportable
from .run import run_suite
from .statistics import bootstrap_interval, interquartile_mean
from .virtualenv import ensure_venv

__all__ = [
    "ONE_THREAD",
    "ROOT",
    "WORK",
    "Column",
    "Job",
    "Output",
    "Panel",
    "Record",
    "Suite",
    "bootstrap_interval",
    "by_job",
    "ensure_venv",
    "failure_note",
    "interquartile_mean",
    "interval_column",
    "iqm_column",
    "last_json_line",
    "main",
    "mean_column",
    "median_column",
    "min_column",
    "plot",
    "plot_curves",
    "ratio_column",
    "read_records",
    "reportable",
    "run_suite",
    "seeds_column",
    "table",
]
