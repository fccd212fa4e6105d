"""Small environments: taught by preferences, beside the same agent on the reward that is written down.

``python benchmarks/gridworlds.py --seeds 0-4``; how to read the results is in README.md beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import (
    ONE_THREAD,
    ROOT,
    WORK,
    Column,
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
    seeds_column,
    table,
)
from benchmarks.harness.columns import number
from benchmarks.true_reward import in_environment
from prefrl.config import RunConfig, to_json
from prefrl.loop.environments import make_ordinary_environment
from prefrl.presets import get_preset
from prefrl_envs.base import TabularEnv

__all__ = ["intended_return_of_written_optimum", "jobs", "optimal_return", "report"]

NAME = "gridworlds"
EPISODES = 200
TASKS = (
    *("penguin", "penguin-a2c", "penguin-dqn", "penguin-partial"),
    *("capital", "moving-dot", "boat-race", "vase"),
)
WRITTEN = {"boat-race": "prefrl/BoatRace-v0", "vase": "prefrl/Vase-v0"}
"""tasks whose written reward is not what is meant, and the environment that pays it"""
PLOTS_A_ROW = 4
TIE = 1e-9


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
    run = WORK / "runs" / NAME / f"{task}-{seed}"
    return Job(
        name=f"{task}/prefrl",
        seed=seed,
        command=[
            # In one process: the result is then the same however busy the machine is.
            *(sys.executable, "-m", "prefrl.cli", "train", task, "--launcher", "serial"),
            *("--labels", str(config.labels), "--steps", str(config.steps)),
            *("--eval-episodes", str(config.eval_episodes)),
            *("--seed", str(seed), "--run", str(run.relative_to(ROOT))),
        ],
        config={"launcher": "serial", "preset": to_json(config)},
        env=ONE_THREAD,
        parse=partial(_outcome, task=task, run=run),
        scratch=run,
    )


def _written_reward(task: str, seed: int, config: RunConfig) -> Job:
    written = ["--written", WRITTEN[task]] if task in WRITTEN else []
    preset = to_json(config)
    return Job(
        name=f"{task}/written-reward",
        seed=seed,
        command=[
            *(sys.executable, "-m", "benchmarks.true_reward", task, *written),
            *("--steps", str(config.steps), "--seed", str(seed), "--episodes", str(config.eval_episodes)),
        ],
        config={
            "written": written,
            **{key: preset[key] for key in ("steps", "env", "agent", "eval_episodes")},
        },
        env=ONE_THREAD,
        parse=partial(_outcome, task=task),
    )


def _outcome(stdout: str, task: str, run: Path | None = None) -> Output:
    """What the job printed, the task's exact optima, and what the agent of ``run`` gets by the written reward."""
    output = last_json_line(stdout)
    known: dict[str, Any] = {**output.metrics, **_optima(task)}
    if run is not None and task in WRITTEN:
        known["written_return_mean"] = _written_return(run, WRITTEN[task])
    return replace(output, metrics=known)


def _written_return(run_path: Path, env_id: str) -> float:
    """Mean return of a finished run's agent in another environment, in the episodes it was evaluated on."""
    from prefrl.storage.run_dir import RunDir
    from prefrl_agents import evaluate, load_model
    from prefrl_agents.factory import evaluation_environments

    run = RunDir.open(run_path)
    config = run.config()
    model = load_model(config.agent.algorithm, run.agent)
    venvs = evaluation_environments(in_environment(config, env_id))
    return evaluate(model, venvs, config.eval_episodes, config.seed).mean


def _optima(task: str) -> dict[str, Any]:
    env: Any = make_ordinary_environment(get_preset(task).config.env).unwrapped
    optima: dict[str, Any] = {"optimal_return": optimal_return(env)}
    if task in WRITTEN:
        optima["written_optimal_return"] = env.optimal_return()
        optima["intended_return_of_written_optimum"] = intended_return_of_written_optimum(env)
    return optima


def optimal_return(env: Any) -> float:
    """Mean return of the best policy that sees the whole state, by what is intended; exact."""
    return float(env.optimal_return(intended=True) if isinstance(env, TabularEnv) else env.optimal_return())


def intended_return_of_written_optimum(env: TabularEnv[Any]) -> tuple[float, float]:
    """The least and the greatest mean intended return of all policies that are optimal by the written reward.

    Exact, by backward induction over the episode; the policies may depend on the step.
    """
    return -_best_among_optimal(env, -env.intended_rewards), _best_among_optimal(env, env.intended_rewards)


def _best_among_optimal(env: TabularEnv[Any], rewards: np.ndarray) -> float:
    """The greatest mean return by ``rewards`` (S, A) among policies that are optimal by the written reward."""
    written = np.zeros(len(env.start))
    chosen = np.zeros(len(env.start))
    for _ in range(env.horizon_steps):
        q = env.rewards + env.transitions @ written
        written = q.max(axis=1)
        is_optimal = q >= written[:, None] - TIE
        chosen = np.where(is_optimal, rewards + env.transitions @ chosen, -np.inf).max(axis=1)
    return float(env.start @ chosen)


def report(records: Sequence[Record], folder: Path) -> None:
    """Write gridworlds.md and gridworlds.png."""
    columns = [
        seeds_column(),
        median_column("labels", "Labels"),
        median_column("steps", "Steps"),
        iqm_column("true_return_mean", "True return"),
        interval_column("true_return_mean"),
        mean_column("true_return_mean"),
        min_column("true_return_mean"),
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
    (folder / f"{NAME}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")
    panel = Panel("true_return_mean", "True return", mark=("optimal_return", "optimum"))
    plot(records, [panel], folder / f"{NAME}.png", most_columns=PLOTS_A_ROW)


def _heading(records: Sequence[Record]) -> str:
    newest = max(records, key=lambda record: record.started)
    good = next(record for record in records if record.ok)
    return (
        "# Gridworlds: preferences beside the written reward\n\n"
        f"`python benchmarks/{NAME}.py`, {newest.started[:10]}, each job in one process on one core of "
        f"{newest.machine['cpu']}. True return: a seed's mean over {good.metrics['episodes']} deterministic "
        "episodes of the ordinary environment, by what is intended. How to read this: [README](../README.md).\n"
    )


def _hacking_note(records: Sequence[Record]) -> str:
    """How the written rewards that can be hacked are hacked at best; empty without such a task."""
    hacked = {record.task: record.metrics for record in records if record.ok and record.task in WRITTEN}
    return "".join(_hack(task, metrics) for task, metrics in hacked.items())


def _hack(task: str, metrics: Mapping[str, Any]) -> str:
    low, high = metrics["intended_return_of_written_optimum"]
    return (
        f"- {task}: the best policy by the written reward gets {number(metrics['written_optimal_return'])} "
        f"of it, and a true return of {number(low)} to {number(high)}.\n"
    )


if __name__ == "__main__":
    sys.exit(main(Suite(NAME, jobs, report)))
