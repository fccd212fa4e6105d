"""Everything in one process, in a fixed order: reproducible bit for bit from the seed."""

from __future__ import annotations

from collections.abc import Callable

import torch

from prefrl.config import ROLES
from prefrl.loop import Heartbeat, StopFlag
from prefrl.loop.agent import AgentFactory
from prefrl.loop.assemble import make_others, make_policy
from prefrl.loop.serial import run_serially
from prefrl.runtime.clock import WallClock
from prefrl.runtime.result import Result, write_result
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir
from prefrl.storage.run_lock import RunLock

__all__ = ["SerialLauncher"]


class SerialLauncher:
    """Runs a run directory to its end within this process.

    Args:
        run: made by `RunDir.create`, or left by an earlier launch.
        build_agent: the agent's factory.
        on_tick: called between rollouts and while the policy waits, to show progress.
        trust: whether the user's own command lets the run's folder execute code.
    """

    def __init__(
        self,
        run: RunDir,
        build_agent: AgentFactory,
        on_tick: Callable[[], None] = lambda: None,
        trust: bool = False,
    ) -> None:
        self._run, self._build_agent, self._on_tick, self._trust = run, build_agent, on_tick, trust
        self.stop = StopFlag()
        """set it to end after the current rollout"""

    def launch(self) -> Result | None:
        """Run until finished; None when stopped before.

        Raises:
            RunDirError: when another launcher or script holds the run.
        """
        torch.set_num_threads(1)
        with RunLock(self._run), WallClock(self._run) as clock, Store.open(self._run.store) as store:

            def on_tick() -> None:
                clock.tick()
                self._on_tick()

            config = self._run.config()
            others = make_others(self._run, store, config, self.stop)
            policy = make_policy(self._run, store, config, self._build_agent, self.stop, self._trust)
            try:
                run_serially(policy, others, on_tick)
                if not policy.finished:
                    policy.save()
                    _say_stopped(store)
                    return None
            finally:
                policy.close()
        return write_result(self._run)


def _say_stopped(store: Store) -> None:
    for role in ROLES:
        Heartbeat(store, role).beat("stopped")
