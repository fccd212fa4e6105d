"""Reads files of rankings for `prefrl sft`, `dpo` and `fit`, and leaves out texts that are too long for the model."""

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
    """The rankings of a file; rows that are left out are reported on standard error.

    Raises:
        ValueError: as `prefrl.text.rankings.load_rankings`, which has the same options.
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
    """Tokenize rankings; returns the token ids, and how many rankings were left out.

    Args:
        rankings: at least one.
        tokenizer: encodes prompts and responses.
        room: maximum tokens of a text, prompt and response together; None sets no limit.
        skip_long: leave out rankings with a longer text, possibly all of them.

    Raises:
        ValueError: when a text cannot be tokenized, or is too long and ``skip_long`` is False.
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
    """Indices of the texts that are short enough for a model.

    Args:
        lengths: tokens of each text, prompt and response together.
        room: maximum tokens of a text.
        skip_long: leave out longer texts.

    Raises:
        ValueError: when a text is longer and ``skip_long`` is False.
    """
    kept = [number for number, length in enumerate(lengths) if length <= room]
    if len(kept) < len(lengths) and not skip_long:
        raise ValueError(
            f"a prompt and its response have {max(lengths)} tokens, the model takes {room}; leave such texts out with "
            "--skip-long, or use another model"
        )
    return kept


def check_validation_fraction(fraction: float) -> None:
    """Raise ValueError unless ``fraction`` is at least 0 and below 1."""
    if not 0 <= fraction < 1:
        raise ValueError(f"--validation-fraction is {fraction}; a share of at least 0 and below 1 is needed")
