"""The command line that every suite has."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from .environment import ROOT, WORK
from .jobs import Job
from .records import Record, read_records, reportable
from .run import run_suite

__all__ = ["Suite", "main", "parse_seeds"]


@dataclass(frozen=True)
class Suite:
    """A benchmark: its jobs and how its results are shown."""

    name: str
    jobs: Callable[[int, bool], Sequence[Job]]
    """seed, quick -> the jobs of that seed, in the order to run them; quick ones only show that it works"""
    report: Callable[[Sequence[Record], Path], None]
    """reportable records, folder -> writes its tables and figures there, from the records alone"""


def main(suite: Suite, arguments: Sequence[str] | None = None) -> int:
    """Run what is pending, then report; 1 when a job failed."""
    options = _parser(suite).parse_args(arguments)
    folder = WORK / "quick" if options.quick else ROOT / "benchmarks" / "results"
    path = folder / f"{suite.name}.jsonl"
    fresh: list[Record] = []
    if not options.report:
        jobs = _select(
            [job for seed in options.seeds for job in suite.jobs(seed, options.quick)], options.only
        )
        fresh = run_suite(suite.name, jobs, path, fresh=options.fresh, at_once=options.jobs)
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


def _select(jobs: Sequence[Job], patterns: Sequence[str]) -> list[Job]:
    chosen = [job for job in jobs if not patterns or any(fnmatchcase(job.name, each) for each in patterns)]
    if not chosen:
        names = sorted({job.name for job in jobs})
        raise SystemExit(f"no job is named {', '.join(patterns)}; this suite has {', '.join(names)}")
    return chosen


def _parser(suite: Suite) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"benchmarks/{suite.name}.py")
    parser.add_argument(
        "--seeds", type=parse_seeds, default=list(range(5)), help="0-4 (the default) or 0,2,7-9"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="job name or pattern; repeatable"
    )
    parser.add_argument("--fresh", action="store_true", help="run also what has its result already")
    parser.add_argument("--jobs", type=int, default=1, help="at once; above 1 the times mean nothing")
    parser.add_argument(
        "--quick", action="store_true", help="tiny jobs, kept apart from the results: does it work?"
    )
    parser.add_argument(
        "--report", action="store_true", help="run nothing; write table and figure from the results"
    )
    return parser
