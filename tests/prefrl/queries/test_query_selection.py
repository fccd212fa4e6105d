"""Queries chosen while the policy drops segments from the pool."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import prefrl.loop.oracle_worker as oracle_module
import prefrl.queries.query_selection as choosing_module
from prefrl.config import OracleConfig, QueryConfig, RunConfig, ScheduleConfig
from prefrl.data.types import Comparison, Query
from prefrl.loop import OracleWorker
from prefrl.storage import Store, StoreError
from prefrl.storage import connection as connection_module
from prefrl.storage.run_dir import RunDir

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


def test_people_are_asked_about_what_was_filmed_alone(
    tmp_path: Path, make_segments: Callable[..., Any]
) -> None:
    queries = QueryConfig(candidates=2, batch=20, repeat_share=0.5)
    config = dataclasses.replace(CONFIG, labels=40, oracle=OracleConfig("human"), queries=queries)
    run = RunDir.create(tmp_path / "run", config)
    store = Store.open(run.store, create=True)
    filmed, imported = make_segments(30), make_segments(30, start=100)
    store.add_segments(filmed, 100, {one.id: b"" for one in filmed})
    store.add_segments(imported, 100)
    for pair in zip(imported[::2], imported[1::2], strict=True):
        (number,) = store.add_queries([Query(pair)])
        store.add_comparisons([Comparison(number, (1, 2), "ann")])
    before = store.counts().queries
    first = choosing_module.choose_queries(store, None, config, 20, 0, np.random.default_rng(0))
    shown = {segment.id for query in first for segment in query.segments}
    # Nothing that was filmed has been answered, and so could be repeated.
    assert shown <= {segment.id for segment in filmed}
    asked = store.add_queries([query for query in first if query.repeat_of is None])
    store.add_comparisons([Comparison(number, (1, 2), "ann") for number in asked])
    again = choosing_module.choose_queries(store, None, config, 20, 0, np.random.default_rng(0))
    assert {query.repeat_of for query in again} - {None} <= set(asked)
    assert any(query.repeat_of for query in again)
    assert min(asked) > before
