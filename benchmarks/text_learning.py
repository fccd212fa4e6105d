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
    Output,
    Panel,
    Record,
    Suite,
    failure_note,
    interval_column,
    last_json_line,
    main,
    mean_column,
    median_column,
    min_column,
    plot,
    plot_curves,
    seeds_column,
    table,
)
from benchmarks.learning import training_curve
from prefrl.config import to_json
from prefrl.presets import get_preset
from prefrl.run_dir import RunDir
from prefrl.store import Store

NAME = "text_learning"
TASKS = {"walks": "text-walks", "reviews": "text-reviews"}
"""presets"""
SMOOTHED_EPISODES = 200
"""training episodes that a point of a curve is the mean of"""
CURVE_POINTS = 200


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
        parse=partial(_with_curve, run=run),
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


def _with_curve(stdout: str, run: Path) -> Output:
    """What the job printed, and how the training episodes went."""
    output = last_json_line(stdout)
    with Store.open(RunDir.open(run).store) as store:
        points = training_curve(store.recent_episodes(sys.maxsize), SMOOTHED_EPISODES)
    every = max(1, len(points) // CURVE_POINTS)
    return Output(output.metrics, points[::-every][::-1], output.versions)


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
    parts = [
        heading,
        table(records, columns),
        failure_note(records),
        f"![True return of the trained agents]({NAME}.png)\n",
        f"![True return while they were trained]({NAME}_curves.png)\n",
    ]
    (folder / f"{NAME}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")
    plot(records, [Panel("true_return_mean", "True return")], folder / f"{NAME}.png")
    training = Panel("true_return", f"True return, mean of {SMOOTHED_EPISODES} episodes")
    plot_curves(records, "steps", training, folder / f"{NAME}_curves.png", "Tokens")


if __name__ == "__main__":
    sys.exit(main(Suite(NAME, jobs, report)))
