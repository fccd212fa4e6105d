from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from prefrl.config import QueryConfig, RunConfig, RuntimeConfig, ScheduleConfig
from prefrl.data.types import Comparison, Provenance, Query, Segment
from prefrl.runtime.snapshot import RunSnapshot, SnapshotReader, read_snapshot
from prefrl.storage import Episode, Store
from prefrl.storage.clock import clock_s
from prefrl.storage.run_dir import RunDir

CONFIG = RunConfig(labels=40, steps=1000, schedule=ScheduleConfig(initial_share=0.25))


def segment(number: int) -> Segment:
    flags = np.zeros(2, bool)
    observations = np.full((2, 1), number, np.float32)
    return Segment(
        observations, flags, np.zeros(2, np.float32), flags, flags, Provenance("Test-v0", 0, number, 0)
    )


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "run", CONFIG)


def ask(store: Store, queries: int) -> list[int]:
    segments = [segment(number) for number in range(2 * queries)]
    store.add_segments(segments, keep_unqueried=100)
    return store.add_queries([Query(pair) for pair in zip(segments[::2], segments[1::2], strict=True)])


def test_a_run_without_a_store_has_not_started(run: RunDir) -> None:
    snapshot = read_snapshot(run)
    assert snapshot.state == "not started"
    assert [worker.life for worker in snapshot.workers] == ["not started"] * 3
    run.store.touch()  # as a process killed while it created the store leaves it
    assert read_snapshot(run).state == "not started"


def test_the_store_is_read(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(run.store, create=True) as store:
        started_s = time.monotonic()
        ids = ask(store, 5)
        ranks = [(1, 2), (2, 1), (1, 1), None]
        store.add_comparisons(
            [Comparison(query_id, rank) for query_id, rank in zip(ids, ranks, strict=False)]
        )
        store.add_episodes([Episode(100, 1.0, 10), Episode(200, 2.0, 10)])
        store.set_counters(
            {
                "policy_step": 500,
                "due_labels": 12,
                "reward_labels": 3,
                "reward_version": 2,
                "reward_step": 400,
            }
        )
        store.beat("policy", os.getpid(), "acting", "step 500", now_s=clock_s() - 5)
        store.beat("annotator ada", os.getpid(), "answering")
    wall_s = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: wall_s)
    snapshot = read_snapshot(run, now_s=clock_s() + 60)
    assert (snapshot.state, snapshot.policy_step, snapshot.true_return) == ("running", 500, 1.5)
    assert (snapshot.counts.labels, snapshot.counts.cant_tell, snapshot.counts.open_queries) == (3, 1, 1)
    # 12 due, 3 trained on, and "can't tell" is an answer too.
    assert (snapshot.due_labels, snapshot.label_lag) == (12, 8)
    assert (snapshot.reward_version, snapshot.staleness_steps) == (2, 100)
    took_s = 1 + time.monotonic() - started_s
    assert snapshot.oldest_open_s == pytest.approx(60, abs=took_s)
    assert snapshot.initial_labels == 10
    lives = {worker.name: worker.life for worker in snapshot.workers}
    assert lives == {
        "policy": "silent",
        "oracle": "not started",
        "reward": "not started",
        "annotator ada": "silent",
    }
    assert snapshot.worker("policy").silence_s == pytest.approx(65, abs=took_s)


def test_before_the_first_query_and_reward_nothing_is_open_or_stale(run: RunDir) -> None:
    Store.open(run.store, create=True).close()
    snapshot = read_snapshot(run)
    assert snapshot.oldest_open_s is None
    assert snapshot.staleness_steps is None
    assert snapshot.true_return is None


def test_metrics_and_time_left(run: RunDir) -> None:
    with Store.open(run.store, create=True) as store, SnapshotReader(run) as reader:
        store.set_counters({"policy_step": 600})
        store.beat("policy", os.getpid(), "acting")
        assert reader.read().time_left_s is None
        run.append_metrics(
            {"source": "policy", "policy_step": 600, "steps_per_s": 50.0, "predicted_reward": 0.5}
        )
        run.append_metrics({"source": "reward", "accuracy_train": 0.9, "accuracy_validation": 0.8})
        snapshot = reader.read()
        assert snapshot.time_left_s == pytest.approx(400 / 50)
        assert (snapshot.predicted_reward, snapshot.accuracy_train, snapshot.accuracy_fresh) == (
            0.5,
            0.9,
            None,
        )
        store.set_counters({"policy_step": 1004})
        assert reader.read().time_left_s == 0


def test_a_launcher_ignores_heartbeats_of_the_launch_before(run: RunDir) -> None:
    with Store.open(run.store, create=True) as store, SnapshotReader(run, launched_s=1000.0) as reader:
        store.beat("policy", os.getpid(), "stopped", now_s=900.0)
        assert reader.read(now_s=1001.0).state == "starting"
        store.beat("policy", os.getpid(), "acting", now_s=1001.0)
        assert reader.read(now_s=1002.0).state == "running"


def test_a_run_with_a_result_is_finished(run: RunDir) -> None:
    with Store.open(run.store, create=True) as store:
        store.beat("policy", os.getpid(), "evaluating")
    run.result.write_text("{}")
    snapshot = read_snapshot(run)
    assert snapshot.state == "finished"
    assert snapshot.worker("policy").life == "finished"
    assert snapshot.time_left_s is None


@pytest.mark.parametrize("window", [3, 500])
@pytest.mark.parametrize("items", [2, 4])
def test_initial_segments_are_those_the_oracle_waits_for(tmp_path: Path, items: int, window: int) -> None:
    from prefrl.queries import initial_segments

    config = dataclasses.replace(
        CONFIG,
        queries=QueryConfig(items=items, window_segments=window),
        runtime=RuntimeConfig(pool_segments=9),
    )
    run = RunDir.create(tmp_path / "run", config)
    Store.open(run.store, create=True).close()
    assert read_snapshot(run).initial_segments == initial_segments(config)


def test_state_of_a_launched_run_whose_workers_are_gone() -> None:
    from prefrl.runtime.liveness import WorkerView

    dead = RunSnapshot(Path("x"), CONFIG, (WorkerView("policy", "gone"),))
    assert dead.state == "stopped"
    assert dataclasses.replace(dead, is_launched=True).state == "running"


def test_reading_a_snapshot_imports_no_torch() -> None:
    code = "import sys, prefrl.cli.status_command, prefrl.cli.panel; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
