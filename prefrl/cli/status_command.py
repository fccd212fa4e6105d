"""``prefrl status``: what each process of a run is doing, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from prefrl.cli.dashboard import dashboard
from prefrl.cli.options import parse
from prefrl.runtime.snapshot import read_snapshot
from prefrl.storage.run_dir import RunDir

__all__ = ["main"]


@dataclass(frozen=True)
class Options:
    """Which run."""

    run: tyro.conf.Positional[Path]
    """run directory"""


def main(words: Sequence[str]) -> int:
    """Print the state of a run, whether it is running, finished, killed or half created."""
    options = parse(
        Options, words, "prefrl status", "Show what each process of a run is doing, and what is wrong."
    )
    snapshot = read_snapshot(RunDir.open(options.run))
    console = Console()
    console.print(dashboard(snapshot, console.encoding.lower().startswith("utf")))
    return 0
