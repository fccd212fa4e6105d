"""Relabelling: SAC from preferences, with and without relabelling its replay buffer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.harness import (
    Job,
    Record,
    Suite,
    heading,
    median_column,
    run_folder,
    train_job,
    true_return_columns,
)
from benchmarks.harness.learning import with_training_curve, write_report
from prefrl.config import to_json
from prefrl.presets import get_preset

NAME = "relabelling"
TASK = "pendulum-sac"
METHODS = {"relabelled": (), "not-relabelled": ("--agent.no-relabel",)}
"""method -> what it adds to the command"""


def jobs(seed: int, quick: bool) -> list[Job]:
    """Both methods for one seed."""
    return [_job(method, seed, quick) for method in METHODS]


def _job(method: str, seed: int, quick: bool) -> Job:
    config = get_preset(TASK).config
    steps, labels = (2_000, 20) if quick else (config.steps, config.labels)
    run = run_folder(NAME, f"{method}-{seed}")
    return train_job(
        f"{TASK}/{method}",
        seed,
        TASK,
        # In one process, so that the result does not depend on how busy the machine is.
        ["--launcher", "serial", *METHODS[method], "--labels", str(labels), "--steps", str(steps)],
        run,
        config={"launcher": "serial", "labels": labels, "steps": steps, "preset": to_json(config)},
        parse=partial(with_training_curve, run=run),
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write relabelling.md, relabelling.png and relabelling_curves.png."""
    columns = [*true_return_columns(), median_column("reward_accuracy_validation", "Reward's accuracy")]
    write_report(NAME, _heading(records), records, columns, folder)


def _heading(records: Sequence[Record]) -> str:
    metrics = next(record for record in records if record.ok).metrics
    return heading(
        f"Relabelling: SAC on Pendulum, {metrics['labels']} synthetic labels, {metrics['steps']:,} steps",
        NAME,
        records,
        "each job in one process on one core of {cpu}. True return: a seed's mean over "
        f"{metrics['episodes']} deterministic episodes of the ordinary environment.",
    )


SUITE = Suite(NAME, jobs, report)
