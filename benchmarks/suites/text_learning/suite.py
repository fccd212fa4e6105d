"""Texts from rankings of four responses, beside the same agent on the true reward and before training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import (
    Job,
    Record,
    Suite,
    heading,
    interval_column,
    mean_column,
    median_column,
    min_column,
    run_folder,
    seeds_column,
    train_job,
    true_reward_job,
)
from benchmarks.harness.learning import with_recorded_curve, write_report
from prefrl.config import to_json
from prefrl.presets import get_preset

NAME = "text_learning"
TASKS = {"walks": "text-walks", "reviews": "text-reviews"}
"""task -> preset"""
SMOOTHED_EPISODES = 20
"""training episodes averaged in a point of a curve"""


def jobs(seed: int, quick: bool) -> list[Job]:
    """All methods on both tasks for one seed."""
    return [job for task in TASKS for job in _task(task, seed, quick)]


def _task(task: str, seed: int, quick: bool) -> list[Job]:
    steps = 2000 if quick else _preset(task)["steps"]
    return [
        _prefrl(task, seed, ["--steps", "2000", "--labels", "40"] if quick else []),
        _true_reward(task, "true-reward", seed, steps),
        _true_reward(task, "fine-tuned", seed, steps=0),
    ]


def _preset(task: str) -> Mapping[str, Any]:
    return to_json(get_preset(TASKS[task]).config)


def _prefrl(task: str, seed: int, size: Sequence[str]) -> Job:
    run = run_folder(NAME, f"{task}-{seed}")
    return train_job(
        f"{task}/prefrl",
        seed,
        TASKS[task],
        size,
        run,
        config={"preset": _preset(task)},
        parse=partial(with_recorded_curve, run=run),
    )


def _true_reward(task: str, method: str, seed: int, steps: int) -> Job:
    config = _preset(task)
    return true_reward_job(
        f"{task}/{method}",
        seed,
        TASKS[task],
        ["--steps", str(steps), "--episodes", str(config["eval_episodes"])],
        config={key: config[key] for key in ("env", "agent", "eval_episodes")},
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write text_learning.md, text_learning.png and text_learning_curves.png."""
    good = next(record for record in records if record.ok)
    title = heading(
        "Texts: rankings beside the true reward",
        NAME,
        records,
        "{cpu}; prefrl in three processes on two cores, the others in one. True return: a seed's mean over "
        f"{good.metrics['episodes']} sampled responses; the maximum is 1 for walks and 4 for reviews.",
    )
    columns = [
        seeds_column(),
        median_column("labels", "Rankings"),
        median_column("steps", "Tokens"),
        mean_column("true_return_mean", "True return"),
        min_column("true_return_mean", "True return"),
        interval_column("true_return_mean"),
        median_column("wall_s", "Seconds"),
    ]
    write_report(NAME, title, records, columns, folder, SMOOTHED_EPISODES, "Tokens")


SUITE = Suite(NAME, jobs, report, default_seeds="0-2")
