"""True reward against KL: PPO, GRPO, DPO and best of n on product reviews, all from the same rankings.

``python benchmarks/text_frontier.py --seeds 0-2``; how to read the results is in README.md beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness import (
    ONE_THREAD,
    Job,
    Record,
    Suite,
    by_job,
    failure_note,
    main,
    mean_column,
    median_column,
    min_column,
    seeds_column,
    table,
)

NAME = "text_frontier"
METHODS = ("sft", "ppo", "grpo", "dpo", "best-of-n")


def jobs(seed: int, quick: bool) -> list[Job]:
    """All methods for one seed; the first makes what the others begin with."""
    return [_job(method, seed) for method in METHODS[: 2 if quick else None]]


def _job(method: str, seed: int) -> Job:
    command = [sys.executable, "-m", "benchmarks.text_frontier_run", method, "--seed", str(seed)]
    return Job(
        name=f"reviews/{method}", seed=seed, command=command, config={"method": method}, env=ONE_THREAD
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write text_frontier.md and text_frontier.png."""
    newest = max(records, key=lambda record: record.started)
    heading = (
        "# Product reviews: true reward against KL\n\n"
        f"`python benchmarks/{NAME}.py`, {newest.started[:10]}, each job on one core of {newest.machine['cpu']}. The "
        "table has each method's best point; rewards lie between -4 and 4. How to read this: [README](../README.md).\n"
    )
    columns = [
        seeds_column(),
        mean_column("gold", "True reward"),
        min_column("gold", "True reward"),
        median_column("kl", "KL, nats"),
        median_column("win_rate", "Win rate over sft"),
        median_column("training_s", "Seconds"),
    ]
    parts = [
        heading,
        table(records, columns),
        failure_note(records),
        f"![True reward against KL]({NAME}.png)\n",
    ]
    (folder / f"{NAME}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")
    _draw([record for record in records if record.ok], folder / f"{NAME}.png")


def _draw(records: Sequence[Record], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained", dpi=150)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for number, group in enumerate(by_job(records).values()):
        method, colour = group[0].method, f"C{number}"
        if method == "sft":
            gold = [record.metrics["gold"] for record in group]
            axes.axhline(float(np.mean(gold)), color="#555555", linestyle="--", linewidth=1, label="sft")
            continue
        for index, record in enumerate(group):
            points = sorted(record.curve, key=lambda point: point["kl"])
            root = np.sqrt([max(point["kl"], 0.0) for point in points])
            label = method if index == 0 else None
            axes.plot(root, [point["gold"] for point in points], "o-", color=colour, alpha=0.7, label=label)
    axes.set(xlabel="distance from the fine-tuned model, √KL", ylabel="true reward")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    sys.exit(main(Suite(NAME, jobs, report)))
