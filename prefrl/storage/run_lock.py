"""One launcher a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from prefrl.storage.run_dir import RunDir, RunDirError

__all__ = ["exclusive_launch"]


@contextmanager
def exclusive_launch(run: RunDir) -> Iterator[None]:
    """Hold the run for this launcher; the operating system lets go of it should the launcher die.

    Raises:
        RunDirError: when another launcher holds it.
    """
    lock = FileLock(run.lock("launcher"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunDirError(
            f"{run.path} is already being run by another launcher; see `prefrl status {run.path}`"
        ) from None
    try:
        yield
    finally:
        lock.release()
