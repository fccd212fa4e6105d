"""An oracle that answers with a given function or from a given list."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence

from prefrl.data.types import Comparison, Query
from prefrl.oracles.base import comparison_of

__all__ = ["ScriptedOracle"]

Ranks = Sequence[int] | None


class ScriptedOracle:
    """Answers with ``function(query)``: the ranks (K,), 1 the best; None for "can't tell"; or a `Comparison`.

    Args:
        function: called once for each query.
        name: the annotator that its answers are signed with, unless the function signs them itself.
    """

    def __init__(self, function: Callable[[Query], Ranks | Comparison], name: str = "scripted") -> None:
        self.name = name
        self._function = function

    @classmethod
    def from_answers(cls, answers: Iterable[Ranks], name: str = "scripted") -> ScriptedOracle:
        """Gives the answers in order, one for each query; a query more than there are answers is a ValueError."""
        script = tuple(answers)
        remaining = iter(script)

        def next_answer(query: Query) -> Ranks:
            for ranks in remaining:
                return ranks
            raise ValueError(f"the script has {len(script)} answers and one more query came; give more")

        return cls(next_answer, name)

    def answer(self, query: Query) -> Comparison:
        """The function's answer as a comparison.

        Raises:
            ValueError: when it is none, or does not fit the query.
        """
        answer = self._function(query)
        if isinstance(answer, Comparison):
            self._check_comparison(answer, query)
            return answer
        if answer is None:
            return comparison_of(query, None, self.name)
        try:
            ranks = tuple(operator.index(rank) for rank in answer)
        except TypeError as error:
            raise ValueError(
                f"oracle {self.name!r} answered {answer!r}; a whole number for each segment (1 the best), None or a "
                "Comparison is needed"
            ) from error
        self._check_count(ranks, query)
        return comparison_of(query, ranks, self.name)

    def _check_comparison(self, answer: Comparison, query: Query) -> None:
        expected = comparison_of(query, None, self.name).query_id
        if answer.query_id != expected:
            raise ValueError(
                f"oracle {self.name!r} answered query {answer.query_id} when asked query {expected}; take query.id"
            )
        if answer.ranks is not None:
            self._check_count(answer.ranks, query)

    def _check_count(self, ranks: Sequence[int], query: Query) -> None:
        if len(ranks) != len(query.segments):
            raise ValueError(
                f"oracle {self.name!r} ranked {len(ranks)} of a query's {len(query.segments)} segments"
            )
