"""Classic control: prefrl, the same agent on the true reward, and imitation, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import (
    ONE_THREAD,
    Job,
    Panel,
    Record,
    Suite,
    Virtualenv,
    by_job,
    failure_note,
    heading,
    median_column,
    plot,
    ratio_column,
    run_folder,
    table,
    train_job,
    true_return_columns,
    true_reward_job,
    write_page,
)
from prefrl.config import to_json
from prefrl.presets import get_preset

NAME = "control"
CORES = 2
EPISODES = 20
IMITATION = "benchmarks/peers/imitation_control.py"
IMITATION_VENV = Virtualenv("imitation-venv", "benchmarks/peers/imitation_requirements.txt", "3.11")
IMITATION_ARGUMENTS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "pendulum": {"imitation": ("--env", "Pendulum-v1", "--fragment-steps", "100")},
    "cartpole": {
        "imitation": ("--env", "CartPole-v1", "--fragment-steps", "10", "--variable-horizon"),
        "imitation-fixed-horizon": (
            *("--env", "seals/CartPole-v0", "--evaluate-on", "CartPole-v1"),
            *("--fragment-steps", "100"),
        ),
    },
}
"""by task and method, what imitation gets beyond the settings of its tutorial"""


@dataclass(frozen=True)
class Size:
    """Budget of a job."""

    steps: int
    labels: int


FULL = Size(steps=50_000, labels=200)
QUICK = Size(steps=2_000, labels=20)


def jobs(seed: int, quick: bool) -> list[Job]:
    """All methods on all tasks for one seed; methods that are compared run close together in time."""
    size = QUICK if quick else FULL
    return [
        job
        for task, variants in IMITATION_ARGUMENTS.items()
        for job in (
            _prefrl(task, seed, size),
            _true_reward(task, seed, size),
            *[_imitation(task, name, seed, size) for name in variants],
        )
    ]


def _prefrl(task: str, seed: int, size: Size) -> Job:
    return train_job(
        f"{task}/prefrl",
        seed,
        task,
        ["--labels", str(size.labels), "--steps", str(size.steps)],
        run_folder(NAME, f"{task}-{seed}"),
        config={"labels": size.labels, "steps": size.steps, "preset": _preset(task)},
    )


def _true_reward(task: str, seed: int, size: Size) -> Job:
    preset = _preset(task)
    return true_reward_job(
        f"{task}/ppo-true-reward",
        seed,
        task,
        ["--steps", str(size.steps), "--episodes", str(EPISODES), "--normalize"],
        config={"steps": size.steps, "env": preset["env"], "agent": preset["agent"], "normalize": True},
    )


def _imitation(task: str, name: str, seed: int, size: Size) -> Job:
    arguments = IMITATION_ARGUMENTS[task][name]
    return Job(
        name=f"{task}/{name}",
        seed=seed,
        command=[
            *(IMITATION_VENV.python, IMITATION, *arguments, "--episodes", str(EPISODES)),
            *("--labels", str(size.labels), "--steps", str(size.steps), "--seed", str(seed)),
        ],
        config={"labels": size.labels, "steps": size.steps, "arguments": list(arguments)},
        env=ONE_THREAD,
        prepare=IMITATION_VENV.ensure,
    )


def _preset(task: str) -> Mapping[str, Any]:
    return to_json(get_preset(task).config)


def report(records: Sequence[Record], folder: Path) -> None:
    """Write control.md and control.png."""
    columns = [
        *true_return_columns(),
        median_column("steps", "Steps"),
        median_column("steps_per_s", "Steps/s"),
        ratio_column("steps_per_s", baseline="imitation", label="Steps/s"),
    ]
    parts = [
        _heading(records),
        table(records, columns),
        _sampling_note(records),
        failure_note(records),
        f"![True return and speed]({NAME}.png)\n",
    ]
    write_page(folder, NAME, parts)
    panels = [Panel("true_return_mean", "True return"), Panel("steps_per_s", "Steps per second")]
    plot(records, panels, folder / f"{NAME}.png")


def _heading(records: Sequence[Record]) -> str:
    labels = max(int(record.config.get("labels", 0)) for record in records)
    steps = max(int(record.config["steps"]) for record in records)
    return heading(
        f"Classic control: {labels} synthetic labels, {steps:,} steps asked for",
        NAME,
        records,
        f"on {{cores}} cores of {{cpu}}. True return: a seed's mean over {EPISODES} deterministic episodes of the "
        "ordinary environment.",
    )


def _sampling_note(records: Sequence[Record]) -> str:
    """The steps that imitation's steps/s leaves out; empty without imitation."""
    sampling = [record for record in records if record.ok and "environment_steps" in record.metrics]
    lines = [
        f"{name} {np.median([each.metrics['environment_steps'] for each in group]):,.0f} "
        f"({np.median([each.metrics['environment_steps_per_s'] for each in group]):,.0f}/s)"
        for name, group in by_job(sampling).items()
    ]
    if not lines:
        return ""
    return (
        "Steps are those the agent learned from. imitation takes further steps to sample fragments; "
        f"with these, median: {', '.join(lines)}.\n"
    )


SUITE = Suite(NAME, jobs, report, cores=CORES)
