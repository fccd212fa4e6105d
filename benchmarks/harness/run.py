"""Runs the jobs that have no result yet, one at a time by default."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .environment import ROOT, git_commit, machine, portable, versions
from .jobs import Job, Output
from .records import Record, append_record, last_of_each, read_records

__all__ = ["pending", "run_job", "run_suite"]

_ERROR_TAIL_CHARACTERS = 2000


def pending(suite: str, jobs: Sequence[Job], records: Sequence[Record]) -> list[Job]:
    """The jobs whose newest record under the same config is missing or failed."""
    newest = last_of_each(records)
    done = {key for key, record in newest.items() if record.ok}
    return [job for job in jobs if (suite, job.name, job.seed, job.config_hash) not in done]


def run_suite(
    suite: str,
    jobs: Sequence[Job],
    path: Path,
    *,
    fresh: bool = False,
    at_once: int = 1,
    console: Console | None = None,
) -> list[Record]:
    """Run the pending jobs (``fresh``: all jobs), append each record to ``path`` and return the new records."""
    console = console or Console(stderr=True)
    todo = list(jobs) if fresh else pending(suite, jobs, read_records(path))
    if len(todo) < len(jobs):
        console.print(f"{len(jobs) - len(todo)} of {len(jobs)} jobs already have a result")
    records: list[Record] = []
    with _progress(console) as progress:
        bar = progress.add_task(suite, total=len(todo))
        for record in _finished(suite, todo, at_once):
            append_record(path, record)
            records.append(record)
            progress.advance(bar)
            console.print(_summary(record), highlight=False)
    return records


def _finished(suite: str, jobs: Sequence[Job], at_once: int) -> Iterator[Record]:
    """The jobs' records as they finish; closing the iterator drops the jobs that have not started."""
    pool = ThreadPoolExecutor(at_once)
    try:
        for future in as_completed([pool.submit(run_job, suite, job) for job in jobs]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def run_job(suite: str, job: Job) -> Record:
    """Run one job to its end; a failure becomes a record, not an exception."""
    if job.scratch is not None:
        shutil.rmtree(job.scratch, ignore_errors=True)
    output, error = _prepare(job)
    commit = git_commit()  # before the job runs: files may change meanwhile
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    clock = time.perf_counter()
    if error is None:
        output, error = _execute(job)
    return Record(
        suite=suite,
        job=job.name,
        seed=job.seed,
        command=job.shown_command,
        env={name: portable(value) for name, value in job.env.items()},
        config=dict(job.config),
        config_hash=job.config_hash,
        ok=error is None,
        metrics=dict(output.metrics),
        curve=list(output.curve),
        error=error,
        wall_s=round(time.perf_counter() - clock, 3),
        started=started,
        versions=versions() | dict(output.versions),
        machine=machine(),
        git_commit=commit,
    )


def _prepare(job: Job) -> tuple[Output, str | None]:
    """An empty output, and the error when the preparation failed."""
    try:
        if job.prepare is not None:
            job.prepare()
    except (OSError, subprocess.CalledProcessError) as error:
        return Output({}), portable(str(error))
    return Output({}), None


def _execute(job: Job) -> tuple[Output, str | None]:
    """The output and None, or an empty output and the error."""
    try:
        done = subprocess.run(
            job.command,
            cwd=ROOT,
            env=os.environ | job.env,
            stdin=subprocess.DEVNULL,  # a job that asks for input must fail, not wait
            capture_output=True,
            text=True,
            errors="replace",
        )
    except OSError as error:
        return Output({}), portable(str(error))
    reason = f"exit status {done.returncode}" if done.returncode else ""
    if not reason:
        try:
            return job.parse(done.stdout), None
        except (ValueError, KeyError) as error:
            reason = f"cannot parse the output: {error!r}"
    tail = portable(done.stderr.strip())[
        -_ERROR_TAIL_CHARACTERS:
    ]  # cut last: half a path would not be recognised
    return Output({}), f"{tail}\n{portable(reason)}".strip()


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def _summary(record: Record) -> str:
    title = f"{record.job} seed {record.seed}"
    if not record.ok:
        last_lines = ", ".join((record.error or "").splitlines()[-2:])
        return f"[red]failed[/red] {title}: {escape(last_lines)}"
    numbers = [f"{name} {value:.4g}" for name, value in record.metrics.items() if isinstance(value, float)]
    return f"[green]done[/green] {title} ({record.wall_s:.0f} s): {', '.join(numbers[:4])}"
