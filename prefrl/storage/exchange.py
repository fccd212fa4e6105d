"""Comparisons as plain files, for other programs and other runs: JSON lines and .npz, never pickle.

An exported folder holds `comparisons.jsonl`, one line for each comparison with its query, superseded ones
included; `segments-00000.npz` and so on (`prefrl.storage.shards`); and `about.json`, written last.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from prefrl.data.types import Comparison
from prefrl.storage.database import Store
from prefrl.storage.errors import StoreError
from prefrl.storage.records import QueryRecord
from prefrl.storage.shards import ShardWriter, read_shard, shard_path

__all__ = ["ExportReport", "ImportReport", "export_comparisons", "import_comparisons", "read_about"]

FORMAT = "prefrl-comparisons"
FORMAT_VERSION = 1
BATCH_SEGMENTS = 32
"""segments in memory at once while importing"""


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote."""

    comparisons: int
    queries: int
    segments: int


@dataclass(frozen=True)
class ImportReport:
    """What an import added, and what was there already."""

    comparisons: int
    queries: int
    segments: int
    comparisons_already_there: int


@dataclass(frozen=True)
class _Line:
    """One line of comparisons.jsonl; ids are those of the exporting store."""

    place: str
    """file and line, for messages"""
    comparison: Comparison
    query: QueryRecord


_Key = tuple[tuple[str, ...], str, float]


def _key(query: QueryRecord, comparison: Comparison) -> _Key:
    """What makes comparisons of two stores the same one."""
    return query.segment_ids, comparison.annotator, comparison.time_s


def export_comparisons(store: Store, folder: Path, spaces: Mapping[str, Any] | None = None) -> ExportReport:
    """Write every comparison, with its query and segments, to a new folder.

    A query that repeats one nobody answered is written as no repeat; unanswered queries are left out.

    Args:
        store: read in short transactions; a run may go on writing to it meanwhile.
        folder: made when missing.
        spaces: descriptions of the observation and action space (`SpaceSpec.to_json`), kept in about.json.

    Raises:
        StoreError: when the folder is not empty or cannot be written.
    """
    comparisons = store.comparisons()
    queries = {
        number: store.query_record(number) for number in dict.fromkeys(c.query_id for c in comparisons)
    }
    segment_ids = dict.fromkeys(key for query in queries.values() for key in query.segment_ids)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise StoreError(f"{folder}: is not empty; export to a new folder")
        with (folder / "comparisons.jsonl").open("w", encoding="utf-8") as file:
            for comparison in comparisons:
                file.write(_to_line(comparison, queries) + "\n")
        env_ids, shards = _write_segments(store, list(segment_ids), folder)
        about = {"format": FORMAT, "version": FORMAT_VERSION, "env_ids": env_ids, "spaces": spaces}
        about |= {"comparisons": len(comparisons), "shards": shards}
        (folder / "about.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be written ({error.strerror}); export to another folder"
        ) from error
    return ExportReport(len(comparisons), len(queries), len(segment_ids))


def _to_line(comparison: Comparison, queries: Mapping[int, QueryRecord]) -> str:
    query = queries[comparison.query_id]
    return json.dumps(
        {
            "comparison": comparison.id,
            "query": comparison.query_id,
            "segments": query.segment_ids,
            "ranks": comparison.ranks,
            "annotator": comparison.annotator,
            "latency_s": comparison.latency_s,
            "time_s": comparison.time_s,
            "supersedes": comparison.supersedes,
            "sampler": query.sampler,
            "score": query.score,
            "policy_step": query.policy_step,
            "repeat_of": query.repeat_of if query.repeat_of in queries else None,
        }
    )


def _write_segments(store: Store, ids: list[str], folder: Path) -> tuple[list[str], int]:
    """Write the shards; returns the environments seen and the number of shards."""
    writer, env_ids = ShardWriter(folder), set()
    for key in ids:
        (segment,) = store.segments([key])
        env_ids.add(segment.provenance.env_id)
        writer.add(segment)
    writer.flush()
    return sorted(env_ids), writer.shards


def read_about(folder: Path) -> dict[str, Any]:
    """The content of an export's about.json; raises StoreError where there is no finished export."""
    path = folder / "about.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error.strerror}); a finished export has this file, give its folder"
        ) from error
    except ValueError as error:
        raise StoreError(f"{path}: is not JSON ({error}); export again") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise StoreError(f"{path}: does not describe a {FORMAT} export; give the folder of one")
    if about.get("version") != FORMAT_VERSION:
        raise StoreError(
            f"{path}: format version {about.get('version')}, this prefrl knows {FORMAT_VERSION}; "
            "import it with the prefrl that wrote it"
        )
    if not all(isinstance(about.get(name), int) for name in ("comparisons", "shards")):
        raise StoreError(f"{path}: does not say how many comparisons and shards there are; export again")
    return about


