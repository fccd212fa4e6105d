"""The page of a suite's results: ``results/SUITE.md``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .records import Record

__all__ = ["heading", "write_page"]


def heading(title: str, suite: str, records: Sequence[Record], setup: str) -> str:
    """The page's title, the suite's command, the date of the newest record and how the jobs were run.

    Args:
        title: of the page.
        suite: its name.
        records: what the page reports; at least one.
        setup: where the jobs ran and what their figures mean; ``{cpu}`` and ``{cores}`` stand for the
            machine of the newest record.
    """
    newest = max(records, key=lambda record: record.started)
    return (
        f"# {title}\n\n`python -m benchmarks.suites.{suite}`, {newest.started[:10]}, "
        f"{setup.format(**newest.machine)} How to read this: [README](../README.md).\n"
    )


def write_page(folder: Path, suite: str, parts: Sequence[str]) -> None:
    """Write ``SUITE.md``; empty parts are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{suite}.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")
