"""Precision: MovingDot from pixels with agent and learned reward in bfloat16 and in float32."""

from __future__ import annotations

import json
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

NAME = "precision"
TASK = "moving-dot"
METHODS = ("float32", "bfloat16")


def jobs(seed: int, quick: bool) -> list[Job]:
    """Both precisions for one seed."""
    return [_job(method, seed, quick) for method in METHODS]


def _job(precision: str, seed: int, quick: bool) -> Job:
    config = get_preset(TASK).config
    steps, labels = (2_000, 20) if quick else (config.steps, config.labels)
    hyperparameters = config.agent.hyperparameters | {
        "policy_kwargs": {"features_extractor_kwargs": {"precision": precision}}
    }
    run = run_folder(NAME, f"{precision}-{seed}")
    flags = [
        *("--launcher", "serial", "--agent.policy", "FastCnnPolicy"),
        *("--agent.hyperparameters", json.dumps(hyperparameters)),
        *("--reward.precision", precision, "--labels", str(labels), "--steps", str(steps)),
    ]
    return train_job(
        f"{TASK}/{precision}",
        seed,
        TASK,
        flags,
        run,
        config={"launcher": "serial", "labels": labels, "steps": steps, "preset": to_json(config)},
        parse=partial(with_training_curve, run=run),
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write precision.md, precision.png and precision_curves.png."""
    columns = [
        *true_return_columns(),
        median_column("optimal_return", "Optimum"),
        median_column("reward_accuracy_validation", "Reward's accuracy"),
    ]
    title = heading(
        "bfloat16 beside float32: MovingDot from pixels",
        NAME,
        records,
        "each job in one process on one core of {cpu}. Policy and learned reward compute in the precision named.",
    )
    write_report(NAME, title, records, columns, folder)


SUITE = Suite(NAME, jobs, report, default_seeds="0-2")
