"""The wiring: which worker gets what. The only place that knows all three.

::

    policy --segments, episodes, policy_step--> store --pool--> oracle
    oracle --queries, comparisons--> store --comparisons--> reward
    reward --version files--> run directory --newest--> policy, oracle
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from prefrl.config import RunConfig
from prefrl.loop import (
    Agent,
    OracleWorker,
    PolicyLink,
    PolicyWorker,
    RewardWorker,
    StopFlag,
    helpers_in_process,
)
from prefrl.oracles import make_oracle
from prefrl.recording.segment_recorder import SegmentRecorder
from prefrl.reward import RewardTrainer
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir

__all__ = ["ROLES", "AgentFactory", "Worker", "make_serial", "make_worker"]

ROLES = ("policy", "oracle", "reward")


class AgentFactory(Protocol):
    """Builds the agent of a run. A top-level function, so that another process can import it by name."""

    def __call__(
        self, run: RunDir, config: RunConfig, make_link: Callable[[SegmentRecorder], PolicyLink]
    ) -> Agent:
        """Make environments and agent, or continue the agent saved in ``run.agent``."""


class Worker(Protocol):
    """What a launcher asks of a worker."""

    @property
    def finished(self) -> bool:
        """True when there is nothing left to do in this run."""

    def step(self) -> bool:
        """Do the next thing; returns whether there was one."""


def make_worker(role: str, run: RunDir, store: Store, build_agent: AgentFactory, stop: StopFlag) -> Worker:
    """Build one of the three workers for a process of its own."""
    config = run.config()
    if role == "policy":
        return _policy(run, store, config, build_agent, stop, None)
    if role == "oracle":
        return OracleWorker(run, store, config, make_oracle(config))
    specs = run.specs()
    return RewardWorker(run, store, config, RewardTrainer(*specs, config.reward, config.seed), stop)


def make_serial(
    run: RunDir,
    store: Store,
    build_agent: AgentFactory,
    stop: StopFlag,
    on_sync: Callable[[], None] = lambda: None,
) -> PolicyWorker:
    """Build all three for one process: oracle and reward, then ``on_sync``, run whenever the policy syncs."""
    config = run.config()
    helpers = helpers_in_process(run, store, config, *run.specs(), make_oracle(config), stop)

    def others() -> None:
        helpers()
        on_sync()

    return _policy(run, store, config, build_agent, stop, others)


def _policy(
    run: RunDir,
    store: Store,
    config: RunConfig,
    build_agent: AgentFactory,
    stop: StopFlag,
    others: Callable[[], None] | None,
) -> PolicyWorker:
    agent = build_agent(run, config, lambda recorder: PolicyLink(run, store, config, recorder, others, stop))
    return PolicyWorker(run, store, config, agent)
