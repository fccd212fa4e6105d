"""A reward learned from a person's comparisons of Seaquest clips, cross-validated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import (
    Job,
    Record,
    Suite,
    failure_note,
    heading,
    job_command,
    mean_column,
    median_column,
    min_column,
    relative,
    run_folder,
    seeds_column,
    table,
    write_page,
)
from benchmarks.suites.seaquest_human_data.job import EPOCHS, FOLDS, SETTINGS

NAME = "seaquest_human_data"


def jobs(seed: int, quick: bool, data: Path | None) -> list[Job]:
    """One fit; a quick one has one epoch.

    Raises:
        SystemExit: without the file of comparisons.
    """
    if data is None:
        raise SystemExit("--data FILE is missing; benchmarks/README.md says where the comparisons come from")
    epochs, folder = 1 if quick else EPOCHS, run_folder(NAME, str(seed))
    command = job_command(
        NAME,
        *("--data", str(data), "--seed", str(seed), "--folder", relative(folder), "--epochs", str(epochs)),
    )
    config = {"settings": SETTINGS, "epochs": epochs, "folds": FOLDS}
    return [Job("seaquest/prefrl", seed, command, config, scratch=folder)]


def report(records: Sequence[Record], folder: Path) -> None:
    """Write seaquest_human_data.md."""
    title = heading(
        "A person's comparisons of Seaquest clips",
        NAME,
        records,
        f"on {{cores}} cores of {{cpu}}. Accuracy on held-out comparisons, {FOLDS}-fold cross-validation.",
    )
    columns = [
        seeds_column(),
        median_column("labels", "Labels"),
        mean_column("accuracy_cross_validated", "Accuracy"),
        min_column("accuracy_cross_validated", "Accuracy"),
        median_column("pairs_cross_validated", "Pairs"),
    ]
    write_page(folder, NAME, [title, table(records, columns), failure_note(records)])


SUITE = Suite(
    NAME,
    jobs,
    report,
    options={"--data": {"type": Path, "metavar": "FILE", "help": "seaquest_human_prefs.npz"}},
    default_seeds="0-2",
)
