"""A progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress"]


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Progress bar of ``total`` parts on standard error, if that is a terminal.

    Args:
        total: number of parts.
        what: label of the bar.

    Yields:
        A function to call with the number of parts done so far.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
