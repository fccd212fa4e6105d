"""What the policy records of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import prefrl.loop.channels as channels_module
from prefrl.config import OracleConfig, QueryConfig, RunConfig, RuntimeConfig
from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Comparison, Query, Segment
from prefrl.loop import Channels, OracleWorker, Rollout
from prefrl.loop.heartbeat import StopFlag
from prefrl.queries import LabelSchedule, initial_segments
from prefrl.recording.segment_recorder import SegmentRecorder
from prefrl.storage import Store
from prefrl.storage.metrics_file import read_metrics
from prefrl.storage.run_dir import RunDir

CONFIG = RunConfig(labels=4, steps=100, queries=QueryConfig(segment_steps=5))


class AnyReward:
    version = 1

    def predict(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        raise AssertionError


def steps_recorded(run: RunDir) -> list[int]:
    return [record["policy_step"] for record in read_metrics(run.metrics)[0]]


@pytest.mark.parametrize("every_s", [0.0, 1e9])
def test_the_last_step_is_recorded_once_however_often_it_is_asked_for(
    tmp_path: Path, specs: tuple[SpaceSpec, SpaceSpec], monkeypatch: pytest.MonkeyPatch, every_s: float
) -> None:
    monkeypatch.setattr(channels_module, "_METRICS_EVERY_S", every_s)
    run = RunDir.create(tmp_path / "run", CONFIG)
    run.write_specs(*specs)
    recorder = SegmentRecorder(*specs, 10, 5, "Test-v0", seed=0)
    zeros, never = np.zeros((10, 2), np.float32), np.zeros(10, bool)
    stopped = StopFlag()
    stopped.set()  # nobody answers here, and the policy shall not wait
    with Store.open(run.store, create=True) as store:
        channels = Channels(run, store, CONFIG, stopped)
        for _ in range(10):
            recorder.record(zeros, never.astype(int), zeros[:, 0], never, never)
            channels.upload(Rollout(recorder.take_recording()))
            channels.newest_reward()
            channels.newest_reward()
    assert steps_recorded(run) == ([100] if every_s else list(range(10, 110, 10)))


def test_a_run_whose_episodes_are_shorter_than_a_segment_ends_with_an_error(
    tmp_path: Path, specs: tuple[SpaceSpec, SpaceSpec]
) -> None:
    run = RunDir.create(tmp_path / "run", CONFIG)
    run.write_specs(*specs)
    recorder = SegmentRecorder(*specs, 10, 5, "Test-v0", seed=0, within_episodes=True)
    zeros, never = np.zeros((10, 2), np.float32), np.zeros(10, bool)
    with Store.open(run.store, create=True) as store:
        channels = Channels(run, store, CONFIG)
        for step in range(10):
            recorder.record(zeros, never.astype(int), zeros[:, 0], never | (step % 4 == 3), never)
        with pytest.raises(ValueError, match=r"0 segments of 5 steps.*within_episodes"):
            channels.upload(Rollout(recorder.take_recording()))


def test_the_last_labels_of_people_are_waited_for_and_those_of_a_program_are_not(
    tmp_path: Path, specs: tuple[SpaceSpec, SpaceSpec], make_segments: Callable[..., list[Segment]]
) -> None:
    def waits_for(
        kind: Literal["human", "synthetic"], step: int, labels: int, cant_tell: int = 0
    ) -> str | None:
        config = replace(
            CONFIG, labels=40, oracle=OracleConfig(kind), runtime=RuntimeConfig(max_label_lag=20)
        )
        run = RunDir.create(tmp_path / f"{kind}-{step}-{labels}-{cant_tell}", config)
        run.write_specs(*specs)
        with Store.open(run.store, create=True) as store:
            channels = Channels(run, store, config)
            channels._reward = AnyReward()
            pair = make_segments(2)
            store.add_segments(pair, 10)
            for number in range(labels + cant_tell):
                (query,) = store.add_queries([Query(tuple(pair))])
                store.add_comparisons([Comparison(query, (1, 2) if number < labels else None)])
            due = LabelSchedule(config.labels, config.steps, config.schedule).due(step)
            store.set_counters({"due_labels": due, "reward_labels": labels})
            return channels._waits_for()

    assert waits_for("synthetic", 100, 25) is None
    assert waits_for("human", 10, 8) is None
    assert waits_for("human", 100, 39, cant_tell=5) == "the last 1 labels"
    assert waits_for("human", 100, 40) is None


def test_a_policy_goes_on_until_enough_is_filmed_whatever_was_imported(
    tmp_path: Path, specs: tuple[SpaceSpec, SpaceSpec], make_segments: Callable[..., list[Segment]]
) -> None:
    config = replace(CONFIG, labels=40, oracle=OracleConfig("human"), runtime=RuntimeConfig(max_label_lag=20))
    run = RunDir.create(tmp_path / "run", config)
    run.write_specs(*specs)
    needed = initial_segments(config)
    with Store.open(run.store, create=True) as store:
        channels = Channels(run, store, config)
        store.set_counters({"due_labels": 10})
        store.add_segments(make_segments(needed), 1000)
        filmed = make_segments(needed, start=1000)
        store.add_segments(filmed[:1], 1000, {filmed[0].id: b""})
        # Nothing can be asked yet: were the policy to wait, nothing ever could.
        oracle = OracleWorker(run, store, config, None)
        assert not oracle.step()
        assert channels._waits_for() is None
        store.add_segments(filmed, 1000, {one.id: b"" for one in filmed})
        assert channels._waits_for() is not None
