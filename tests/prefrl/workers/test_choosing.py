"""Queries chosen while the policy drops segments from the pool."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import prefrl.workers.choosing as choosing_module
import prefrl.workers.oracle as oracle_module
from prefrl.config import OracleConfig, QueryConfig, RunConfig, ScheduleConfig
from prefrl.run_dir import RunDir
from prefrl.store import Store, StoreError
from prefrl.store import connection as connection_module
from prefrl.workers import OracleWorker

CONFIG = RunConfig(labels=10, schedule=ScheduleConfig(initial_share=1.0), queries=QueryConfig(candidates=2))


@pytest.fixture
def worker(tmp_path: Path, make_segments: Callable[..., Any]) -> OracleWorker:
    run = RunDir.create(tmp_path / "run", CONFIG)
    store = Store.open(run.store, create=True)
    store.add_segments(make_segments(30), 100)
    return OracleWorker(run, store, CONFIG, None)


def policy_overtakes(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, worker: OracleWorker, segments: list[Any]
) -> list[bool]:
    """At every call of a function the policy tries to replace the whole pool; returns whether it could."""
    original, could = getattr(module, name), []

    def overtaken(*arguments: Any, **named: Any) -> Any:
        result = original(*arguments, **named)
        with Store.open(worker._run.store) as policys:
            try:
                policys.add_segments(segments, keep_unqueried=30)
                could.append(True)
            except StoreError:
                could.append(False)
        return result

    monkeypatch.setattr(module, name, overtaken)
    monkeypatch.setattr(connection_module, "GIVE_UP_S", 0.0)
    return could


def check_queries(worker: OracleWorker) -> None:
    store = worker._store
    assert store.counts().open_queries == 10
    for number in range(1, 11):
        assert len(store.query(number).segments) == 2


def test_segments_dropped_between_choice_and_question_are_stored_again(
    worker: OracleWorker, make_segments: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = make_segments(30, start=100)
    could = policy_overtakes(monkeypatch, oracle_module, "choose_queries", worker, new)
    assert worker.step()
    assert could == [True]
    check_queries(worker)


def test_segments_dropped_while_they_are_read_are_drawn_anew_and_the_policy_waits(
    worker: OracleWorker, make_segments: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = make_segments(30, start=100)
    could = policy_overtakes(monkeypatch, choosing_module, "draw_candidates", worker, new)
    assert worker.step()
    assert could == [True, False]
    check_queries(worker)


def test_where_people_are_shown_clips_dropped_segments_are_not_asked_about(
    tmp_path: Path, make_segments: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(CONFIG, oracle=OracleConfig("human"))
    run = RunDir.create(tmp_path / "run", config)
    with Store.open(run.store, create=True) as store:
        store.add_segments(make_segments(30), 100)
        worker = OracleWorker(run, store, config, None)
        with monkeypatch.context() as patched:
            policy_overtakes(patched, oracle_module, "choose_queries", worker, make_segments(30, start=100))
            worker.step()
        assert store.counts().queries == 0
        worker.step()
        assert store.counts().open_queries == 10
