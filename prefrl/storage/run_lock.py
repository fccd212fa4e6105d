"""One launcher a run."""

from __future__ import annotations

from types import TracebackType

from filelock import FileLock, Timeout

from prefrl.storage.run_dir import RunDir, RunDirError

__all__ = ["RunLock"]

_held: dict[str, FileLock] = {}
"""by path, the locks of this process"""


class RunLock:
    """Holds a run for one launcher, or for one training script.

    The operating system lets go of it should the process die.

    Args:
        run: the run's directory.
        takes_over: take it from another holder in this process, such as a training script that was interrupted in a
            notebook and is run again.
    """

    def __init__(self, run: RunDir, takes_over: bool = False) -> None:
        self._run, self._takes_over = run, takes_over
        self._path = str(run.lock("launcher").absolute())
        self._lock: FileLock | None = None

    def acquire(self) -> None:
        """Hold the run.

        Raises:
            RunDirError: when another process holds it.
        """
        if self._lock is not None and _held.get(self._path) is self._lock:
            return
        if self._takes_over and self._path in _held:
            _held.pop(self._path).release(force=True)
        lock = FileLock(self._path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunDirError(
                f"{self._run.path} is already being run by another launcher or script; see "
                f"`prefrl status {self._run.path}`, or choose another run directory"
            ) from None
        self._lock = _held[self._path] = lock

    def release(self) -> None:
        """Let go of the run."""
        if self._lock is not None and _held.get(self._path) is self._lock:
            del _held[self._path]
            self._lock.release()
        self._lock = None

    def __enter__(self) -> RunLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
