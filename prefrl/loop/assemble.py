"""The composition root: which worker of a run gets what. Every way to start or continue a run comes through here.

::

    policy --segments, episodes, policy_step--> store --pool--> oracle
    oracle --queries, comparisons--> store --comparisons--> reward
    reward --version files--> run directory --newest--> policy, oracle
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Protocol

from prefrl.config import RunConfig
from prefrl.config.modality import modality_of
from prefrl.data.spaces import SpaceSpec
from prefrl.loop.agent import AgentFactory, AgentServices
from prefrl.loop.channels import Channels
from prefrl.loop.environment_check import check_environment
from prefrl.loop.environments import spaces_of
from prefrl.loop.heartbeat import StopFlag
from prefrl.loop.oracle_worker import OracleWorker
from prefrl.loop.policy_worker import PolicyWorker
from prefrl.loop.reward_worker import RewardWorker
from prefrl.loop.serial import Others
from prefrl.loop.validation import check_config, check_enough_segments
from prefrl.oracles import Oracle, make_oracle
from prefrl.reward import RewardTrainer
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir, RunDirError

__all__ = [
    "Worker",
    "check_run",
    "continue_run",
    "create_run",
    "make_channels",
    "make_others",
    "make_policy",
    "make_worker",
    "records_clips",
    "settle",
]

Specs = tuple[SpaceSpec, SpaceSpec]
"""of observations and actions"""

_BATCHES_AHEAD = 2
"""of queries, that an agent may be ahead of the people who answer them"""


class Worker(Protocol):
    """What a launcher asks of a worker."""

    @property
    def finished(self) -> bool:
        """True when there is nothing left to do in this run."""

    def step(self) -> bool:
        """Do the next thing; returns whether there was one."""


def settle(config: RunConfig, specs: Specs) -> RunConfig:
    """The settings of a run with all that they and the environment imply.

    What has one legal value for this kind of observations is filled in, and where people answer the policy is paced:
    one that never waits would be through before they have answered anything.

    Raises:
        ValueError: when a setting is out of its range, or does not suit the observations.
    """
    modality = modality_of(specs[0])
    config = modality.settle(config)
    if config.oracle.asks_people and config.runtime.max_label_lag is None:
        runtime = dataclasses.replace(config.runtime, max_label_lag=_BATCHES_AHEAD * config.queries.batch)
        config = dataclasses.replace(config, runtime=runtime)
    check_config(config)
    check_enough_segments(config)
    modality.check(config, config.env.id)
    return config


def check_run(config: RunConfig) -> tuple[RunConfig, Specs]:
    """Everything about the settings of a run that can be known before any work: its environment is made and tried.

    Returns:
        the settled settings, and how observations and actions are laid out.

    Raises:
        ValueError: naming what is wrong, its value and the way out.
    """
    check_config(config)
    specs = spaces_of(config.env)
    config = settle(config, specs)
    check_environment(config, specs)
    return config, specs


def records_clips(config: RunConfig, specs: Specs, shows_text: bool) -> bool:
    """Whether clips for people are recorded while the agent acts.

    Args:
        config: the run's settings.
        specs: of observations and actions.
        shows_text: whether people read the environment's segments, see `prefrl.recording.state_rendering.shows_text`.
    """
    return config.oracle.asks_people and modality_of(specs[0]).is_filmed and not shows_text


def create_run(path: Path | str, config: RunConfig, specs: Specs) -> RunDir:
    """The directory of a new run, with its settings, spaces and an empty store.

    Args:
        path: where; nothing else may be there.
        config: from `settle`.
        specs: of observations and actions.

    Raises:
        RunDirError: when a run, or anything else, is there already, or the folder cannot be written.
    """
    run = RunDir.create(path, config)
    run.write_specs(*specs)
    Store.open(run.store, create=True).close()
    return run


def continue_run(run: RunDir, config: RunConfig, specs: Specs) -> RunDir:
    """A run that was begun before, made ready to be continued by whoever it belongs to.

    Raises:
        ValueError: when its settings or spaces are not those that it was begun with.
        RunDirError: when its store is gone.
    """
    _check_store(run)
    if run.spaces.exists() and run.specs() != specs:
        raise ValueError(f"{run.path} was recorded in {run.specs()}, this environment has {specs}")
    # A run killed at its very start may lack these.
    run.write_specs(*specs)
    Store.open(run.store, create=True).close()
    return run


def make_worker(
    role: str, run: RunDir, store: Store, build_agent: AgentFactory, stop: StopFlag, trust: bool = False
) -> Worker:
    """One of the three workers, for a separate process."""
    config = run.config()
    if role == "policy":
        return make_policy(run, store, config, build_agent, stop, trust)
    if role == "oracle":
        return _oracle_worker(run, store, config, make_oracle(config))
    return _reward_worker(run, store, config, stop)


def make_policy(
    run: RunDir,
    store: Store,
    config: RunConfig,
    build_agent: AgentFactory,
    stop: StopFlag,
    trust: bool = False,
) -> PolicyWorker:
    """The policy's worker; ``trust`` is whether the user's own command lets the run's folder execute code."""
    channels = make_channels(run, store, config, stop)
    agent = build_agent(run, config, AgentServices(channels.answers, channels.heartbeat, trust))
    channels.exchange_every_steps = agent.exchange_every_steps
    channels.resume_at(agent.policy_step)
    return PolicyWorker(run, store, config, agent, channels)


def make_channels(run: RunDir, store: Store, config: RunConfig, stop: StopFlag | None = None) -> Channels:
    """The policy's ends of the channels."""
    return Channels(run, store, config, stop)


def make_others(
    run: RunDir, store: Store, config: RunConfig, stop: StopFlag, oracle: Oracle | None = None
) -> Others:
    """Oracle and reward, for the process that holds the policy.

    Args:
        run: the run's directory.
        store: its open store.
        config: its settings.
        stop: ends a fit or a wait.
        oracle: who answers; by default as the settings say.
    """
    answering = oracle or make_oracle(config)
    return Others(
        _oracle_worker(run, store, config, answering), _reward_worker(run, store, config, stop), stop
    )


def _oracle_worker(run: RunDir, store: Store, config: RunConfig, oracle: Oracle | None) -> OracleWorker:
    return OracleWorker(run, store, config, oracle, modality_of(run.specs()[0]))


def _reward_worker(run: RunDir, store: Store, config: RunConfig, stop: StopFlag) -> RewardWorker:
    return RewardWorker(run, store, config, RewardTrainer(*run.specs(), config.reward, config.seed), stop)


def _check_store(run: RunDir) -> None:
    """Raise RunDirError when the store of a run that had begun is gone; with an empty one it would begin anew."""
    if run.store.is_dir() or (run.store.exists() and run.store.stat().st_size):
        return
    left = [path for path in (run.metrics, run.evaluation) if path.exists()]
    left += [path for folder in (run.reward, run.agent, run.logs) for path in sorted(folder.glob("*"))]
    if left:
        found = "is empty" if run.store.exists() else "does not exist"
        raise RunDirError(
            f"{run.store} {found}, though the run had begun ({left[0]} is there): its segments and comparisons "
            "were in it; restore it from a copy, or start a new run and `prefrl import` an export into that"
        )
