"""Relabelling: SAC from preferences, its replay buffer relabelled by each new learned reward, or not.

``python benchmarks/relabelling.py --seeds 0-4``; how to read the results is in README.md beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.harness import (
    ONE_THREAD,
    ROOT,
    WORK,
    Job,
    Record,
    Suite,
    interval_column,
    iqm_column,
    main,
    mean_column,
    median_column,
    min_column,
    seeds_column,
)
from benchmarks.learning import with_training_curve, write_report
from prefrl.config import to_json
from prefrl.presets import get_preset

NAME = "relabelling"
TASK = "pendulum-sac"
METHODS = {"relabelled": (), "not-relabelled": ("--agent.no-relabel",)}
"""what each adds to the command"""


def jobs(seed: int, quick: bool) -> list[Job]:
    """Both methods for one seed."""
    return [_job(method, seed, quick) for method in METHODS]


def _job(method: str, seed: int, quick: bool) -> Job:
    config = get_preset(TASK).config
    steps, labels = (2_000, 20) if quick else (config.steps, config.labels)
    run = WORK / "runs" / NAME / f"{method}-{seed}"
    return Job(
        name=f"{TASK}/{method}",
        seed=seed,
        command=[
            # In one process: the result is then the same however busy the machine is.
            *(sys.executable, "-m", "prefrl.cli", "train", TASK, "--launcher", "serial", *METHODS[method]),
            *("--labels", str(labels), "--steps", str(steps)),
            *("--seed", str(seed), "--run", str(run.relative_to(ROOT))),
        ],
        config={"launcher": "serial", "labels": labels, "steps": steps, "preset": to_json(config)},
        env=ONE_THREAD,
        parse=partial(with_training_curve, run=run),
        scratch=run,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write relabelling.md, relabelling.png and relabelling_curves.png."""
    columns = [
        seeds_column(),
        iqm_column("true_return_mean", "True return"),
        interval_column("true_return_mean"),
        mean_column("true_return_mean"),
        min_column("true_return_mean"),
        median_column("reward_accuracy_validation", "Reward's accuracy"),
    ]
    write_report(NAME, _heading(records), records, columns, folder)


def _heading(records: Sequence[Record]) -> str:
    newest = max(records, key=lambda record: record.started)
    good = next(record for record in records if record.ok)
    return (
        f"# Relabelling: SAC on Pendulum, {good.metrics['labels']} synthetic labels, "
        f"{good.metrics['steps']:,} steps\n\n"
        f"`python benchmarks/{NAME}.py`, {newest.started[:10]}, each job in one process on one core of "
        f"{newest.machine['cpu']}. True return: a seed's mean over {good.metrics['episodes']} deterministic "
        "episodes of the ordinary environment. How to read this: [README](../README.md).\n"
    )


if __name__ == "__main__":
    sys.exit(main(Suite(NAME, jobs, report)))
