"""The live panel of a run: driven by the launcher's tick, on standard error."""

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
    """Shows a run while a launcher works on it, and mirrors its metrics to TensorBoard.

    On a terminal it is a panel that stays in place; anywhere else, such as a log, a line every ten seconds.

    Args:
        run: being launched.
        console: where to show it; by default standard error.
    """

    def __init__(self, run: RunDir, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._is_unicode = console.encoding.lower().startswith("utf")
        self._reader = SnapshotReader(run, launched_s=clock_s())
        self._tensorboard: TensorboardMirror | None = TensorboardMirror(run)
        self._console = console
        # What workers in this process print goes above the panel; standard output is the result's alone.
        self._live = (
            Live(console=console, auto_refresh=False, redirect_stdout=False) if console.is_terminal else None
        )
        self._period_s = _REFRESH_S if console.is_terminal else _LINE_EVERY_S
        self._next_s = time.monotonic() + (0.0 if console.is_terminal else _LINE_EVERY_S)

    def tick(self) -> None:
        """Show how the run stands, unless that was done a moment ago; call it as often as you like."""
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + self._period_s
            self._show()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A launch refused because another one goes on must neither write plots beside it nor show a panel.
        if error is None:
            self._mirror()
        if self._tensorboard is not None:
            self._tensorboard.close()
        if self._live is not None and self._live.is_started:
            final = dataclasses.replace(self._reader.read(), is_launched=False)
            self._live.update(self._panel(final))
            self._live.stop()
        self._reader.close()

    def _show(self) -> None:
        self._mirror()
        snapshot = self._reader.read()
        if self._live is None:
            self._console.print(plain_line(snapshot), soft_wrap=True, highlight=False, markup=False)
        else:
            self._live.start()
            self._live.update(self._panel(snapshot), refresh=True)

    def _panel(self, snapshot: RunSnapshot) -> Group:
        # The terminal writes ^C at the end: on a full last line it would wrap and put the panel out of place.
        return Group(dashboard(snapshot, self._is_unicode), Text())

    def _mirror(self) -> None:
        if self._tensorboard is None:
            return
        try:
            self._tensorboard.update()
        except OSError as error:
            # A run does not end for want of its plots.
            self._tensorboard = None
            print(f"TensorBoard files are no longer written: {error}", file=sys.stderr)
