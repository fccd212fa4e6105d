"""Over-optimisation: true and learned reward over the distance from the reference, for one reward model and eight."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import (
    ONE_THREAD,
    Job,
    Record,
    Suite,
    by_job,
    failure_note,
    heading,
    job_command,
    mean_column,
    median_column,
    seeds_column,
    table,
    write_page,
)
from benchmarks.suites.text_overoptimisation.job import METHODS, STEPS
from prefrl_agents.text import OveroptimisationPoint, plot_overoptimisation

NAME = "text_overoptimisation"
QUICK_STEPS = 20_000


def jobs(seed: int, quick: bool) -> list[Job]:
    """Both methods for one seed."""
    return [_job(method, seed, QUICK_STEPS if quick else STEPS) for method in METHODS]


def _job(method: str, seed: int, steps: int) -> Job:
    command = job_command(NAME, method, "--seed", str(seed), "--steps", str(steps))
    return Job(f"reviews/{method}", seed, command, config={"method": method, "steps": steps}, env=ONE_THREAD)


def report(records: Sequence[Record], folder: Path) -> None:
    """Write text_overoptimisation.md and text_overoptimisation.png."""
    title = heading(
        "Over-optimisation on product reviews",
        NAME,
        records,
        "each job on one core of {cpu}. Gold is the true reward, proxy the learned reward that the policy follows.",
    )
    columns = [
        seeds_column(),
        mean_column("gold_best", "Gold, best"),
        mean_column("gold_last", "Gold, last"),
        mean_column("gold_lost", "Gold lost"),
        mean_column("proxy_at_best", "Proxy at the best gold"),
        mean_column("proxy_last", "Proxy, last"),
        median_column("kl_at_best", "KL at the best gold"),
        median_column("kl_last", "KL, last"),
    ]
    figure = f"![Gold and proxy]({NAME}.png)\n"
    write_page(folder, NAME, [title, table(records, columns), failure_note(records), figure])
    groups = by_job(record for record in records if record.ok and record.curve)
    histories = {
        group[0].method: [OveroptimisationPoint(**point) for record in group for point in record.curve]  # type: ignore[arg-type]
        for group in groups.values()
    }
    plot_overoptimisation(histories, folder / f"{NAME}.png")


SUITE = Suite(NAME, jobs, report, default_seeds="0-2")
