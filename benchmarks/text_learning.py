"""Texts taught by rankings of four responses: beside the same agent on the true reward, and before it learned.

``python benchmarks/text_learning.py --seeds 0-2``; how to read the results is in README.md beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import (
    ONE_THREAD,
    ROOT,
    WORK,
    Job,
    Record,
    Suite,
    interval_column,
    main,
    mean_column,
    median_column,
    min_column,
    seeds_column,
)
from benchmarks.learning import with_recorded_curve, write_report
from prefrl.config import to_json
from prefrl.presets import get_preset

NAME = "text_learning"
TASKS = {"walks": "text-walks", "reviews": "text-reviews"}
"""presets"""
SMOOTHED_EPISODES = 20
"""training episodes that a point of a curve is the mean of"""


def jobs(seed: int, quick: bool) -> list[Job]:
    """All methods on both tasks for one seed."""
    size = ["--steps", "2000"] if quick else []
    return [
        job
        for task, preset in TASKS.items()
        for job in (
            _prefrl(task, preset, seed, [*size, "--labels", "40"] if quick else []),
            _true_reward(
                task, "true-reward", preset, seed, size or ["--steps", str(_config(preset)["steps"])]
            ),
            _true_reward(task, "fine-tuned", preset, seed, ["--steps", "0"]),
        )
    ]


def _config(preset: str) -> Mapping[str, Any]:
    return to_json(get_preset(preset).config)


def _prefrl(task: str, preset: str, seed: int, size: Sequence[str]) -> Job:
    run = WORK / "runs" / NAME / f"{task}-{seed}"
    return Job(
        name=f"{task}/prefrl",
        seed=seed,
        command=[
            *(sys.executable, "-m", "prefrl.cli", "train", preset, *size),
            *("--seed", str(seed), "--run", str(run.relative_to(ROOT))),
        ],
        config={"preset": _config(preset)},
        env=ONE_THREAD,
        parse=partial(with_recorded_curve, run=run),
        scratch=run,
    )


def _true_reward(task: str, method: str, preset: str, seed: int, size: Sequence[str]) -> Job:
    config = _config(preset)
    return Job(
        name=f"{task}/{method}",
        seed=seed,
        command=[
            *(sys.executable, "-m", "benchmarks.true_reward", preset, *size),
            *("--seed", str(seed), "--episodes", str(config["eval_episodes"])),
        ],
        config={key: config[key] for key in ("env", "agent", "eval_episodes")},
        env=ONE_THREAD,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write text_learning.md, text_learning.png and text_learning_curves.png."""
    newest = max(records, key=lambda record: record.started)
    good = next(record for record in records if record.ok)
    heading = (
        "# Texts: rankings beside the true reward\n\n"
        f"`python benchmarks/{NAME}.py`, {newest.started[:10]}, {newest.machine['cpu']}; prefrl in three processes on "
        "two cores, the others in one. True return: a seed's mean over "
        f"{good.metrics['episodes']} sampled responses; 1 is best in walks, 4 in reviews. How to read this: "
        "[README](../README.md).\n"
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
    write_report(NAME, heading, records, columns, folder, SMOOTHED_EPISODES, "Tokens")


if __name__ == "__main__":
    sys.exit(main(Suite(NAME, jobs, report)))
