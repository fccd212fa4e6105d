"""Query selection from the pool: what is asked first and later, and while the policy drops segments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import prefrl.loop.oracle_worker as oracle_module
import prefrl.queries.query_selection as selection_module
from prefrl.config import OracleConfig, QueryConfig, RunConfig, ScheduleConfig
from prefrl.data.types import Comparison, Provenance, Query, Segment
from prefrl.loop import OracleWorker
from prefrl.queries import SAMPLERS, draw_candidates
from prefrl.queries.features import FeatureCache, segment_features
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
    """At every call of the function the policy tries to replace the whole pool; returns whether it could."""
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


def test_segments_dropped_before_their_query_is_asked_are_stored_again(
    worker: OracleWorker, make_segments: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = make_segments(30, start=100)
    could = policy_overtakes(monkeypatch, oracle_module, "choose_queries", worker, new)
    assert worker.step()
    assert could == [True]
    check_queries(worker)


def test_when_segments_are_dropped_while_they_are_read_others_are_drawn_and_the_policy_waits(
    worker: OracleWorker, make_segments: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = make_segments(30, start=100)
    could = policy_overtakes(monkeypatch, selection_module, "draw_candidates", worker, new)
    assert worker.step()
    assert could == [True, False]
    check_queries(worker)


def test_dropped_segments_are_not_asked_about_where_people_are_shown_clips(
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


def test_people_are_asked_only_about_segments_with_clips(
    tmp_path: Path, make_segments: Callable[..., Any]
) -> None:
    queries = QueryConfig(candidates=2, batch=20, repeat_share=0.5)
    config = dataclasses.replace(CONFIG, labels=40, oracle=OracleConfig("human"), queries=queries)
    run = RunDir.create(tmp_path / "run", config)
    store = Store.open(run.store, create=True)
    with_clips, imported = make_segments(30), make_segments(30, start=100)
    store.add_segments(with_clips, 100, {one.id: b"" for one in with_clips})
    store.add_segments(imported, 100)
    for pair in zip(imported[::2], imported[1::2], strict=True):
        (number,) = store.add_queries([Query(pair)])
        store.add_comparisons([Comparison(number, (1, 2), "ann")])
    before = store.counts().queries
    first = selection_module.choose_queries(store, None, config, 20, 0, np.random.default_rng(0))
    shown = {segment.id for query in first for segment in query.segments}
    # No query about segments with clips has been answered yet, so none can be repeated.
    assert shown <= {segment.id for segment in with_clips}
    asked = store.add_queries([query for query in first if query.repeat_of is None])
    store.add_comparisons([Comparison(number, (1, 2), "ann") for number in asked])
    again = selection_module.choose_queries(store, None, config, 20, 0, np.random.default_rng(0))
    assert {query.repeat_of for query in again} - {None} <= set(asked)
    assert any(query.repeat_of for query in again)
    assert min(asked) > before


class FixedReward:
    """In place of a learned reward: two members that contradict each other about every segment."""

    def __init__(self) -> None:
        self.calls = 0

    def segment_logits(self, segments: list[Segment]) -> np.ndarray:
        self.calls += 1
        returns = np.array([segment.true_return for segment in segments])
        return np.stack([returns, -returns])


@pytest.fixture
def store(tmp_path: Path, make_segments: Callable[..., Any]) -> Store:
    store = Store.open(tmp_path / "store.sqlite", create=True)
    store.add_segments(make_segments(30), 100)
    return store


def with_sampler(sampler: str) -> RunConfig:
    return dataclasses.replace(CONFIG, queries=QueryConfig(candidates=4, sampler=sampler))


def choose(store: Store, reward: Any, config: RunConfig, count: int = 3) -> list[Query]:
    return selection_module.choose_queries(store, reward, config, count, 0, np.random.default_rng(7))


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_the_first_queries_are_uniform_whatever_the_sampler(store: Store, sampler: str) -> None:
    first = choose(store, None, with_sampler(sampler))
    assert [(query.sampler, query.score) for query in first] == [("uniform", 0.0)] * 3
    pool = [entry.id for entry in store.pool(30)]
    sides = selection_module._groups(store, CONFIG, store.pool(30))
    drawn = draw_candidates(30, 12, 2, np.random.default_rng(7), sides)[:3]
    assert [[segment.id for segment in query.segments] for query in first] == [
        [pool[item] for item in row] for row in drawn
    ]
    reward = FixedReward()
    assert {query.sampler for query in choose(store, reward, with_sampler(sampler))} == {sampler}
    assert reward.calls == (sampler not in ("uniform", "k_center")), (
        "only samplers that score need predictions"
    )


def features_of(query: Query) -> np.ndarray:
    return np.concatenate([segment.observations.reshape(-1) for segment in query.segments])


def test_k_center_takes_the_queries_asked_before_as_centres(store: Store) -> None:
    config = with_sampler("k_center")
    before = choose(store, FixedReward(), config)
    selection_module.ask_queries(store, before)
    (query_id, *_) = store.query_ids()
    # A repeat is the same query, and one of three items or of other segments cannot be compared.
    three = Query(tuple(before[index].segments[0] for index in range(3)))
    repeat = Query(before[0].segments[::-1], repeat_of=query_id)
    selection_module.ask_queries(store, [three, repeat])
    after = choose(store, FixedReward(), config)
    centres = [features_of(query) for query in before]
    for query in after:
        distance = min(np.linalg.norm(features_of(query) - centre) for centre in centres)
        assert query.score == pytest.approx(distance, rel=1e-5)
        centres.append(features_of(query))
    assert {query.segments for query in after}.isdisjoint(query.segments for query in before)


def segment_of(observations: np.ndarray) -> Segment:
    ends = np.zeros(len(observations), bool)
    actions = np.zeros(len(observations), np.int64)
    return Segment(observations, actions, np.zeros(len(ends)), ends, ends, Provenance("Test-v0", 0, 0, 0))


def test_features_of_images_are_means_over_time_of_about_twelve_pixels_a_side() -> None:
    images = np.random.default_rng(0).integers(0, 255, (5, 84, 80, 2), dtype=np.uint8)
    (features,) = segment_features([segment_of(images)])
    np.testing.assert_allclose(features, images.mean(axis=0)[::7, ::6].reshape(-1), rtol=1e-5)
    vectors = np.arange(10.0).reshape(5, 2)
    assert segment_features([segment_of(vectors)]).tolist() == [list(range(10))]


def test_segments_of_several_lengths_cannot_be_compared() -> None:
    with pytest.raises(
        ValueError, match="segments of one length, and the pool has 4 and 6 numbers a segment"
    ):
        segment_features([segment_of(np.zeros((3, 2))), segment_of(np.zeros((2, 2)))])


def test_features_of_asked_segments_are_read_once(
    store: Store, make_segments: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = make_segments(3)
    store.add_queries([Query((first, second))])
    read: list[str] = []
    original = store.segments

    def segments(ids: list[str]) -> list[Segment]:
        read.extend(ids)
        return original(ids)

    monkeypatch.setattr(store, "segments", segments)
    cache = FeatureCache()
    assert cache.asked(store, items=2, size=10).shape == (1, 20)
    store.add_queries([Query((second, third))])
    rows = cache.asked(store, items=2, size=10)
    np.testing.assert_array_equal(rows[1], features_of(Query((second, third))))
    assert sorted(read) == sorted(segment.id for segment in (first, second, third))
    assert cache.asked(store, items=2, size=9).shape == (0, 18), "segments of another length"


def test_a_sampler_from_outside_chooses_queries(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_selection.py").write_text(
        "def highest_return(candidates):\n    return candidates.member_returns[0].max(axis=-1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    queries = choose(store, FixedReward(), with_sampler("my_selection:highest_return"))
    assert {query.sampler for query in queries} == {"my_selection:highest_return"}
    for query in queries:
        assert query.score == pytest.approx(max(segment.true_return for segment in query.segments))
    assert queries[0].score == max(query.score for query in queries)
