"""The lines of comparisons.jsonl: one comparison with its query each, and what they say of each other."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefrl.data.types import Comparison
from prefrl.storage.errors import StoreError
from prefrl.storage.records import QueryRecord

__all__ = ["Line", "check_lines", "format_line", "naming", "read_lines"]

MOST_INT = 2**63 - 1
"""what the store and tensors can hold"""


@dataclass(frozen=True)
class Line:
    """One line of comparisons.jsonl; ids are those of the exporting store."""

    place: str
    """file and line, for messages"""
    comparison: Comparison
    query: QueryRecord


def format_line(comparison: Comparison, queries: Mapping[int, QueryRecord]) -> str:
    """A comparison as a line, without its end; a query that repeats none of ``queries`` is written as no repeat."""
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


def read_lines(path: Path, expected: int) -> list[Line]:
    """All lines of the file, each checked by itself.

    Raises:
        StoreError: when it cannot be read, has not ``expected`` lines, or one of them is no comparison.
    """
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); copy or export the folder again") from error
    if len(texts) != expected:
        raise StoreError(f"{path}: has {len(texts)} lines, about.json says {expected}; copy the whole folder")
    return [_parse(f"{path}, line {number}", text) for number, text in enumerate(texts, start=1)]


def _parse(place: str, text: str) -> Line:
    try:
        data = json.loads(text)
        query = QueryRecord(
            tuple(_text("segments", key) for key in _list(data, "segments")),
            _text("sampler", data["sampler"]),
            _number(data, "score"),
            _integer(data, "policy_step"),
            _optional_integer(data, "repeat_of"),
            _integer(data, "query"),
        )
        comparison = Comparison(
            _integer(data, "query"),
            None
            if data["ranks"] is None
            else tuple(_checked_integer("ranks", rank) for rank in _list(data, "ranks")),
            _text("annotator", data["annotator"]),
            _number(data, "latency_s"),
            _number(data, "time_s"),
            _optional_integer(data, "supersedes"),
            _integer(data, "comparison"),
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise StoreError(f"{place}: no comparison of ours ({type(error).__name__}: {error})") from error
    ranks, items = comparison.ranks, len(query.segment_ids)
    if items < 2 or (ranks is not None and len(ranks) != items):
        raise StoreError(f"{place}: {ranks} does not rank a query of {items} segments")
    return Line(place, comparison, query)


def _integer(data: Mapping[str, Any], name: str) -> int:
    return _checked_integer(name, data[name])


def _optional_integer(data: Mapping[str, Any], name: str) -> int | None:
    return None if data[name] is None else _integer(data, name)


def _checked_integer(name: str, value: Any) -> int:
    if type(value) is not int or abs(value) > MOST_INT:
        raise ValueError(f"{name} is {value!r}; a whole number of at most 64 bits is needed")
    return value


def _number(data: Mapping[str, Any], name: str) -> float:
    value = data[name]
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}; a finite number is needed")
    return float(value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}; a text is needed")
    value.encode()  # raises for half a surrogate pair, which no file and no database takes
    return value


def _list(data: Mapping[str, Any], name: str) -> list[Any]:
    value = data[name]
    if not isinstance(value, list):
        raise ValueError(f"{name} is {value!r}; a list is needed")
    return value


def check_lines(lines: Sequence[Line], segment_ids: set[str]) -> None:
    """Check what the lines say of each other and of the segments.

    Raises:
        StoreError: naming the first line that refers to what is not there, or contradicts an earlier one.
    """
    queries: dict[int, QueryRecord] = {}
    comparisons: dict[int | None, Comparison] = {}
    counting: dict[tuple[int, str], int | None] = {}
    for line in lines:
        comparison, query = line.comparison, line.query
        key = comparison.query_id, comparison.annotator
        with naming(line):
            if missing := set(query.segment_ids) - segment_ids:
                raise StoreError(f"segment {min(missing)} is in no shard")
            if queries.setdefault(comparison.query_id, query) != query:
                raise StoreError(f"query {comparison.query_id} is another one than in an earlier line")
            if comparison.id in comparisons:
                raise StoreError(f"comparison {comparison.id} is in an earlier line, too")
            _check_supersedes(comparison, comparisons, counting.get(key))
        comparisons[comparison.id], counting[key] = comparison, comparison.id
    for line in lines:
        repeated = line.query.repeat_of
        if repeated is not None and (repeated not in queries or repeated >= line.comparison.query_id):
            with naming(line):
                raise StoreError(f"it repeats query {repeated}, which is in no line as an older query")


def _check_supersedes(
    comparison: Comparison, earlier: Mapping[int | None, Comparison], counting: int | None
) -> None:
    """As `Store.add_comparisons` does: an answer supersedes the annotator's own that counts, or says nothing."""
    superseded = comparison.supersedes
    if superseded is None:
        return
    if superseded not in earlier:
        raise StoreError(f"it supersedes comparison {superseded}, which is in no line before it")
    if superseded != counting:
        raise StoreError(
            f"comparison {superseded} cannot be superseded: the answer of {comparison.annotator!r} to query "
            f"{comparison.query_id} that counts is {counting}"
        )


@contextmanager
def naming(line: Line) -> Iterator[None]:
    """Name the line in every StoreError of the block."""
    try:
        yield
    except StoreError as error:
        raise StoreError(f"{line.place}: {error}; nothing was imported, export again") from error
