"""bfloat16 and float32: do agent and learned reward learn alike from pixels?

``python benchmarks/precision.py --seeds 0-2``; how to read the results is in README.md beside this file.
"""

from __future__ import annotations

import json
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
    run = WORK / "runs" / NAME / f"{precision}-{seed}"
    return Job(
        name=f"{TASK}/{precision}",
        seed=seed,
        command=[
            *(sys.executable, "-m", "prefrl.cli", "train", TASK, "--launcher", "serial"),
            *("--agent.policy", "FastCnnPolicy", "--agent.hyperparameters", json.dumps(hyperparameters)),
            *("--reward.precision", precision, "--labels", str(labels), "--steps", str(steps)),
            *("--seed", str(seed), "--run", str(run.relative_to(ROOT))),
        ],
        config={"launcher": "serial", "labels": labels, "steps": steps, "preset": to_json(config)},
        env=ONE_THREAD,
        parse=partial(with_training_curve, run=run),
        scratch=run,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write precision.md, precision.png and precision_curves.png."""
    columns = [
        seeds_column(),
        iqm_column("true_return_mean", "True return"),
        interval_column("true_return_mean"),
        mean_column("true_return_mean"),
        min_column("true_return_mean"),
        median_column("optimal_return", "Optimum"),
        median_column("reward_accuracy_validation", "Reward's accuracy"),
    ]
    newest = max(records, key=lambda record: record.started)
    heading = (
        "# bfloat16 beside float32: MovingDot from pixels\n\n"
        f"`python benchmarks/{NAME}.py --seeds 0-2`, {newest.started[:10]}, each job in one process on one core of "
        f"{newest.machine['cpu']}. Policy and learned reward compute in the precision named. How to read this: "
        "[README](../README.md).\n"
    )
    write_report(NAME, heading, records, columns, folder)


if __name__ == "__main__":
    sys.exit(main(Suite(NAME, jobs, report)))
