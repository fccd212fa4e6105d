"""Shows live progress of a run on standard error; the launcher calls `Progress.tick`."""

from __future__ import annotations

import dataclasses
import sys
import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from prefrl.cli.dashboard import dashboard, plain_line
from prefrl.runtime.snapshot import RunSnapshot, SnapshotReader
from prefrl.runtime.tensorboard import TensorboardMirror
from prefrl.storage.clock import clock_s
from prefrl.storage.run_dir import RunDir

__all__ = ["Progress"]

_REFRESH_S = 0.25
_LINE_EVERY_S = 10.0


class Progress:
    """Shows a run while this command runs it, and copies its metrics to TensorBoard.

    On a terminal this is a dashboard that stays in place; elsewhere, for example in a log, one line every ten seconds.

    Args:
        run: the run that is shown.
        console: to print to; by default standard error.
    """

    def __init__(self, run: RunDir, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._is_unicode = console.encoding.lower().startswith("utf")
        self._reader = SnapshotReader(run, launched_s=clock_s())
        self._tensorboard: TensorboardMirror | None = TensorboardMirror(run)
        self._console = console
        # Output of workers in this process goes above the dashboard; standard output is for the result only.
        self._live = (
            Live(console=console, auto_refresh=False, redirect_stdout=False) if console.is_terminal else None
        )
        self._period_s = _REFRESH_S if console.is_terminal else _LINE_EVERY_S
        self._next_s = time.monotonic() + (0.0 if console.is_terminal else _LINE_EVERY_S)

    def tick(self) -> None:
        """Refresh the display, unless it was just refreshed. Cheap enough to call often."""
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + self._period_s
            self._show()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A launch that was refused, because the run is already running, must not write plots or show anything.
        if error is None:
            self._mirror()
        if self._tensorboard is not None:
            self._tensorboard.close()
        if self._live is not None and self._live.is_started:
            final = dataclasses.replace(self._reader.read(), is_launched=False)
            self._live.update(self._dashboard(final))
            self._live.stop()
        self._reader.close()

    def _show(self) -> None:
        self._mirror()
        snapshot = self._reader.read()
        if self._live is None:
            self._console.print(plain_line(snapshot), soft_wrap=True, highlight=False, markup=False)
        else:
            self._live.start()
            self._live.update(self._dashboard(snapshot), refresh=True)

    def _dashboard(self, snapshot: RunSnapshot) -> Group:
        # The terminal prints ^C at the end; on a full last line it would wrap and shift the dashboard.
        return Group(dashboard(snapshot, self._is_unicode), Text())

    def _mirror(self) -> None:
        if self._tensorboard is None:
            return
        try:
            self._tensorboard.update()
        except OSError as error:
            # Training continues without plots.
            self._tensorboard = None
            print(f"TensorBoard files are no longer written: {error}", file=sys.stderr)
