"""The store: segments, queries, comparisons and the state of the workers, in one SQLite file.

It is all the processes of a run share. Each opens its own `Store`; any may be killed at any instant.
SQL is in this module, `lease_table`, `worker_tables` and `schema` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from prefrl.data.clips import Clip, decode_clip
from prefrl.data.types import Comparison, LabelledQuery, Query, Segment
from prefrl.storage.codec import decode_segment, encode_segment
from prefrl.storage.connection import Connection
from prefrl.storage.errors import StoreError, check_finite
from prefrl.storage.lease_table import LeaseTable
from prefrl.storage.records import Counts, PoolEntry, QueryRecord
from prefrl.storage.worker_tables import WorkerTables

__all__ = ["Store"]

COMPARISON = "c.id, c.query, c.ranks, c.annotator, c.latency_s, c.time_s, c.supersedes"
COUNTS = "NOT EXISTS (SELECT 1 FROM comparisons newer WHERE newer.supersedes = c.id)"
"""condition on a comparison c: nobody supersedes it"""
CANT_TELL_QUERIES = (
    f"SELECT count(DISTINCT c.query) FROM comparisons c WHERE c.ranks IS NULL AND {COUNTS} AND NOT EXISTS "
    "(SELECT 1 FROM comparisons other WHERE other.query = c.query AND other.ranks IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM comparisons newer WHERE newer.supersedes = other.id))"
)
"""queries that are answered, and by no answer that counts with anything else"""


class Store(LeaseTable, WorkerTables):
    """The shared state of a run. For one thread; every method is one short transaction.

    The contract is that of `prefrl.storage`.

    Raises:
        StoreError: from any method, when the file cannot be used or the arguments contradict its content.
    """

    @classmethod
    def open(cls, path: Path | str, create: bool = False) -> Store:
        """Open the store at ``path``; with ``create``, make it first where there is none."""
        return cls(Connection(Path(path), create))

    def close(self) -> None:
        """Close the file; harmless when closed already."""
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all calls inside one durable transaction: an exception that leaves it undoes them all.

        Other processes cannot write meanwhile.
        """
        with self._db.write(durable=True):
            yield

    # Segments

    def add_segments(
        self,
        segments: Sequence[Segment],
        keep_unqueried: int,
        clips: Mapping[str, bytes] = MappingProxyType({}),
    ) -> int:
        """Add segments, those already there left out, then drop the oldest that no query refers to.

        Args:
            segments: the new ones, oldest first.
            keep_unqueried: segments without a query that remain at most.
            clips: of some of them, by id, as `prefrl.data.clips.encode_clip` gives them.

        Returns:
            How many were dropped.
        """
        if keep_unqueried < 0:
            raise StoreError(f"keep_unqueried is {keep_unqueried}; 0 or more is needed")
        rows = [(segment.id, segment.provenance.policy_step, encode_segment(segment)) for segment in segments]
        with self._db.write():
            self._db.run_many(
                "INSERT OR IGNORE INTO segments (id, policy_step, payload) VALUES (?, ?, ?)", rows
            )
            self._db.run_many(
                "INSERT OR REPLACE INTO clips SELECT sequence, ? FROM segments WHERE id = ?",
                [(clip, key) for key, clip in clips.items()],
            )
            unqueried = self._db.value("SELECT count(*) FROM segments WHERE is_queried = 0")
            excess = max(0, unqueried - keep_unqueried)
            if excess:
                self._drop_oldest_unqueried(excess)
        return excess

    def _drop_oldest_unqueried(self, number: int) -> None:
        oldest = "SELECT sequence FROM segments WHERE is_queried = 0 ORDER BY sequence LIMIT ?"
        self._db.run_many(f"DELETE FROM segments WHERE sequence IN ({oldest})", [(number,)])
        self._db.run_many("UPDATE meta SET value = value + ? WHERE key = 'dropped_segments'", [(number,)])

    def pool(self, newest: int, with_clips: bool = False) -> list[PoolEntry]:
        """The newest segments, queried or not, oldest first; those alone that have clips, if told so."""
        condition = "sequence IN (SELECT segment FROM clips)" if with_clips else "TRUE"
        with self._db.read():
            rows = self._db.rows(
                f"SELECT id, policy_step FROM segments WHERE {condition} ORDER BY sequence DESC LIMIT ?",
                [newest],
            )
        return [PoolEntry(*row) for row in reversed(rows)]

    def segments(self, ids: Sequence[str]) -> list[Segment]:
        """The segments with these ids, in the order asked."""
        with self._db.read():
            payloads = [self._db.value("SELECT payload FROM segments WHERE id = ?", [key]) for key in ids]
        for key, payload in zip(ids, payloads, strict=True):
            if payload is None:
                raise StoreError(
                    f"segment {key} is not in the store; it was dropped from the pool or never added"
                )
        return [decode_segment(payload) for payload in payloads]

    def clip(self, segment_id: str) -> Clip | None:
        """What people see of a segment; None where it was not filmed."""
        with self._db.read():
            payload = self._db.value(
                "SELECT c.payload FROM clips c JOIN segments s ON s.sequence = c.segment WHERE s.id = ?",
                [segment_id],
            )
        return None if payload is None else decode_clip(payload)

    # Queries

    def add_queries(self, queries: Sequence[Query]) -> list[int]:
        """Put queries to the annotators and return their ids; their segments must be stored already."""
        return self.add_query_records([QueryRecord.of(query) for query in queries])

    def add_query_records(self, records: Sequence[QueryRecord]) -> list[int]:
        """As `add_queries`, for whoever has the ids of the segments alone; an ``id`` given is ignored."""
        with self._db.write():
            return [self._add_query(record) for record in records]

    def _add_query(self, record: QueryRecord) -> int:
        check_finite("a query's score", record.score)
        sequences = [self._sequence(key) for key in record.segment_ids]
        if record.repeat_of is not None:
            self._check_query(record.repeat_of)
        query_id = self._db.insert(
            "INSERT INTO queries (sampler, score, policy_step, repeat_of) VALUES (?, ?, ?, ?)",
            (record.sampler, float(record.score), int(record.policy_step), record.repeat_of),
        )
        items = [(query_id, position, sequence) for position, sequence in enumerate(sequences)]
        self._db.run_many("INSERT INTO query_items (query, position, segment) VALUES (?, ?, ?)", items)
        return query_id

    def _sequence(self, segment_id: str) -> int:
        sequence = self._db.value("SELECT sequence FROM segments WHERE id = ?", [segment_id])
        if sequence is None:
            raise StoreError(
                f"a query refers to segment {segment_id}, which is not in the store; add it first, "
                "in the same `transaction` if the pool could drop it in between"
            )
        return int(sequence)

    def _check_query(self, query_id: int) -> None:
        if self._db.value("SELECT 1 FROM queries WHERE id = ?", [query_id]) is None:
            raise StoreError(f"query {query_id} is not in the store")

    def query(self, query_id: int) -> Query:
        """The query with this id, its segments loaded."""
        return self._load_query(self.query_record(query_id), {})

    def query_record(self, query_id: int) -> QueryRecord:
        """The query with this id, its segments by id alone."""
        with self._db.read():
            self._check_query(query_id)
            row = self._db.rows(
                "SELECT sampler, score, policy_step, repeat_of, id FROM queries WHERE id = ?", [query_id]
            )[0]
            ids = self._db.rows(
                "SELECT s.id FROM query_items i JOIN segments s ON s.sequence = i.segment "
                "WHERE i.query = ? ORDER BY i.position",
                [query_id],
            )
        return QueryRecord(tuple(key for (key,) in ids), *row)

    def query_ids(self) -> list[int]:
        """Ids of all queries asked so far, repeats included, oldest first."""
        with self._db.read():
            return [int(number) for (number,) in self._db.rows("SELECT id FROM queries ORDER BY id")]

    def answered_queries(self, with_clips: bool = False) -> list[int]:
        """Ids of the queries that may be asked again: answered, not with "can't tell", and no repeats.

        With ``with_clips``, those alone of whose segments each has one.
        """
        blind = "SELECT query FROM query_items WHERE segment NOT IN (SELECT segment FROM clips)"
        condition = f"q.id NOT IN ({blind})" if with_clips else "TRUE"
        with self._db.read():
            rows = self._db.rows(
                "SELECT DISTINCT q.id FROM queries q JOIN comparisons c ON c.query = q.id "
                f"WHERE q.repeat_of IS NULL AND c.ranks IS NOT NULL AND {COUNTS} AND {condition} ORDER BY q.id"
            )
        return [number for (number,) in rows]

    def _load_query(self, record: QueryRecord, loaded: dict[str, Segment]) -> Query:
        """Build the query, taking segments from ``loaded`` and adding those it lacks."""
        missing = [key for key in dict.fromkeys(record.segment_ids) if key not in loaded]
        loaded.update(zip(missing, self.segments(missing), strict=True))
        items = tuple(loaded[key] for key in record.segment_ids)
        return Query(items, record.sampler, record.score, record.policy_step, record.repeat_of, record.id)

    def oldest_open_s(self) -> float | None:
        """When the oldest open query was asked, in seconds since the epoch; None where none is open."""
        with self._db.read():
            asked_s = self._db.value("SELECT asked_s FROM queries WHERE is_open = 1 ORDER BY id LIMIT 1")
        return None if asked_s is None else float(asked_s)

    def lease(self, annotator: str, lease_s: float, now_s: float | None = None) -> Query | None:
        """Lease the oldest open query that no other annotator holds; None where there is none.

        An annotator that holds one already gets it again, renewed. A lapsed lease counts as none. Times are by
        `prefrl.storage.clock.clock_s`.
        """
        ids = self.lease_batch(annotator, lease_s, 1, now_s)
        return self.query(ids[0]) if ids else None

    # Comparisons

    def add_comparisons(self, comparisons: Sequence[Comparison]) -> list[int]:
        """Append answers, all or none, and return their ids; they are on disk when this returns.

        Each closes its query and ends its lease. An answer supersedes the same annotator's earlier one to the
        same query, whether it says so or not.
        """
        with self._db.write(durable=True):
            return [self._add_comparison(comparison) for comparison in comparisons]

    def _add_comparison(self, comparison: Comparison) -> int:
        query_id, ranks = comparison.query_id, comparison.ranks
        self._check_query(query_id)
        items = self._db.value("SELECT count(*) FROM query_items WHERE query = ?", [query_id])
        if ranks is not None and len(ranks) != items:
            raise StoreError(f"{len(ranks)} ranks answer query {query_id}, which has {items} segments")
        check_finite("a comparison's latency_s", comparison.latency_s)
        check_finite("a comparison's time_s", comparison.time_s)
        earlier = self._db.value(
            f"SELECT c.id FROM comparisons c WHERE c.query = ? AND c.annotator = ? AND {COUNTS}",
            [query_id, comparison.annotator],
        )
        if comparison.supersedes not in (None, earlier):
            raise StoreError(
                f"comparison {comparison.supersedes} cannot be superseded: the answer of "
                f"{comparison.annotator!r} to query {query_id} that counts is {earlier}; leave supersedes out"
            )
        return self._db.insert(
            "INSERT INTO comparisons (query, ranks, annotator, latency_s, time_s, supersedes) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                query_id,
                None if ranks is None else ",".join(map(str, ranks)),
                comparison.annotator,
                float(comparison.latency_s),
                float(comparison.time_s),
                earlier,
            ),
        )

    def labelled(self, after: int = 0, limit: int | None = None) -> list[LabelledQuery]:
        """The comparisons that count, "can't tell" included, oldest first, with their segments.

        To follow the answers, pass the id of the last one read as ``after``. Then a new answer to the same query by
        the same annotator replaces the one read before; with ranks None ("can't tell") it withdraws it. Go by
        (query id, annotator), not by ``supersedes``: that may name an answer superseded before it was read.

        Args:
            after: only comparisons with a greater id.
            limit: at most this many, the oldest; image segments are large once loaded.
        """
        with self._db.read():
            rows = self._db.rows(
                f"SELECT {COMPARISON} FROM comparisons c WHERE c.id > ? AND {COUNTS} ORDER BY c.id LIMIT ?",
                [after, -1 if limit is None else limit],
            )
        loaded: dict[str, Segment] = {}
        comparisons = [_comparison(row) for row in rows]
        return [
            LabelledQuery(self._load_query(self.query_record(c.query_id), loaded), c) for c in comparisons
        ]

    def comparisons(self, with_superseded: bool = True) -> list[Comparison]:
        """Every comparison, oldest first; or those alone that count, because nobody supersedes them."""
        condition = "TRUE" if with_superseded else COUNTS
        with self._db.read():
            rows = self._db.rows(f"SELECT {COMPARISON} FROM comparisons c WHERE {condition} ORDER BY c.id")
        return [_comparison(row) for row in rows]

    def label_counts(self) -> dict[str, int]:
        """Answers that count, "can't tell" left out, by annotator.

        Their sum is above `Counts.labels` where several people answered one query.
        """
        with self._db.read():
            return dict(
                self._db.rows(
                    f"SELECT c.annotator, count(*) FROM comparisons c WHERE c.ranks IS NOT NULL AND {COUNTS} "
                    "GROUP BY c.annotator"
                )
            )

    def last_comparison_id(self) -> int:
        """Id of the newest comparison, 0 before the first; cheap to poll."""
        with self._db.read():
            return int(self._db.value("SELECT max(id) FROM comparisons") or 0)

    def counts(self) -> Counts:
        """How much the store holds, as of one instant; cheap to poll."""
        with self._db.read():
            queries = self._db.value("SELECT count(*) FROM queries")
            open_queries = self._db.value("SELECT count(*) FROM queries WHERE is_open = 1")
            cant_tell = self._db.value(CANT_TELL_QUERIES)
            return Counts(
                segments=self._db.value("SELECT count(*) FROM segments"),
                unqueried=self._db.value("SELECT count(*) FROM segments WHERE is_queried = 0"),
                dropped_segments=self._db.value("SELECT value FROM meta WHERE key = 'dropped_segments'"),
                queries=queries,
                open_queries=open_queries,
                comparisons=self._db.value("SELECT count(*) FROM comparisons"),
                labels=queries - open_queries - cant_tell,
                cant_tell=cant_tell,
            )


def _comparison(row: tuple[Any, ...]) -> Comparison:
    number, query_id, ranks, annotator, latency_s, time_s, supersedes = row
    ranked = None if ranks is None else tuple(map(int, ranks.split(",")))
    return Comparison(query_id, ranked, annotator, latency_s, time_s, supersedes, number)
