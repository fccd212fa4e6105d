"""Small environments: preferences beside the same agent on the reward that the environment pays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import (
    Column,
    Job,
    Output,
    Panel,
    Record,
    Suite,
    failure_note,
    heading,
    iqm_column,
    last_json_line,
    median_column,
    number,
    plot,
    run_folder,
    runs,
    table,
    train_job,
    true_return_columns,
    true_reward_job,
    write_page,
)
from benchmarks.suites.gridworlds.optima import intended_return_of_written_optimum, optimal_return
from prefrl.config import RunConfig, to_json
from prefrl.presets import get_preset

NAME = "gridworlds"
EPISODES = 200
TASKS = (
    *("penguin", "penguin-a2c", "penguin-dqn", "penguin-partial"),
    *("capital", "moving-dot", "boat-race", "vase"),
)
WRITTEN = {"boat-race": "prefrl/BoatRace-v0", "vase": "prefrl/Vase-v0"}
"""task whose written reward is not the intended one -> the environment that pays it"""
PLOTS_PER_ROW = 4


def jobs(seed: int, quick: bool) -> list[Job]:
    """Both methods on all tasks for one seed."""
    return [
        job
        for task in TASKS
        for config in [_sized(get_preset(task).config, quick)]
        for job in (_prefrl(task, seed, config), _written_reward(task, seed, config))
    ]


def _sized(config: RunConfig, quick: bool) -> RunConfig:
    config = replace(config, eval_episodes=EPISODES)
    return replace(config, labels=20, steps=2_000, eval_episodes=20) if quick else config


def _prefrl(task: str, seed: int, config: RunConfig) -> Job:
    run = run_folder(NAME, f"{task}-{seed}")
    flags = [
        # In one process, so that the result does not depend on how busy the machine is.
        *("--launcher", "serial", "--labels", str(config.labels), "--steps", str(config.steps)),
        *("--eval-episodes", str(config.eval_episodes)),
    ]
    return train_job(
        f"{task}/prefrl",
        seed,
        task,
        flags,
        run,
        config={"launcher": "serial", "preset": to_json(config)},
        parse=partial(_parse, task=task, run=run),
    )


def _written_reward(task: str, seed: int, config: RunConfig) -> Job:
    written = ["--written", WRITTEN[task]] if task in WRITTEN else []
    preset = to_json(config)
    return true_reward_job(
        f"{task}/written-reward",
        seed,
        task,
        [*written, "--steps", str(config.steps), "--episodes", str(config.eval_episodes)],
        config={
            "written": written,
            **{key: preset[key] for key in ("steps", "env", "agent", "eval_episodes")},
        },
        parse=partial(_parse, task=task),
    )


def _parse(stdout: str, task: str, run: Path | None = None) -> Output:
    """The printed result, the task's exact optima, and the written return of the agent of ``run``."""
    output = last_json_line(stdout)
    known: dict[str, Any] = {**output.metrics, **_optima(task)}
    if run is not None and task in WRITTEN:
        known["written_return_mean"] = _written_return(run, WRITTEN[task])
    return replace(output, metrics=known)


def _written_return(run: Path, env_id: str) -> float:
    """Mean return of a finished run's agent in another environment, on the episodes it was evaluated on."""
    config = runs.config_of(run)
    written = runs.in_environment(config, env_id)
    return runs.evaluate_agent(runs.newest_agent(run), written, config.eval_episodes, config.seed).mean


def _optima(task: str) -> dict[str, Any]:
    env: Any = runs.ordinary_environment(get_preset(task).config).unwrapped
    optima: dict[str, Any] = {"optimal_return": optimal_return(env)}
    if task in WRITTEN:
        optima["written_optimal_return"] = env.optimal_return()
        optima["intended_return_of_written_optimum"] = intended_return_of_written_optimum(env)
    return optima


def report(records: Sequence[Record], folder: Path) -> None:
    """Write gridworlds.md and gridworlds.png."""
    seeds, *returns = true_return_columns()
    columns = [
        *(seeds, median_column("labels", "Labels"), median_column("steps", "Steps"), *returns),
        Column("Optimum", lambda group, _: number(group[0].metrics["optimal_return"])),
        iqm_column("written_return_mean", "Written return"),
    ]
    parts = [
        _heading(records),
        table(records, columns),
        _hacking_note(records),
        failure_note(records),
        f"![True return, and the exact optimum]({NAME}.png)\n",
    ]
    write_page(folder, NAME, parts)
    panel = Panel("true_return_mean", "True return", mark=("optimal_return", "optimum"))
    plot(records, [panel], folder / f"{NAME}.png", most_columns=PLOTS_PER_ROW)


def _heading(records: Sequence[Record]) -> str:
    good = next(record for record in records if record.ok)
    return heading(
        "Gridworlds: preferences beside the written reward",
        NAME,
        records,
        "each job in one process on one core of {cpu}. True return: a seed's mean over "
        f"{good.metrics['episodes']} deterministic episodes of the ordinary environment, by the intended reward.",
    )


def _hacking_note(records: Sequence[Record]) -> str:
    """What the optimal policies by the written reward achieve where it can be hacked; empty without such a task."""
    hacked = {record.task: record.metrics for record in records if record.ok and record.task in WRITTEN}
    return "".join(_hack(task, metrics) for task, metrics in hacked.items())


def _hack(task: str, metrics: Mapping[str, Any]) -> str:
    low, high = metrics["intended_return_of_written_optimum"]
    return (
        f"- {task}: the optimal policies by the written reward have a written return of "
        f"{number(metrics['written_optimal_return'])} and a true return of {number(low)} to {number(high)}.\n"
    )


SUITE = Suite(NAME, jobs, report)
