"""An oracle that answers by a given function or from a given list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prefrl.data.types import Comparison, Query
from prefrl.oracles.base import comparison_of

__all__ = ["ScriptedOracle"]

Ranks = Sequence[int] | None


class ScriptedOracle:
    """Answers with ``function(query)``: ranks, 1 the best, or None for "can't tell"."""

    def __init__(self, function: Callable[[Query], Ranks], name: str = "scripted") -> None:
        self.name = name
        self._function = function

    @classmethod
    def from_answers(cls, answers: Iterable[Ranks], name: str = "scripted") -> ScriptedOracle:
        """Gives the answers in turn, one a query; one query too many is a ValueError."""
        script = tuple(answers)
        remaining = iter(script)

        def next_answer(query: Query) -> Ranks:
            for ranks in remaining:
                return ranks
            raise ValueError(f"the script has {len(script)} answers and one more query came; give more")

        return cls(next_answer, name)

    def answer(self, query: Query) -> Comparison:
        """Raises ValueError when the ranks do not fit the query."""
        ranks = self._function(query)
        if ranks is not None and len(ranks) != len(query.segments):
            raise ValueError(f"the script ranked {len(ranks)} of a query's {len(query.segments)} segments")
        return comparison_of(query, None if ranks is None else tuple(ranks), self.name)
