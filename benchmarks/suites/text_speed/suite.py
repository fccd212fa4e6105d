"""Tokens learned from per second: PPO beside stock Stable-Baselines3, GRPO and DPO beside TRL."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.harness import (
    ONE_THREAD,
    WORK,
    Job,
    Panel,
    Record,
    Suite,
    Virtualenv,
    failure_note,
    heading,
    job_command,
    mean_column,
    median_column,
    plot,
    plot_curves,
    ratio_column,
    relative,
    seeds_column,
    table,
    write_page,
)
from benchmarks.suites.text_speed.job import save_model

NAME = "text_speed"
SIZE = "small"
TRL = "benchmarks/peers/trl_text.py"
TRL_VENV = Virtualenv("trl-venv", "benchmarks/peers/trl_requirements.txt", "3.11")
BASELINES = {"ppo": "stock", "grpo": "trl", "dpo": "trl"}
"""task -> the method that prefrl is compared with"""
SIZES = {"ppo": ["--rollouts", "2"], "grpo": ["--rollouts", "40"], "dpo": ["--pairs", "2000"]}
QUICK_SIZES = {"ppo": ["--rollouts", "1"], "grpo": ["--rollouts", "3"], "dpo": ["--pairs", "64"]}
"""task -> how much is learned from; little for PPO, since stock PPO takes minutes for it"""


def jobs(seed: int, quick: bool) -> list[Job]:
    """prefrl and its peers in turn, so that a drift of the machine affects both."""
    sizes = QUICK_SIZES if quick else SIZES
    trl = [TRL_VENV.python, TRL]
    model = ["--model", relative(_checkpoint(seed))]
    commands = {
        "ppo/prefrl": job_command(NAME, "token-ppo", "--size", SIZE),
        "ppo/stock": job_command(NAME, "stock-ppo", "--size", SIZE),
        "grpo/prefrl": job_command(NAME, "grpo", "--size", SIZE),
        "grpo/trl": [*trl, "grpo", *model],
        "dpo/prefrl": job_command(NAME, "dpo", "--size", SIZE),
        "dpo/trl": [*trl, "dpo", *model],
    }
    return [
        Job(
            name=name,
            seed=seed,
            command=[*command, *sizes[name.split("/")[0]], "--seed", str(seed)],
            config={"work": sizes[name.split("/")[0]], "size": SIZE},
            env=ONE_THREAD,
            prepare=partial(_prepare_trl, seed) if name.endswith("/trl") else None,
        )
        for name, command in commands.items()
    ]


def _checkpoint(seed: int) -> Path:
    """The folder of the initial model, which TRL reads too."""
    return WORK / "text" / f"{SIZE}-{seed}"


def _prepare_trl(seed: int) -> None:
    TRL_VENV.ensure()
    save_model(SIZE, seed, _checkpoint(seed))


def report(records: Sequence[Record], folder: Path) -> None:
    """Write text_speed.md, text_speed.png and text_speed_curves.png."""
    title = heading(
        "Tokens learned from per second",
        NAME,
        records,
        "each job on one core of {cpu}, one after the other. Prompts of 64 tokens, responses of up to 48, a GPT-2 with "
        "4 layers of width 128.",
    )
    parts = [title]
    for task, baseline in BASELINES.items():
        chosen = [record for record in records if record.task == task]
        columns = [
            seeds_column(),
            median_column("tokens_per_s", "Tokens/s"),
            ratio_column("tokens_per_s", baseline=baseline, label="Tokens/s"),
            mean_column("last", "Last reward" if task != "dpo" else "Last accuracy"),
        ]
        parts += [f"## {task}\n", table(chosen, columns)]
    parts += [
        failure_note(records),
        f"![Tokens per second]({NAME}.png)\n",
        f"![Reward while training]({NAME}_curves.png)\n",
    ]
    write_page(folder, NAME, parts)
    plot(records, [Panel("tokens_per_s", "Tokens learned from per second")], folder / f"{NAME}.png")
    # Stock PPO has too few rollouts for a curve.
    learned = [record for record in records if record.task != "ppo"]
    curves = Panel("reward", "Reward; for DPO, accuracy")
    plot_curves(learned, "step", curves, folder / f"{NAME}_curves.png", "Rollouts; for DPO, minibatches")


SUITE = Suite(NAME, jobs, report, default_seeds="0-2")
