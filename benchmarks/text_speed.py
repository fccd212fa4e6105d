"""Tokens learned from per second: stock SB3 PPO, ours, GRPO and DPO, and TRL's on the same model and data.

``python benchmarks/text_speed.py --seeds 0-2``; how to read the results is in README.md beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import (
    ONE_THREAD,
    ROOT,
    WORK,
    Job,
    Panel,
    Record,
    Suite,
    ensure_venv,
    failure_note,
    main,
    mean_column,
    median_column,
    plot,
    plot_curves,
    ratio_column,
    seeds_column,
    table,
)

NAME = "text_speed"
SIZE = "small"
TRL = "benchmarks/peers/trl_text.py"
BASELINES = {"ppo": "stock", "grpo": "trl", "dpo": "trl"}
"""by task, what ours is compared with"""
SIZES = {"ppo": ["--rollouts", "2"], "grpo": ["--rollouts", "40"], "dpo": ["--pairs", "2000"]}
QUICK_SIZES = {"ppo": ["--rollouts", "1"], "grpo": ["--rollouts", "3"], "dpo": ["--pairs", "64"]}
"""by task, how much is learned from: as little of PPO as stock takes minutes for"""


def jobs(seed: int, quick: bool) -> list[Job]:
    """Ours and the others, in turn, so that a machine that drifts slows both."""
    sizes = QUICK_SIZES if quick else SIZES
    python = ensure_venv("trl-venv", ROOT / "benchmarks/peers/trl_requirements.txt", python_version="3.11")
    model = _checkpoint(seed)
    ours = [sys.executable, "-m", "benchmarks.text_speed_run"]
    commands = {
        "ppo/prefrl": [*ours, "token-ppo", "--size", SIZE],
        "ppo/stock": [*ours, "stock-ppo", "--size", SIZE],
        "grpo/prefrl": [*ours, "grpo", "--size", SIZE],
        "grpo/trl": [python, TRL, "grpo", "--model", model],
        "dpo/prefrl": [*ours, "dpo", "--size", SIZE],
        "dpo/trl": [python, TRL, "dpo", "--model", model],
    }
    return [
        Job(
            name=name,
            seed=seed,
            command=[*command, *sizes[name.split("/")[0]], "--seed", str(seed)],
            config={"work": sizes[name.split("/")[0]], "size": SIZE},
            env=ONE_THREAD,
        )
        for name, command in commands.items()
    ]


def _checkpoint(seed: int) -> str:
    """The model that all begin with, as a folder that TRL reads too; relative to the root."""
    folder = WORK / "text" / f"{SIZE}-{seed}"
    if not (folder / "config.json").exists():
        # Loaded late: a report needs none of it.
        from benchmarks.text_speed_run import make_model

        make_model(SIZE, seed).save(folder)
    return str(folder.relative_to(ROOT))


def report(records: Sequence[Record], folder: Path) -> None:
    """Write text_speed.md, text_speed.png and text_speed_curves.png."""
    newest = max(records, key=lambda record: record.started)
    heading = (
        f"# Tokens learned from per second\n\n"
        f"`python benchmarks/{NAME}.py`, {newest.started[:10]}, each job on one core of {newest.machine['cpu']}, one "
        "after the other. Prompts of 64 tokens, responses of up to 48, a GPT-2 of 4 layers, 128 wide. How to read "
        "this: [README](../README.md).\n"
    )
    parts = [heading]
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
        f"![What was learned meanwhile]({NAME}_curves.png)\n",
    ]
    (folder / f"{NAME}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")
    plot(records, [Panel("tokens_per_s", "Tokens learned from per second")], folder / f"{NAME}.png")
    # Of the few rollouts that stock PPO can be given there is no curve to speak of.
    learned = [record for record in records if record.task != "ppo"]
    curves = Panel("reward", "Reward; for DPO, accuracy")
    plot_curves(learned, "step", curves, folder / f"{NAME}_curves.png", "Rollouts; for DPO, minibatches")


if __name__ == "__main__":
    sys.exit(main(Suite(NAME, jobs, report)))
