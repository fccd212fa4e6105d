"""``prefrl status``: show what each process of a run is doing, and any problems."""

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
    """Options of ``prefrl status``."""

    run: tyro.conf.Positional[Path]
    """run directory"""


def main(arguments: Sequence[str]) -> int:
    """Print the state of a run: running, finished, killed or only partly created."""
    options = parse(
        Options, arguments, "prefrl status", "Show what each process of a run is doing, and any problems."
    )
    snapshot = read_snapshot(RunDir.open(options.run))
    console = Console()
    console.print(dashboard(snapshot, console.encoding.lower().startswith("utf")))
    return 0
