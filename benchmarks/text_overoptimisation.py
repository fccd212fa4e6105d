"""Over-optimisation: gold and proxy reward over the distance from the reference, for one reward model and for eight.

``python benchmarks/text_overoptimisation.py --seeds 0-2``; how to read the results is in README.md beside this file.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

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
    seeds_column,
    table,
)
from benchmarks.text_overoptimisation_run import STEPS

NAME = "text_overoptimisation"
METHODS = ("single", "ensemble")


def jobs(seed: int, quick: bool) -> list[Job]:
    """Both methods for one seed."""
    return [_job(method, seed, 20_000 if quick else STEPS) for method in METHODS]


def _job(method: str, seed: int, steps: int) -> Job:
    command = [sys.executable, "-m", "benchmarks.text_overoptimisation_run", method, "--seed", str(seed)]
    return Job(
        name=f"reviews/{method}",
        seed=seed,
        command=[*command, "--steps", str(steps)],
        config={"method": method, "steps": steps},
        env=ONE_THREAD,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write text_overoptimisation.md and text_overoptimisation.png."""
    newest = max(records, key=lambda record: record.started)
    heading = (
        "# Over-optimisation on product reviews\n\n"
        f"`python benchmarks/{NAME}.py`, {newest.started[:10]}, each job on one core of {newest.machine['cpu']}. "
        "Gold is the true reward, proxy the learned one that the policy follows. How to read this: "
        "[README](../README.md).\n"
    )
    columns = [
        seeds_column(),
        mean_column("gold_best", "Gold, best"),
        mean_column("gold_last", "Gold, last"),
        mean_column("gold_lost", "Gold lost"),
        mean_column("proxy_at_best", "Proxy there"),
        mean_column("proxy_last", "Proxy, last"),
        median_column("kl_at_best", "KL at the best"),
        median_column("kl_last", "KL, last"),
    ]
    parts = [heading, table(records, columns), failure_note(records), f"![Gold and proxy]({NAME}.png)\n"]
    (folder / f"{NAME}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")
    # Loaded late: --help needs none of it.
    from prefrl_agents.text import OveroptimisationPoint, plot_overoptimisation

    groups = by_job(record for record in records if record.ok and record.curve)
    histories = {
        group[0].method: [OveroptimisationPoint(**point) for record in group for point in record.curve]  # type: ignore[arg-type]
        for group in groups.values()
    }
    plot_overoptimisation(histories, folder / f"{NAME}.png")


if __name__ == "__main__":
    sys.exit(main(Suite(NAME, jobs, report)))