def import_comparisons(folder: Path, store: Store) -> ImportReport:
    """Add an export's comparisons, queries and segments to a store; what is there already is not added twice.

    Everything is checked before anything is written, and written in one transaction, during which no other
    process can write. Two comparisons are the
    same when their segments (in order), annotator and time are.

    Raises:
        StoreError: naming the file and line, when a file is missing, damaged or contradicts itself.
    """
    about = read_about(folder)
    lines = _read_lines(folder / "comparisons.jsonl", about["comparisons"])
    shards = [shard_path(folder, number) for number in range(about["shards"])]
    exported = {segment.id for path in shards for segment in read_shard(path)}
    _check(lines, exported)
    with store.transaction():
        before = store.counts()
        merge = _Merge(store)
        fresh = merge.match(lines)
        _add_segments(store, shards, {key for line in fresh for key in line.query.segment_ids})
        merge.add(fresh)
        after = store.counts()
    return ImportReport(
        len(fresh), after.queries - before.queries, after.segments - before.segments, len(lines) - len(fresh)
    )


def _read_lines(path: Path, expected: int) -> list[_Line]:
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); copy or export the folder again") from error
    if len(texts) != expected:
        raise StoreError(f"{path}: has {len(texts)} lines, about.json says {expected}; copy the whole folder")
    return [_parse(f"{path}, line {number}", text) for number, text in enumerate(texts, start=1)]


def _parse(place: str, text: str) -> _Line:
    try:
        data = json.loads(text)
        ranks, ids, query_id = data["ranks"], tuple(map(str, data["segments"])), int(data["query"])
        comparison = Comparison(
            query_id,
            None if ranks is None else tuple(ranks),
            str(data["annotator"]),
            float(data["latency_s"]),
            float(data["time_s"]),
            _optional_int(data["supersedes"]),
            int(data["comparison"]),
        )
        sampler, score, policy_step = str(data["sampler"]), float(data["score"]), int(data["policy_step"])
        query = QueryRecord(ids, sampler, score, policy_step, _optional_int(data["repeat_of"]), query_id)
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{place}: no comparison of ours ({type(error).__name__}: {error})") from error
    if len(ids) < 2 or (ranks is not None and len(ranks) != len(ids)):
        raise StoreError(f"{place}: {ranks} does not rank a query of {len(ids)} segments")
    return _Line(place, comparison, query)


def _optional_int(value: Any) -> int | None:
    return None if value is None else int(value)


def _check(lines: list[_Line], exported: set[str]) -> None:
    queries: dict[int, QueryRecord] = {}
    for line in lines:
        with _naming(line):
            if missing := set(line.query.segment_ids) - exported:
                raise StoreError(f"segment {min(missing)} is in no shard")
            query_id = line.comparison.query_id
            if queries.setdefault(query_id, line.query) != line.query:
                raise StoreError(f"query {query_id} is another one than in an earlier line")


def _add_segments(store: Store, shards: list[Path], wanted: set[str]) -> None:
    found = (segment for path in shards for segment in read_shard(path) if segment.id in wanted)
    while batch := list(islice(found, BATCH_SEGMENTS)):
        # nothing may be dropped before the queries that need it are in
        store.add_segments(batch, keep_unqueried=sys.maxsize)


class _Merge:
    """Brings an export's comparisons into a store, keeping account of which id here is which there."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._query_ids: dict[int | None, int] = {}
        self._comparison_ids: dict[int | None, int | None] = {None: None}

    def match(self, lines: list[_Line]) -> list[_Line]:
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

    def add(self, lines: list[_Line]) -> None:
        """Add the lines' comparisons, and those of their queries that are new."""
        # by age of the query, for a repeat may have been answered before the query it repeats
        for line in sorted(lines, key=lambda line: line.comparison.query_id):
            if line.query.id not in self._query_ids:
                with _naming(line):
                    self._add_query(line.query)
        for line in lines:
            with _naming(line):
                self._add_comparison(line.comparison)

    def _add_query(self, theirs: QueryRecord) -> None:
        repeat_of = theirs.repeat_of
        if repeat_of is not None:
            if repeat_of not in self._query_ids:
                raise StoreError(f"it repeats query {repeat_of}, which is in no line")
            repeat_of = self._query_ids[repeat_of]
        (self._query_ids[theirs.id],) = self._store.add_query_records([replace(theirs, repeat_of=repeat_of)])

    def _add_comparison(self, theirs: Comparison) -> None:
        if theirs.supersedes not in self._comparison_ids:
            raise StoreError(f"it supersedes comparison {theirs.supersedes}, which is in no line before it")
        query_id, supersedes = self._query_ids[theirs.query_id], self._comparison_ids[theirs.supersedes]
        (number,) = self._store.add_comparisons([replace(theirs, query_id=query_id, supersedes=supersedes)])
        self._comparison_ids[theirs.id] = number


@contextmanager
def _naming(line: _Line) -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise StoreError(f"{line.place}: {error}; nothing was imported, export again") from error
