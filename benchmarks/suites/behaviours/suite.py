"""Behaviours that no environment rewards, learned from the comparisons of scripted judges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import (
    Job,
    Panel,
    Record,
    Suite,
    failure_note,
    heading,
    job_command,
    median_column,
    plot_curves,
    relative,
    run_folder,
    table,
    true_return_columns,
    write_page,
)
from prefrl.config import to_json
from prefrl.presets import get_preset

NAME = "behaviours"
PRESETS = ("hopper-backflip", "cheetah-one-leg", "enduro-level")


def jobs(seed: int, quick: bool) -> list[Job]:
    """Each behaviour for one seed."""
    return [_job(preset, seed, quick) for preset in PRESETS]


def _job(preset: str, seed: int, quick: bool) -> Job:
    run = run_folder(NAME, f"{preset}-{seed}")
    flags = ["--steps", "30000"] if quick else []
    return Job(
        name=f"{preset}/prefrl",
        seed=seed,
        command=job_command(NAME, preset, "--seed", str(seed), "--run", relative(run), *flags),
        config={"flags": flags, "preset": to_json(get_preset(preset).config)},
        scratch=run,
    )


def report(records: Sequence[Record], folder: Path) -> None:
    """Write behaviours.md, and behaviours_flips.png and behaviours_returns.png where there are curves."""
    title = heading(
        "Behaviours that no environment rewards",
        NAME,
        records,
        "on {cores} cores of {cpu}. True return is the judge's score.",
    )
    seeds, *returns = true_return_columns()
    columns = [
        *(seeds, median_column("labels", "Labels"), median_column("wall_s", "Seconds"), *returns),
        median_column("flips_a_minute", "Flips per minute"),
    ]
    parts = [title, table(records, columns), failure_note(records)]
    flips = [record for record in records if record.task == "hopper-backflip"]
    for name, metric, label, chosen in (
        ("flips", "flips_a_minute", "Backflips per minute", flips),
        ("returns", "true_return", "True return", list(records)),
    ):
        if any(record.curve for record in chosen):
            plot_curves(chosen, "labels", Panel(metric, label), folder / f"{NAME}_{name}.png", "Labels")
            parts.append(f"![{label} over labels]({NAME}_{name}.png)\n")
    write_page(folder, NAME, parts)


SUITE = Suite(NAME, jobs, report, default_seeds="0-2")
