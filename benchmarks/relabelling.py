"""Relabelling: SAC from preferences, its replay buffer relabelled by each new learned reward, or not.

``python benchmarks/relabelling.py --seeds 0-4``; how to read the results is in README.md beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

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
    iqm_column,
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
from prefrl.config import to_json
from prefrl.presets import get_preset
from prefrl.store import Episode, Store

__all__ = ["SMOOTHED_EPISODES", "jobs", "report", "training_curve", "with_training_curve"]

NAME = "relabelling"
TASK = "pendulum-sac"
METHODS = {"relabelled": (), "not-relabelled": ("--agent.no-relabel",)}
"""what each adds to the command"""
SMOOTHED_EPISODES = 5
ALL_EPISODES = sys.maxsize


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


def with_training_curve(stdout: str, run: Path) -> Output:
    """The result that a job printed, with the curve of its run's training episodes."""
    from prefrl.run_dir import RunDir

    output = last_json_line(stdout)
    with Store.open(RunDir.open(run).store) as store:
        episodes = store.recent_episodes(ALL_EPISODES)
    return Output(output.metrics, training_curve(episodes), output.versions)


def training_curve(episodes: Sequence[Episode], newest: int = SMOOTHED_EPISODES) -> list[dict[str, float]]:
    """The mean true return of the ``newest`` training episodes at the end of each, from the first full mean on."""
    returns = [episode.true_return for episode in episodes]
    return [
        {"steps": episodes[end - 1].policy_step, "true_return": float(np.mean(returns[end - newest : end]))}
        for end in range(newest, len(episodes) + 1)
    ]


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
    parts = [
        _heading(records),
        table(records, columns),
        failure_note(records),
        f"![True return of the trained agents]({NAME}.png)\n",
        f"![True return while they were trained]({NAME}_curves.png)\n",
    ]
    (folder / f"{NAME}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")
    plot(records, [Panel("true_return_mean", "True return")], folder / f"{NAME}.png")
    training = Panel("true_return", f"True return, mean of {SMOOTHED_EPISODES} episodes")
    plot_curves(records, "steps", training, folder / f"{NAME}_curves.png", "Agent steps")


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
