"""The command line of every suite."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .environment import ROOT, WORK
from .jobs import Job
from .records import Record, read_records, reportable
from .run import run_suite

__all__ = ["Suite", "main", "parse_seeds"]


@dataclass(frozen=True)
class Suite:
    """A benchmark: its jobs and how its results are reported."""

    name: str
    jobs: Callable[..., Sequence[Job]]
    """(seed, quick, **options) -> the jobs of that seed in the order to run them; quick ones only show that
    the suite works"""
    report: Callable[[Sequence[Record], Path], None]
    """(reportable records, folder) -> writes the tables and figures into the folder, from the records alone"""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """further options: "--minutes" -> keywords of `argparse.ArgumentParser.add_argument`; passed on to `jobs`"""
    default_seeds: str = "0-4"
    cores: int | None = None
    """keep all jobs on this many cores, the same ones, where the system can; None for all cores"""


def main(suite: Suite, arguments: Sequence[str] | None = None, description: str | None = None) -> int:
    """Run the pending jobs, then write the report; returns 1 when a job failed, else 0."""
    options = _parser(suite, description).parse_args(arguments)
    folder = WORK / "quick" if options.quick else ROOT / "benchmarks" / "results"
    path = folder / f"{suite.name}.jsonl"
    fresh: list[Record] = []
    if not options.report:
        further = {name: getattr(options, name) for name in map(_destination, suite.options)}
        jobs = [job for seed in options.seeds for job in suite.jobs(seed, options.quick, **further)]
        _keep_to_cores(suite.cores)
        fresh = run_suite(
            suite.name, _select(jobs, options.only), path, fresh=options.fresh, at_once=options.jobs
        )
    records = reportable(read_records(path))
    if any(record.ok for record in records):
        suite.report(records, folder)
    return int(any(not record.ok for record in fresh))


def parse_seeds(text: str) -> list[int]:
    """Seeds written as 0-4 or 0,2,7-9. Raises ArgumentTypeError on anything else and on an empty range."""
    ranges = [re.fullmatch(r"(\d+)(?:-(\d+))?", part) for part in text.split(",")]
    seeds = [seed for each in ranges if each for seed in range(int(each[1]), int(each[2] or each[1]) + 1)]
    if not seeds or not all(ranges):
        raise argparse.ArgumentTypeError(f"{text!r} names no seeds; write them as 0-4 or 0,2,7-9")
    return seeds


def _keep_to_cores(cores: int | None) -> None:
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _select(jobs: Sequence[Job], patterns: Sequence[str]) -> list[Job]:
    chosen = [job for job in jobs if not patterns or any(fnmatchcase(job.name, each) for each in patterns)]
    if not chosen:
        names = sorted({job.name for job in jobs})
        raise SystemExit(f"no job is named {', '.join(patterns)}; this suite has {', '.join(names)}")
    return chosen


def _destination(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def _parser(suite: Suite, description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.suites.{suite.name}",
        description=description,
        epilog="How each suite measures, and how to read its results: benchmarks/README.md.",
    )
    parser.add_argument(
        "--seeds",
        type=parse_seeds,
        default=suite.default_seeds,
        help="which seeds, as 0-4 or 0,2,7-9; default %(default)s",
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="job name or pattern; repeatable"
    )
    parser.add_argument("--fresh", action="store_true", help="also run jobs that already have a result")
    parser.add_argument(
        "--jobs", type=int, default=1, help="jobs to run at once; above 1, times are not comparable"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="tiny jobs that show whether the suite works; kept out of the results",
    )
    parser.add_argument(
        "--report", action="store_true", help="run nothing; write the tables and figures from the results"
    )
    for option, keywords in suite.options.items():
        parser.add_argument(option, **keywords)
    return parser
