"""Runs jobs over seeds, records each result as a line of JSON, and makes tables and figures from these lines."""

from .cli import Suite, main
from .columns import (
    Column,
    failure_note,
    interval_column,
    iqm_column,
    mean_column,
    median_column,
    min_column,
    number,
    ratio_column,
    seeds_column,
    table,
    true_return_columns,
)
from .commands import job_command, prefrl_command, relative, run_folder, train_job, true_reward_job
from .environment import ONE_THREAD, ROOT, WORK
from .job_cli import job_parser, print_result
from .jobs import Job, Output, last_json_line
from .pages import heading, write_page
from .plots import Panel, empty_figure, plot, plot_curves, save_figure
from .records import Record, by_job, read_records, reportable
from .run import run_suite
from .statistics import bootstrap_interval, interquartile_mean
from .virtualenv import Virtualenv

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
    "Virtualenv",
    "bootstrap_interval",
    "by_job",
    "empty_figure",
    "failure_note",
    "heading",
    "interquartile_mean",
    "interval_column",
    "iqm_column",
    "job_command",
    "job_parser",
    "last_json_line",
    "main",
    "mean_column",
    "median_column",
    "min_column",
    "number",
    "plot",
    "plot_curves",
    "prefrl_command",
    "print_result",
    "ratio_column",
    "read_records",
    "relative",
    "reportable",
    "run_folder",
    "run_suite",
    "save_figure",
    "seeds_column",
    "table",
    "train_job",
    "true_return_columns",
    "true_reward_job",
    "write_page",
]
