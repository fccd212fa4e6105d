"""Rankings of texts as answered queries, which a reward is trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from prefrl.data.spaces import SpaceSpec
from prefrl.data.tokens import last_steps
from prefrl.data.types import Comparison, LabelledQuery, Provenance, Query, Segment
from prefrl.text.rankings.ranking import Ranking

__all__ = ["TokenRankings"]

ANNOTATOR = "rankings"
"""annotator and provenance of texts and answers that come from files"""
Encode = Callable[[str], list[int]]


@dataclass(frozen=True)
class TokenRankings:
    """Rankings as token ids, and the spaces that they belong to."""

    rankings: Sequence[Ranking]
    prompts: list[list[int]]
    responses: list[list[list[int]]]
    """by prompt and response, each with the token that ends it"""
    vocab_size: int
    eos_id: int

    @classmethod
    def of(cls, rankings: Sequence[Ranking], encode: Encode, vocab_size: int, eos_id: int) -> TokenRankings:
        """Encode all texts.

        Raises:
            ValueError: when there is no ranking, or a text cannot be encoded.
        """
        if not rankings:
            raise ValueError("there are no rankings to learn from; give one at least")
        prompts = [encode(ranking.prompt) for ranking in rankings]
        responses = [[[*encode(text), eos_id] for text in ranking.responses] for ranking in rankings]
        for ranking, ids in zip(rankings, prompts, strict=True):
            if not ids:
                raise ValueError(f"prompt {ranking.prompt!r} has no token; every prompt needs one")
        return cls(rankings, prompts, responses, vocab_size, eos_id)

    @property
    def max_tokens(self) -> int:
        """Length of the longest prompt with its longest response."""
        return max(len(prompt) + self._longest(group) for prompt, group in self._texts())

    def specs(self, room: int | None = None) -> tuple[SpaceSpec, SpaceSpec]:
        """Layout of observations and actions, with room for ``room`` tokens, by default for the longest text.

        Raises:
            ValueError: when a text is longer than that.
        """
        room = self.max_tokens if room is None else room
        if room < self.max_tokens:
            raise ValueError(
                f"a prompt and its response have {self.max_tokens} tokens, the model takes {room}; leave such texts "
                "out or take another model"
            )
        longest = max(self._longest(group) for group in self.responses)
        observations = SpaceSpec("tokens", (2 + room,), "int32", eos_id=self.eos_id, max_new_tokens=longest)
        return observations, SpaceSpec("token", (), "int64", (self.vocab_size,), (0,))

    def labelled(self, spec: SpaceSpec | None = None) -> list[LabelledQuery]:
        """One answered query per ranking, numbered from 1; segments have one step (`prefrl.data.tokens`).

        Args:
            spec: layout of the observations, with room for all texts; by default that of `specs`.
        """
        spec = self.specs()[0] if spec is None else spec
        labelled = []
        for number, ranking in enumerate(self.rankings, start=1):
            segments = self._segments(number, spec)
            query = Query(segments, sampler="imported", id=number)
            comparison = Comparison(number, ranking.ranks, ANNOTATOR, time_s=0.0, id=number)
            labelled.append(LabelledQuery(query, comparison))
        return labelled

    def _segments(self, number: int, spec: SpaceSpec) -> tuple[Segment, ...]:
        prompt, group = self.prompts[number - 1], self.responses[number - 1]
        ids = np.zeros((len(group), spec.shape[0] - 2), np.int64)
        for row, response in enumerate(group):
            ids[row, : len(prompt) + len(response)] = [*prompt, *response]
        lengths = np.array([len(prompt) + len(response) for response in group])
        observations, actions = last_steps(ids, np.full(len(group), len(prompt)), lengths, spec)
        ends, nothing = np.ones(1, bool), np.zeros(1, bool)
        # The same for all, so that a text is one segment in whichever rankings it occurs.
        provenance = Provenance(ANNOTATOR, 0, 0, 0)
        return tuple(
            Segment(
                observations[row : row + 1],
                actions[row : row + 1],
                np.zeros(1, np.float32),
                ends,
                nothing,
                provenance,
            )
            for row in range(len(group))
        )

    def _texts(self) -> zip[tuple[list[int], list[list[int]]]]:
        return zip(self.prompts, self.responses, strict=True)

    @staticmethod
    def _longest(group: list[list[int]]) -> int:
        return max(map(len, group))
