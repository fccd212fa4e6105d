"""Exported comparisons into a store: everything is checked before the first row is written."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from prefrl.data.spaces import SpaceSpec
from prefrl.data.types import Comparison, Segment
from prefrl.storage.comparison_lines import MOST_INT, Line, check_lines, naming, read_lines
from prefrl.storage.database import Store
from prefrl.storage.errors import StoreError
from prefrl.storage.exchange import exported_specs, read_about
from prefrl.storage.records import QueryRecord
from prefrl.storage.segment_check import check_segment
from prefrl.storage.shards import read_shard, shard_path

__all__ = ["ImportReport", "import_comparisons"]

BATCH_SEGMENTS = 32
"""segments in memory at once"""

Specs = tuple[SpaceSpec, SpaceSpec]
"""of observations and of actions"""


@dataclass(frozen=True)
class ImportReport:
    """What an import added, and what was there already."""

    comparisons: int
    queries: int
    segments: int
    comparisons_already_there: int


def import_comparisons(folder: Path, store: Store, specs: Specs | None = None) -> ImportReport:
    """Add an export's comparisons, queries and segments to a store; what is there already is not added twice.

    Everything is checked before the first row is written: each segment of each shard against its id, the spaces
    that the export describes and ``specs``; each line of comparisons.jsonl, and what it refers to. It is then
    written in one transaction, during which no other process can write. Two comparisons are the same when their
    segments (in order), annotator and time are.

    Args:
        folder: the export.
        store: it is left as it was where an error is raised.
        specs: of the observations and actions that the store holds.

    Raises:
        StoreError: naming the file and line, when a file is missing, damaged or contradicts itself or ``specs``.
    """
    about = read_about(folder)
    lines = read_lines(folder / "comparisons.jsonl", about["comparisons"])
    described = None if about["spaces"] is None else exported_specs(folder)
    checks = {"about.json": described, "the run": specs}
    against = {whose: each for whose, each in checks.items() if each is not None}
    segment_ids = {segment.id for segment in _checked_segments(folder, about, against)}
    check_lines(lines, segment_ids)
    with store.transaction():
        before = store.counts()
        merge = _Merge(store)
        fresh = merge.match(lines)
        _add_segments(
            store, _segments(folder, about), {key for line in fresh for key in line.query.segment_ids}
        )
        merge.add(fresh)
        after = store.counts()
    return ImportReport(
        len(fresh), after.queries - before.queries, after.segments - before.segments, len(lines) - len(fresh)
    )


def _segments(folder: Path, about: Mapping[str, Any]) -> Iterator[Segment]:
    for number in range(about["shards"]):
        yield from read_shard(shard_path(folder, number))


def _checked_segments(
    folder: Path, about: Mapping[str, Any], against: Mapping[str, Specs]
) -> Iterator[Segment]:
    for number in range(about["shards"]):
        path = shard_path(folder, number)
        for position, segment in enumerate(read_shard(path)):
            place = f"{path}: segment {position}"
            for whose, specs in against.items():
                try:
                    check_segment(segment, *specs)
                except ValueError as error:
                    raise StoreError(f"{place} contradicts {whose}: {error}; nothing was imported") from error
            _check_provenance(place, segment, about["env_ids"])
            yield segment


def _check_provenance(place: str, segment: Segment, env_ids: Sequence[str]) -> None:
    origin = segment.provenance
    if origin.env_id not in env_ids:
        raise StoreError(
            f"{place} contradicts about.json: it is of {origin.env_id}, not of one of {list(env_ids)}; "
            "nothing was imported"
        )
    for name in ("seed", "policy_step", "reward_version"):
        value = getattr(origin, name)
        if abs(value) > MOST_INT:
            raise StoreError(f"{place} has {name} {value}, which takes over 64 bits; nothing was imported")


def _add_segments(store: Store, segments: Iterator[Segment], wanted: set[str]) -> None:
    found = (segment for segment in segments if segment.id in wanted)
    while batch := list(islice(found, BATCH_SEGMENTS)):
        # nothing may be dropped before the queries that need it are in
        store.add_segments(batch, keep_unqueried=sys.maxsize)


_Key = tuple[tuple[str, ...], str, float]


def _key(query: QueryRecord, comparison: Comparison) -> _Key:
    """What makes comparisons of two stores the same one."""
    return query.segment_ids, comparison.annotator, comparison.time_s


class _Merge:
    """Brings an export's comparisons into a store, keeping account of which id here is which there."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._query_ids: dict[int | None, int] = {}
        self._comparison_ids: dict[int | None, int | None] = {None: None}

    def match(self, lines: Sequence[Line]) -> list[Line]:
        """Find the lines whose comparisons are in the store already, and return the others."""
        known: dict[_Key, list[Comparison]] = {}
        for ours in self._store.comparisons():
            known.setdefault(_key(self._store.query_record(ours.query_id), ours), []).append(ours)
        fresh = []
        for line in lines:
            if same := known.get(_key(line.query, line.comparison)):
                ours = same.pop(0)
                self._query_ids[line.query.id] = ours.query_id
                self._comparison_ids[line.comparison.id] = ours.id
            else:
                fresh.append(line)
        return fresh

    def add(self, lines: Sequence[Line]) -> None:
        """Add the lines' comparisons, and those of their queries that are new."""
        # by age of the query, for a repeat may have been answered before the query it repeats
        for line in sorted(lines, key=lambda line: line.comparison.query_id):
            if line.query.id not in self._query_ids:
                with naming(line):
                    self._add_query(line.query)
        for line in lines:
            with naming(line):
                self._add_comparison(line.comparison)

    def _add_query(self, theirs: QueryRecord) -> None:
        repeat_of = None if theirs.repeat_of is None else self._query_ids[theirs.repeat_of]
        (self._query_ids[theirs.id],) = self._store.add_query_records([replace(theirs, repeat_of=repeat_of)])

    def _add_comparison(self, theirs: Comparison) -> None:
        query_id, supersedes = self._query_ids[theirs.query_id], self._comparison_ids[theirs.supersedes]
        (number,) = self._store.add_comparisons([replace(theirs, query_id=query_id, supersedes=supersedes)])
        self._comparison_ids[theirs.id] = number
