"""Classic control: prefrl, the same agent on the true reward, and `imitation`, side by side.

``python benchmarks/control.py --seeds 0-4``; how to read the results is in README.md beside this file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.harness import (
    ROOT,
    WORK,
    Job,
    Panel,
    Record,
    Suite,
    by_job,
    ensure_venv,
    failure_note,
    interval_column,
    iqm_column,
    main,
    mean_column,
    median_column,
    min_column,
    plot,
    ratio_column,
    seeds_column,
    table,
)

NAME = "control"
CORES = 2
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
EPISODES = 20
IMITATION = "benchmarks/peers/imitation_control.py"

# What each task needs beyond the tutorial's settings, by method.
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


@dataclass(frozen=True)
class Size:
    """How much of everything a job gets."""

    steps: int
    labels: int


FULL = Size(steps=50_000, labels=200)
QUICK = Size(steps=2_000, labels=20)


def jobs(seed: int, quick: bool) -> list[Job]:
    """All methods on all tasks for one seed, so that what is compared runs close together in time."""
    size = QUICK if quick else FULL
    imitation_python = ensure_venv(
        "imitation-venv", ROOT / "benchmarks/peers/imitation_requirements.txt", python_version="3.11"
    )
    return [
        job
        for task, variants in IMITATION_ARGUMENTS.items()
        for job in (
            _prefrl(task, seed, size),
            _true_reward(task, seed, size),
            *[_imitation(task, name, imitation_python, seed, size) for name in variants],
        )
    ]


def _prefrl(task: str, seed: int, size: Size) -> Job:
    run = WORK / "runs" / NAME / f"{task}-{seed}"
    return Job(
        name=f"{task}/prefrl",
        seed=seed,
        command=[
            *(sys.executable, "-m", "prefrl.cli", "train", task),
            *("--labels", str(size.labels), "--steps", str(size.steps)),
            *("--seed", str(seed), "--run", str(run.relative_to(ROOT))),
        ],
        config={"labels": size.labels, "steps": size.steps, "preset": _preset(task)},
        env=ONE_THREAD,
        scratch=run,
    )


def _true_reward(task: str, seed: int, size: Size) -> Job:
    preset = _preset(task)
    return Job(
        name=f"{task}/ppo-true-reward",
        seed=seed,
        command=[
            *(sys.executable, "-m", "benchmarks.true_reward", task),
            *("--steps", str(size.steps), "--seed", str(seed), "--episodes", str(EPISODES)),
            "--normalize",
        ],
        config={"steps": size.steps, "env": preset["env"], "agent": preset["agent"], "normalize": True},
        env=ONE_THREAD,
    )


def _imitation(task: str, name: str, python: str, seed: int, size: Size) -> Job:
    arguments = IMITATION_ARGUMENTS[task][name]
    return Job(
        name=f"{task}/{name}",
        seed=seed,
        command=[
            *(python, IMITATION, *arguments, "--episodes", str(EPISODES)),
            *("--labels", str(size.labels), "--steps", str(size.steps), "--seed", str(seed)),
        ],
        config={"labels": size.labels, "steps": size.steps, "arguments": list(arguments)},
        env=ONE_THREAD,
    )


def _preset(task: str) -> Mapping[str, Mapping[str, object]]:
    from prefrl.config import to_json
    from prefrl.presets import get_preset

    return to_json(get_preset(task).config)


def report(records: Sequence[Record], folder: Path) -> None:
    """Write control.md and control.png."""
    columns = [
        seeds_column(),
        iqm_column("true_return_mean", "True return"),
        interval_column("true_return_mean"),
        mean_column("true_return_mean"),
        min_column("true_return_mean"),
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
    (folder / f"{NAME}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")
    panels = [Panel("true_return_mean", "True return"), Panel("steps_per_s", "Steps per second")]
    plot(records, panels, folder / f"{NAME}.png")


def _heading(records: Sequence[Record]) -> str:
    newest = max(records, key=lambda record: record.started)
    labels = max(int(record.config.get("labels", 0)) for record in records)
    steps = max(int(record.config["steps"]) for record in records)
    return (
        f"# Classic control: {labels} synthetic labels, {steps:,} steps asked for\n\n"
        f"`python benchmarks/{NAME}.py`, {newest.started[:10]}, on {newest.machine['cores']} cores of "
        f"{newest.machine['cpu']}. True return: a seed's mean over {EPISODES} deterministic episodes of the "
        "ordinary environment. How to read this: [README](../README.md).\n"
    )


def _sampling_note(records: Sequence[Record]) -> str:
    """What imitation's steps/s leaves out; empty without it."""
    sampling = [record for record in records if record.ok and "environment_steps" in record.metrics]
    lines = [
        f"{name} {np.median([each.metrics['environment_steps'] for each in group]):,.0f} "
        f"({np.median([each.metrics['environment_steps_per_s'] for each in group]):,.0f}/s)"
        for name, group in by_job(sampling).items()
    ]
    return (
        "Steps are those the agent learned from. imitation takes more, to sample fragments; "
        f"with them, at the median: {', '.join(lines)}.\n"
        if lines
        else ""
    )


def use_two_cores() -> None:
    """Keep everything started from here on to the same two cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


if __name__ == "__main__":
    use_two_cores()
    sys.exit(main(Suite(NAME, jobs, report)))
