"""Random kills: each worker in turn, and all processes at once. Does the run finish, is any answer lost?

``python benchmarks/kills.py --seeds 0-7``; how to read the results is in README.md beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import ROOT, WORK, Job, Record, Suite, by_job, failure_note, main
from benchmarks.kill_run import LABELS, STEPS, TARGETS, train_words

NAME = "kills"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
QUICK_TARGETS = ("reward", "all")


def jobs(seed: int, quick: bool) -> list[Job]:
    """One run with one kill for each target."""
    return [_job(target, seed) for target in (QUICK_TARGETS if quick else TARGETS)]


def _job(target: str, seed: int) -> Job:
    run = WORK / "runs" / NAME / f"{target}-{seed}"
    shown = run.relative_to(ROOT)
    return Job(
        name=f"kill/{target}",
        seed=seed,
        command=[
            *(sys.executable, "-m", "benchmarks.kill_run", "--target", target),
            *("--seed", str(seed), "--run", str(shown)),
        ],
        config={"train": train_words(0, Path("RUN")), "target": target},
        env=ONE_THREAD,
        scratch=run,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write kills.md."""
    newest = max(records, key=lambda record: record.started)
    rows = [_row(name.partition("/")[2], group) for name, group in by_job(records).items()]
    parts = [
        "# Kills\n",
        f"`python benchmarks/{NAME}.py`, {newest.started[:10]}. A run of {STEPS:,} steps and {LABELS} labels "
        "in three processes; at a random moment SIGKILL ends one worker, which the launcher restarts, or all "
        "processes, launcher included, after which `prefrl resume` goes on. Finished: exit status 0 with all "
        "steps and labels. Lost or changed: comparisons that were in the store just before the kill and are "
        "not there at the end, in the same place with the same content.\n",
        "| Killed | Kills | Finished | Acknowledged before | Lost or changed | In the states |",
        "|---|--:|--:|--:|--:|---|",
        *rows,
        "",
        failure_note(records) or "",
    ]
    (folder / f"{NAME}.md").write_text("\n".join(parts), encoding="utf-8")


def _row(target: str, group: Sequence[Record]) -> str:
    struck = [record.metrics for record in group if record.ok and record.metrics["was_killed"]]
    states = sorted({str(metrics["state"]) for metrics in struck})
    name = "all at once" if target == "all" else target
    finished = sum(metrics["finished"] for metrics in struck)
    before = sum(metrics["acknowledged_before"] for metrics in struck)
    lost = sum(metrics["lost_or_changed"] for metrics in struck)
    return f"| {name} | {len(struck)} | {finished} | {before} | {lost} | {', '.join(states)} |"


if __name__ == "__main__":
    sys.exit(main(Suite(NAME, jobs, report)))
