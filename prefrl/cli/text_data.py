"""Texts to learn from, as `prefrl sft`, `dpo` and `fit` read them: files of rankings, as far as a model takes them."""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from prefrl.reward.ranking_queries import TokenRankings
from prefrl.text.rankings import OddRows, Ranking, load_rankings
from prefrl_envs.text import Tokenizer

__all__ = ["check_validation_fraction", "encode_rankings", "read_rankings", "within_room"]


def read_rankings(path: Path, odd_rows: OddRows, criterion: str | None) -> list[Ranking]:
    """The rankings of a file; of rows that are left out standard error is told.

    Raises:
        ValueError: as `prefrl.text.rankings.load_rankings`, which takes the same options.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        rankings = load_rankings(path, odd_rows=odd_rows, criterion=criterion)
    for warning in caught:
        print(f"prefrl: {warning.message}", file=sys.stderr)
    return rankings


def encode_rankings(
    rankings: Sequence[Ranking], tokenizer: Tokenizer, room: int | None, skip_long: bool
) -> tuple[TokenRankings, int]:
    """Token ids of at least one ranking, and how many were left out.

    Args:
        rankings: what to encode.
        tokenizer: whose tokens.
        room: tokens of the longest text that the model takes, prompt and response together; None takes any.
        skip_long: leave out rankings with a text that is longer, maybe all.

    Raises:
        ValueError: when a text has a part without a token, or is too long and not to be left out.
    """
    tokens = TokenRankings.of(rankings, tokenizer.encode, tokenizer.vocab_size, tokenizer.eos_id)
    if room is None:
        return tokens, 0
    texts = zip(tokens.prompts, tokens.responses, strict=True)
    kept = within_room([len(prompt) + max(map(len, group)) for prompt, group in texts], room, skip_long)
    taken = dataclasses.replace(
        tokens,
        rankings=[rankings[number] for number in kept],
        prompts=[tokens.prompts[number] for number in kept],
        responses=[tokens.responses[number] for number in kept],
    )
    return taken, len(rankings) - len(kept)


def within_room(lengths: Sequence[int], room: int, skip_long: bool) -> list[int]:
    """The numbers, from 0, of the texts that a model takes.

    Args:
        lengths: tokens of each text, prompt and response together.
        room: as many as the model takes.
        skip_long: leave out those that are longer.

    Raises:
        ValueError: when there is one that is longer, and it is not to be left out.
    """
    kept = [number for number, length in enumerate(lengths) if length <= room]
    if len(kept) < len(lengths) and not skip_long:
        raise ValueError(
            f"a prompt and its response have {max(lengths)} tokens, the model takes {room}; leave such texts out by "
            "--skip-long, or take another model"
        )
    return kept


def check_validation_fraction(fraction: float) -> None:
    """Raises ValueError when it is no share that leaves something to learn from."""
    if not 0 <= fraction < 1:
        raise ValueError(f"--validation-fraction is {fraction}; a share of at least 0 and below 1 is needed")
