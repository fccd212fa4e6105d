"""Comparisons written to plain files and read back."""

from __future__ import annotations

import dataclasses
import errno
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from prefrl.data.types import Comparison, Segment
from prefrl.storage import (
    ExportReport,
    ImportReport,
    QueryRecord,
    Store,
    StoreError,
    export_comparisons,
    import_comparisons,
    read_about,
)
from prefrl.storage.shards import ShardWriter, read_shard, shard_path


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "other.sqlite", create=True) as store:
        yield store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a" / "export"


@pytest.fixture
def answered(store: Store, ask: Callable[..., int]) -> Store:
    """What an export must keep: supersession, a tie, can't tell, K = 3, images, a repeat."""
    first, ranking, images, unanswered = ask(1, 2), ask(3, 1, 2), ask(8, 9, stacks=True), ask(4, 5)
    swapped = QueryRecord(
        store.query_record(first).segment_ids[::-1], "repeat", 0.1 + 0.2, 77, repeat_of=first
    )
    (repeat,) = store.add_query_records([swapped])
    for query, ranks, annotator, latency_s, time_s in (
        (repeat, (2, 1), "ann", 1.25, 1000.1),
        (first, (1, 2), "ann", 0.5, 1001.7),
        (ranking, (2, 1, 2), "bob", 3.0, 1002.0),
        (first, None, "ann", 0.1, 1003.0),
        (images, (1, 1), "ann", 2.0, 1004.0),
        (first, (1, 2), "bob", 2.0, 1005.0),
    ):
        store.add_comparisons([Comparison(query, ranks, annotator, latency_s, time_s)])
    assert store.query_record(unanswered)
    return store


def content(store: Store) -> list[tuple[Comparison, QueryRecord]]:
    """Every comparison with its query, the queries numbered by first appearance, as in an importing store."""
    comparisons = store.comparisons()
    order = {number: place for place, number in enumerate(dict.fromkeys(c.query_id for c in comparisons))}
    records = [store.query_record(comparison.query_id) for comparison in comparisons]
    return [
        (
            dataclasses.replace(comparison, query_id=order[comparison.query_id]),
            dataclasses.replace(
                record,
                id=order[comparison.query_id],
                repeat_of=None if record.repeat_of is None else order[record.repeat_of],
            ),
        )
        for comparison, record in zip(comparisons, records, strict=True)
    ]


def test_round_trip(answered: Store, other: Store, folder: Path) -> None:
    assert export_comparisons(answered, folder) == ExportReport(6, 4, 5)
    assert import_comparisons(folder, other) == ImportReport(6, 4, 5, 0)

    assert content(other) == content(answered)
    there, here = answered.labelled(), other.labelled()
    assert [item.query.segments for item in here] == [item.query.segments for item in there]
    assert other.counts().open_queries == 0
    about = read_about(folder)
    assert about["env_ids"] == ["Test-v0"]
    assert about["spaces"] is None


def test_importing_again_adds_what_is_new(
    answered: Store, other: Store, folder: Path, tmp_path: Path
) -> None:
    export_comparisons(answered, folder)
    import_comparisons(folder, other)
    before = content(other)
    assert import_comparisons(folder, other) == ImportReport(0, 0, 0, 6)
    assert import_comparisons(folder, answered) == ImportReport(0, 0, 0, 6)
    assert content(other) == before

    (changed,) = answered.add_comparisons([Comparison(1, (2, 1), "ann", time_s=2000.0)])
    export_comparisons(answered, tmp_path / "later")
    assert import_comparisons(tmp_path / "later", other) == ImportReport(1, 0, 0, 6)
    assert content(other) == content(answered)
    assert other.comparisons()[-1].supersedes == answered.comparisons()[-1].supersedes == 4
    assert changed == 7


def test_equal_answers_at_the_same_time_are_kept_apart(
    store: Store, ask: Callable[..., int], other: Store, folder: Path
) -> None:
    for query in (ask(1, 2), ask(1, 2)):
        store.add_comparisons([Comparison(query, (1, 2), "ann", time_s=0.0)])
    export_comparisons(store, folder)

    assert import_comparisons(folder, other) == ImportReport(2, 2, 2, 0)
    assert import_comparisons(folder, other) == ImportReport(0, 0, 0, 2)


def test_an_empty_store_makes_an_empty_export(store: Store, other: Store, folder: Path) -> None:
    assert export_comparisons(store, folder) == ExportReport(0, 0, 0)
    assert import_comparisons(folder, other) == ImportReport(0, 0, 0, 0)


def test_numpy_alone_can_read_a_shard(
    answered: Store, folder: Path, make_segment: Callable[..., Segment]
) -> None:
    export_comparisons(answered, folder)
    with np.load(shard_path(folder, 0), allow_pickle=False) as shard:
        assert shard["lengths"].tolist() == [3, 3, 3]
        # in order of first use: query 5 repeats 1, the other way round
        np.testing.assert_array_equal(
            shard["observations"], np.concatenate([make_segment(number).observations for number in (2, 1, 3)])
        )
    with np.load(shard_path(folder, 1), allow_pickle=False) as shard:
        assert shard["frames"].shape == (2 * 6, 12, 10)
        assert shard["frame_index"].shape == (2 * 3, 4)


