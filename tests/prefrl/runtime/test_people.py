"""Runs in which people answer: what they see, and who answers when."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from prefrl.config import (
    AgentConfig,
    EnvConfig,
    OracleConfig,
    QueryConfig,
    RewardConfig,
    RunConfig,
    RuntimeConfig,
)
from prefrl.data.types import Comparison, Provenance, Query, Segment
from prefrl.loop import annotator_heartbeat
from prefrl.loop.assemble import check_run
from prefrl.loop.environments import spaces_of
from prefrl.loop.oracle_worker import OracleWorker
from prefrl.oracles import SyntheticOracle
from prefrl.runtime.serial import SerialLauncher
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir
from prefrl_agents.factory import build_agent

CONFIG = RunConfig(
    env=EnvConfig("prefrl/PenguinIce-v0", num_envs=2, endless=False),
    agent=AgentConfig("ppo", hyperparameters={"n_steps": 32, "batch_size": 32, "n_epochs": 1}),
    reward=RewardConfig(hidden=(16,), initial_epochs=5, epochs_per_update=2, validation_fraction=0.0),
    queries=QueryConfig(segment_steps=5, batch=4),
    oracle=OracleConfig("human"),
    runtime=RuntimeConfig("serial", max_label_lag=4),
    labels=12,
    steps=256,
    eval_episodes=1,
)


def set_up(path: Path, config: RunConfig = CONFIG) -> RunDir:
    run = RunDir.create(path, config)
    run.write_specs(*spaces_of(config.env))
    Store.open(run.store, create=True).close()
    return run


def film_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever share of the time it takes, which depends on the machine."""
    monkeypatch.setattr("prefrl.recording.clip_recorder.MAX_TIME_SHARE", 1e9)


def by_true_return(query: Query) -> tuple[int, ...]:
    first, second = (segment.true_return for segment in query.segments)
    return (1, 1) if first == second else (1, 2) if first > second else (2, 1)


class Person(threading.Thread):
    """A thread that answers all open queries until it is stopped."""

    def __init__(self, run: RunDir, name: str, answer: Callable[[Query], tuple[int, ...]]) -> None:
        super().__init__()
        self._run, self._annotator, self._answer = run, name, answer
        self.stop = threading.Event()
        self.given = 0

    def run(self) -> None:
        with Store.open(self._run.store) as store:
            while not self.stop.wait(0.005):
                query = store.lease(self._annotator, 60.0)
                if query is not None and query.id is not None:
                    store.add_comparisons([Comparison(query.id, self._answer(query), self._annotator)])
                    self.given += 1

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join()

    def __enter__(self) -> Person:
        self.start()
        return self


def test_a_run_learns_from_people_alone_and_has_clips_of_all_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film_everything(monkeypatch)
    run = set_up(tmp_path / "run")
    with Person(run, "ann", by_true_return) as ann, Person(run, "bob", by_true_return) as bob:
        result = SerialLauncher(run, build_agent).launch()
    assert result is not None
    assert result.labels == ann.given + bob.given == CONFIG.labels
    with Store.open(run.store) as store:
        for entry in store.pool(10_000):
            clip = store.clip(entry.id)
            (segment,) = store.segments([entry.id])
            assert clip is not None
            assert clip.frames is not None
            assert len(clip) == len(segment)
            # A penguin on another square gives another frame.
            squares = segment.observations.reshape(len(segment), -1).tolist()
            frames = [frame.tobytes() for frame in clip.frames]
            assert len(set(map(tuple, squares))) == len(set(frames))


def test_text_queries_have_no_clips(tmp_path: Path) -> None:
    env = replace(CONFIG.env, id="prefrl/RankedAnswers-v0")
    run = set_up(tmp_path / "run", replace(CONFIG, env=env, queries=replace(CONFIG.queries, segment_steps=1)))
    with Person(run, "ann", by_true_return):
        assert SerialLauncher(run, build_agent).launch() is not None
    with Store.open(run.store) as store:
        assert {store.clip(entry.id) for entry in store.pool(10_000)} == {None}


