"""``prefrl presets``: list the presets."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from prefrl.cli.options import no_arguments
from prefrl.presets import PRESETS

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Print a table of the presets."""
    no_arguments(arguments, "prefrl presets", "List the presets.")
    table = Table("preset", "summary", "agent", "labels", "steps", box=None, header_style="bold")
    for name, preset in PRESETS.items():
        config = preset.config
        table.add_row(name, preset.summary, config.agent.algorithm, str(config.labels), f"{config.steps:,}")
    Console().print(table)
    return 0
