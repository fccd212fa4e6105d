"""Runs oracle and reward within the policy's process, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from prefrl.config import RunConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.loop.heartbeat import StopFlag
from prefrl.loop.oracle_worker import OracleWorker
from prefrl.loop.reward_worker import RewardWorker
from prefrl.oracles import Oracle
from prefrl.reward import RewardTrainer
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir

__all__ = ["helpers_in_process"]


def helpers_in_process(
    run: RunDir,
    store: Store,
    config: RunConfig,
    observation_spec: SpaceSpec,
    action_spec: SpaceSpec,
    oracle: Oracle | None,
    stop: StopFlag | None = None,
) -> Callable[[], None]:
    """Make oracle and reward workers; calling the result steps them in turn until neither has anything to do.

    Everything then happens in one order, given by the seed: a run repeats bit for bit.
    """
    oracle_worker = OracleWorker(run, store, config, oracle)
    trainer = RewardTrainer(observation_spec, action_spec, config.reward, config.seed)
    reward_worker = RewardWorker(run, store, config, trainer, stop)

    def run_until_idle() -> None:
        # Both are stepped in every round: new labels wait for the reward, new versions for nobody.
        while any([oracle_worker.step(), reward_worker.step()]):
            pass

    return run_until_idle
