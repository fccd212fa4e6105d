"""What the others see of an oracle at work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prefrl.config import QueryConfig, RunConfig, ScheduleConfig
from prefrl.data.types import Comparison, Query, Segment
from prefrl.loop import OracleWorker
from prefrl.storage import Store
from prefrl.storage.run_dir import RunDir

CONFIG = RunConfig(
    labels=8,
    steps=100,
    queries=QueryConfig(segment_steps=5, batch=4),
    schedule=ScheduleConfig(initial_share=1.0),
)


class Onlooker:
    """Answers, and notes how many labels somebody else can see meanwhile."""

    name = "onlooker"

    def __init__(self, store: Store) -> None:
        self._store = store
        self.seen: list[int] = []

    def answer(self, query: Query) -> Comparison:
        self.seen.append(self._store.counts().labels)
        assert query.id is not None
        return Comparison(query.id, (1, 2), self.name)


def test_a_batch_of_answers_comes_together(
    tmp_path: Path, make_segments: Callable[[int], list[Segment]]
) -> None:
    run = RunDir.create(tmp_path / "run", CONFIG)
    with Store.open(run.store, create=True) as store, Store.open(run.store) as elsewhere:
        store.add_segments(make_segments(40), keep_unqueried=40)
        oracle = Onlooker(elsewhere)
        assert OracleWorker(run, store, CONFIG, oracle).step()
        assert oracle.seen == [0, 0, 0, 0, 4, 4, 4, 4]
        assert elsewhere.counts().labels == 8


class Tired(Onlooker):
    """Fails at its third query."""

    def answer(self, query: Query) -> Comparison:
        if len(self.seen) == 2:
            raise RuntimeError("too tired")
        return super().answer(query)


def test_what_an_oracle_answered_before_it_failed_is_kept(
    tmp_path: Path, make_segments: Callable[[int], list[Segment]]
) -> None:
    run = RunDir.create(tmp_path / "run", CONFIG)
    with Store.open(run.store, create=True) as store:
        store.add_segments(make_segments(40), keep_unqueried=40)
        with pytest.raises(RuntimeError, match="too tired"):
            OracleWorker(run, store, CONFIG, Tired(store)).step()
        assert store.counts().labels == 2
        OracleWorker(run, store, CONFIG, Onlooker(store)).step()
        assert store.counts().labels == 8