def test_shards_are_bounded_and_hold_one_layout(tmp_path: Path, make_segment: Callable[..., Segment]) -> None:
    segments = [make_segment(number, steps=1 + number % 3, stacks=number % 2 == 0) for number in range(10)]
    big_endian = dataclasses.replace(segments[1], observations=segments[1].observations.astype(">f4"))
    writer = ShardWriter(tmp_path, shard_segments=2)
    for segment in [*segments, big_endian]:
        writer.add(segment)
    assert writer.shards <= 5
    writer.flush()

    shards = [list(read_shard(shard_path(tmp_path, number))) for number in range(writer.shards)]
    assert max(map(len, shards)) == 2
    assert {segment for shard in shards for segment in shard} == {*segments, big_endian}


def test_exports_go_to_new_folders(answered: Store, folder: Path, tmp_path: Path) -> None:
    export_comparisons(answered, folder)
    with pytest.raises(StoreError, match="not empty; export to a new folder"):
        export_comparisons(answered, folder)
    with pytest.raises(StoreError, match="cannot be written"):
        export_comparisons(answered, tmp_path / "store.sqlite" / "below")


def rewrite_line(folder: Path, number: int, **changes: object) -> None:
    path = folder / "comparisons.jsonl"
    lines = path.read_text().splitlines()
    lines[number - 1] = json.dumps(json.loads(lines[number - 1]) | changes)
    path.write_text("\n".join(lines) + "\n")


def rewrite_about(folder: Path, **changes: object) -> None:
    path = folder / "about.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_export_that_fails_midway_is_not_there(
    answered: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: ShardWriter) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ShardWriter, "flush", full)
    with pytest.raises(StoreError, match="cannot be written \\(No space left"):
        export_comparisons(answered, folder)
    assert list(folder.parent.iterdir()) == []


def swap_arrays(folder: Path) -> None:
    path = shard_path(folder, 0)
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    np.savez_compressed(path, **(arrays | {"true_rewards": arrays["true_rewards"] + 1}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "about.json").unlink(), "about.json: cannot be read"),
        (lambda folder: (folder / "about.json").write_text("{"), "about.json: is not JSON"),
        (lambda folder: (folder / "about.json").write_text("[]"), "about.json: does not describe"),
        (lambda folder: rewrite_about(folder, format="hh-rlhf"), "about.json: does not describe"),
        (lambda folder: rewrite_about(folder, version=9), "format version 9, this prefrl knows 1"),
        (lambda folder: rewrite_about(folder, shards=None), "how many comparisons and shards"),
        (lambda folder: rewrite_about(folder, shards=3), "segments-00002.npz: is missing"),
        (lambda folder: rewrite_about(folder, shards=1), "line 5: segment .* is in no shard"),
        (lambda folder: rewrite_about(folder, comparisons=7), "has 6 lines, about.json says 7"),
        (lambda folder: (folder / "comparisons.jsonl").unlink(), "comparisons.jsonl: cannot be read"),
        (lambda folder: rewrite_line(folder, 3, ranks=[1, 2]), "line 3: .* does not rank a query of 3"),
        (lambda folder: rewrite_line(folder, 2, ranks=[2, 3]), "line 2: no comparison of ours.*best is 1"),
        (lambda folder: rewrite_line(folder, 2, time_s="now"), "line 2: no comparison of ours"),
        (lambda folder: rewrite_line(folder, 2, segments=5), "line 2: no comparison of ours"),
        (lambda folder: rewrite_line(folder, 2, time_s=float("nan")), "line 2: .*time_s is nan"),
        (lambda folder: rewrite_line(folder, 2, score=9.0), "line 4: query 1 is another one"),
        (lambda folder: rewrite_line(folder, 4, supersedes=5), "line 4: it supersedes comparison 5"),
        (lambda folder: rewrite_line(folder, 4, supersedes=1), "line 4: .* cannot be superseded"),
        (
            lambda folder: rewrite_line(folder, 1, repeat_of=4),
            "line 1: it repeats query 4, which is in no line",
        ),
        (lambda folder: shard_path(folder, 1).write_bytes(b"PK"), "segments-00001.npz: holds no intact"),
        (lambda folder: shard_path(folder, 1).write_bytes(b""), "segments-00001.npz: damaged"),
        (
            lambda folder: np.savez(shard_path(folder, 1), x=np.zeros(3)),
            "segments-00001.npz: holds no intact",
        ),
        (swap_arrays, "segments-00000.npz: holds no intact segments.*what its id says"),
    ],
)
def test_damaged_exports_are_told_and_nothing_is_added(
    answered: Store, other: Store, folder: Path, damage: Callable[[Path], object], message: str
) -> None:
    export_comparisons(answered, folder)
    damage(folder)
    with pytest.raises(StoreError, match=message):
        import_comparisons(folder, other)
    counts = other.counts()
    assert (counts.segments, counts.queries, counts.comparisons) == (0, 0, 0)


def test_a_shard_cut_short_is_told(answered: Store, other: Store, folder: Path) -> None:
    export_comparisons(answered, folder)
    path = shard_path(folder, 0)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(StoreError, match=r"segments-00000\.npz: damaged"):
        import_comparisons(folder, other)


def test_pickled_arrays_are_never_loaded(answered: Store, other: Store, folder: Path) -> None:
    export_comparisons(answered, folder)
    np.savez(shard_path(folder, 0), ids=np.array([{"any": "object"}], dtype=object))
    with pytest.raises(StoreError, match="allow_pickle"):
        import_comparisons(folder, other)
