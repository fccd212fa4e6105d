"""The oracle protocol: anything that answers queries."""

from __future__ import annotations

from typing import Protocol

from prefrl.data.types import Comparison, Query

__all__ = ["UNSTORED_QUERY", "Oracle", "comparison_of"]

UNSTORED_QUERY = 0
"""``query_id`` of an answer to a query that has no id yet; stores count from 1."""


class Oracle(Protocol):
    """Answers queries: a synthetic teacher, a script, a program of the user's."""

    @property
    def name(self) -> str:
        """The annotator that its comparisons are signed with."""
        ...

    def answer(self, query: Query) -> Comparison:
        """Rank the segments of ``query``, or say that it cannot tell."""
        ...


def comparison_of(query: Query, ranks: tuple[int, ...] | None, annotator: str) -> Comparison:
    """An answer with a latency of 0, to a query with or without an id."""
    query_id = UNSTORED_QUERY if query.id is None else query.id
    return Comparison(query_id=query_id, ranks=ranks, annotator=annotator)
