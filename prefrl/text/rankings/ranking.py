"""The nouns of preference data about texts: rankings and demonstrations."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from prefrl.data.types import check_ranks

__all__ = ["Demonstration", "Pair", "Ranking"]


class Pair(NamedTuple):
    """Two responses to one prompt of which one is preferred."""

    chosen: str
    rejected: str


@dataclass(frozen=True)
class Ranking:
    """K >= 2 responses to one prompt and how somebody ranked them (Ouyang et al. 2022, section 3.5).

    Prompt and response are to be put together as they are: the space between them is part of one of them.
    A response may be empty.

    Raises:
        ValueError: when the prompt is empty, lengths differ, the ranks are not positive whole numbers that
            start at 1, the same text has two ranks, or a text cannot be encoded in UTF-8.
    """

    prompt: str
    responses: tuple[str, ...]
    """length K"""
    ranks: tuple[int, ...]
    """length K, the rank of each response, 1 the best; equal ranks tie"""
    id: str | None = None
    """what the ranking is called where it comes from"""
    source: str = ""
    """where it comes from, such as the name of a file"""

    def __post_init__(self) -> None:
        _check_prompt(self.prompt)
        if len(self.responses) < 2:
            raise ValueError(
                f"a ranking orders at least 2 responses, got {len(self.responses)}; leave it out"
            )
        if len(self.ranks) != len(self.responses):
            raise ValueError(
                f"{len(self.ranks)} ranks for {len(self.responses)} responses; each response needs one rank"
            )
        check_ranks(self.ranks)
        rank_of: dict[str, int] = {}
        for response, rank in zip(self.responses, self.ranks, strict=True):
            _check_text("a response", response)
            if rank_of.setdefault(response, rank) != rank:
                raise ValueError(
                    f"the same response has ranks {rank_of[response]} and {rank}; "
                    "a text is no better than itself, give it one rank"
                )

    @property
    def is_tie(self) -> bool:
        """True when every response was ranked equal."""
        return len(set(self.ranks)) == 1

    def pairs(self) -> Iterator[Pair]:
        """All pairs of responses with unequal ranks, the better one first; at most K (K - 1) / 2."""
        ranked = zip(self.ranks, self.responses, strict=True)
        for (rank, response), (other_rank, other) in itertools.combinations(ranked, 2):
            if rank != other_rank:
                yield Pair(response, other) if rank < other_rank else Pair(other, response)


@dataclass(frozen=True)
class Demonstration:
    """A prompt and a response to imitate, for supervised fine-tuning.

    Raises:
        ValueError: when the prompt is empty, or a text cannot be encoded in UTF-8.
    """

    prompt: str
    response: str

    def __post_init__(self) -> None:
        _check_prompt(self.prompt)
        _check_text("the response", self.response)


def _check_prompt(prompt: str) -> None:
    if not prompt.strip():
        raise ValueError(f"the prompt {prompt!r} is empty; give the text that was responded to")
    _check_text("the prompt", prompt)


def _check_text(what: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{what} has half a surrogate pair, {text[error.start]!r}, at character {error.start}; remove it"
        ) from error
