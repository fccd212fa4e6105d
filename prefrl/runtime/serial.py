"""Everything in one process, in a fixed order: reproducible bit for bit from the seed."""

from __future__ import annotations

from collections.abc import Callable

import torch

from prefrl.loop import Heartbeat, StopFlag
from prefrl.loop.assemble import ROLES, AgentFactory, make_serial
from prefrl.runtime.clock import WallClock
from prefrl.runtime.result import Result, write_result
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir
from prefrl.storage.run_lock import exclusive_launch

__all__ = ["SerialLauncher"]


class SerialLauncher:
    """Runs a run directory to its end within this process.

    Args:
        run: made by `RunDir.create`, or left by an earlier launch.
        build_agent: the agent's factory.
        on_tick: called between rollouts and while the policy waits, to show progress.
    """

    def __init__(
        self, run: RunDir, build_agent: AgentFactory, on_tick: Callable[[], None] = lambda: None
    ) -> None:
        self._run, self._build_agent, self._on_tick = run, build_agent, on_tick
        self.stop = StopFlag()
        """set it to end after the current rollout"""

    def launch(self) -> Result | None:
        """Run until finished; None when stopped before."""
        torch.set_num_threads(1)
        with (
            exclusive_launch(self._run),
            WallClock(self._run) as clock,
            Store.open(self._run.store) as store,
        ):
            worker = make_serial(self._run, store, self._build_agent, self.stop, self._on_tick)
            try:
                while not worker.finished and not self.stop.is_set:
                    worker.step()
                    clock.tick()
                    self._on_tick()
                if not worker.finished:
                    worker.save()
                    _say_stopped(store)
                    return None
            finally:
                worker.close()
        return write_result(self._run)


def _say_stopped(store: Store) -> None:
    for role in ROLES:
        Heartbeat(store, role).beat("stopped")