def test_mixed_runs_continue_without_people(tmp_path: Path) -> None:
    run = set_up(tmp_path / "run", replace(CONFIG, oracle=OracleConfig("mixed")))
    assert SerialLauncher(run, build_agent).launch() is not None
    with Store.open(run.store) as store:
        assert store.label_counts() == {"synthetic": CONFIG.labels}


def test_the_synthetic_oracle_pauses_while_a_person_labels(tmp_path: Path) -> None:
    config = replace(CONFIG, oracle=OracleConfig("mixed"), labels=40)
    run = set_up(tmp_path / "run", config)
    with Store.open(run.store) as store:
        store.add_segments([segment(number) for number in range(60)], 1000)
        worker = OracleWorker(run, store, config, SyntheticOracle(config.oracle.teacher, 0))

        def answered_after(is_at_work: bool, policy_step: int) -> int:
            annotator_heartbeat(store, "ann", os.getpid(), is_at_work)
            store.set_counters({"policy_step": policy_step})
            worker.step()
            return store.counts().comparisons

        assert answered_after(False, 0) == 10
        assert answered_after(True, 120) == 10
        assert store.counts().open_queries > 0
        assert answered_after(False, 121) > 10


def segment(number: int) -> Segment:
    flags, rewards = np.zeros(5, bool), np.full(5, number, np.float32)
    return Segment(
        flags.astype(int), flags.astype(int), rewards, flags, flags, Provenance("Test-v0", 0, number, 0)
    )


class NotRenderable(gym.Env[np.int64, np.int64]):
    """Has no render mode."""

    observation_space = gym.spaces.Discrete(2)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.int64, dict[str, Any]]:
        return np.int64(0), {}

    def step(self, action: Any) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        return np.int64(0), 0.0, False, False, {}


def test_an_environment_that_cannot_render_is_refused_before_any_work() -> None:
    gym.register("PrefrlTests/NotRenderable-v0", NotRenderable)
    try:
        config = replace(CONFIG, env=EnvConfig("PrefrlTests/NotRenderable-v0"))
        with pytest.raises(ValueError, match=r"NotRenderable-v0 cannot be seen.*rgb_array"):
            check_run(config)
        check_run(replace(config, oracle=OracleConfig("synthetic")))
    finally:
        del gym.registry["PrefrlTests/NotRenderable-v0"]


@pytest.mark.parametrize("kind", ["human", "mixed"])
def test_undone_answers_are_asked_and_learned_again_while_the_agent_trains(tmp_path: Path, kind: Any) -> None:
    run = set_up(tmp_path / "run", replace(CONFIG, oracle=OracleConfig(kind)))
    with Store.open(run.store) as store:
        store.add_segments([segment(number) for number in range(60)], 100)
        store.set_counters({"policy_step": CONFIG.steps})
        worker = OracleWorker(run, store, run.config(), None)
        while worker.step():
            pass
        first = store.lease_batch("ann", 60.0, CONFIG.labels)
        store.add_comparisons([Comparison(number, (1, 2), "ann") for number in first])
        assert store.counts().labels == CONFIG.labels
        assert not worker.finished
        store.add_comparisons([Comparison(first[-1], None, "ann")])
        assert worker.step()
        store.set_counters({"trained": 1})
        assert worker.finished == (kind == "human")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "nice"), reason="this system has no such priorities")
@pytest.mark.parametrize(("kind", "niceness"), [("human", 10), ("synthetic", 0)])
def test_workers_have_low_priority_where_people_label(tmp_path: Path, kind: Any, niceness: int) -> None:
    run = set_up(tmp_path / "run", replace(CONFIG, oracle=OracleConfig(kind)))
    command = [
        sys.executable,
        "-m",
        "prefrl.runtime.child",
        "oracle",
        str(run.path),
        "prefrl_agents.factory:build_agent",
    ]
    with Store.open(run.store) as store, subprocess.Popen(command) as child:
        try:
            while not any(worker.state == "waiting" for worker in store.workers()):
                assert child.poll() is None
                time.sleep(0.05)
            own = os.getpriority(os.PRIO_PROCESS, 0)
            assert os.getpriority(os.PRIO_PROCESS, child.pid) == min(own + niceness, 19)
        finally:
            child.terminate()
