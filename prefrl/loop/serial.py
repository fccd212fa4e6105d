"""The whole loop in one process and one fixed order: a run repeats bit for bit from its seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prefrl.loop.channels import POLL_S, Channels
from prefrl.loop.heartbeat import StopFlag
from prefrl.loop.oracle_worker import OracleWorker
from prefrl.loop.policy_worker import PolicyWorker
from prefrl.loop.reward_worker import RewardWorker

__all__ = ["Others", "run_serially"]


def run_serially(policy: PolicyWorker, others: Others, on_tick: Callable[[], None]) -> None:
    """Collect, ask, answer, fit and learn in turn, until the run is finished or a stop is asked for.

    Args:
        policy: acts and learns.
        others: oracle and reward.
        on_tick: called after each rollout and while the policy waits, to show progress.
    """
    while not policy.finished and not others.stop.is_set:
        rollout = policy.collect()
        others.ask_answer_fit(policy.channels, on_tick)
        policy.learn(rollout)
        if policy.channels.has_exchanged:
            on_tick()


@dataclass(frozen=True)
class Others:
    """The oracle and the reward of a run, worked by the process that holds the policy."""

    oracle: OracleWorker
    reward: RewardWorker
    stop: StopFlag

    def ask_answer_fit(self, channels: Channels, on_tick: Callable[[], None] = lambda: None) -> None:
        """Let both work until neither has anything to do and the policy need not wait for people."""
        if not channels.has_exchanged:
            return
        while True:
            # Both in every round: new labels wait for the reward, new versions of the reward for nobody.
            while any([self.oracle.ask(), self.oracle.answer(), self.reward.fit()]):
                pass
            on_tick()
            if not channels.must_wait():
                return
            self.stop.sleep(POLL_S)
